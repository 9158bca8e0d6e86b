# All programs of esp-mesh. One build for all, then an image a service with one program in it:
#
#   docker compose build                                  every image, as docker-compose.yml wants them
#   docker build --target engine -t esp-mesh/engine .     one image
#
# Needs BuildKit (Docker 20.10: DOCKER_BUILDKIT=1; newer ones have it on), for the caches of cargo.

FROM rust:1.95-slim-bookworm AS build
# librdkafka and mimalloc are C (librdkafka reads a header of libcurl, and links nothing of it); our generated protobuf
# code is committed, but etcd-client makes its own
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        cmake g++ libcurl4-openssl-dev libprotobuf-dev libssl-dev make pkg-config protobuf-compiler \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# How many crates at a time; 0 is cargo's own choice
ARG CARGO_JOBS=0
ENV CARGO_TERM_COLOR=never CARGO_NET_RETRY=5 \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=debuginfo
# The caches hold what is downloaded and what is compiled, so that a change builds only what it changes. espctl is built
# by itself: it comes without the clients of Kafka, ZooKeeper and etcd, and features are shared within one build.
RUN --mount=type=cache,id=esp-mesh-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=esp-mesh-target,target=/src/target \
    [ "$CARGO_JOBS" = 0 ] || export CARGO_BUILD_JOBS="$CARGO_JOBS"; \
    nice -n 10 cargo build --locked --release -p mesh-election -p mesh-coordinator -p mesh-engine \
        -p mesh-publisher-adapter -p mesh-subscriber-adapter -p mesh-gateway \
    && nice -n 10 cargo build --locked --release -p espctl \
    && mkdir -p /out \
    && cd target/release \
    && cp esp-election esp-coordinator esp-engine esp-publisher-adapter esp-subscriber-adapter esp-gateway espctl /out/

# What every image has: a user without rights, a folder that it may write, and the signal that starts the drain.
FROM debian:bookworm-slim AS base
# librdkafka's TLS
RUN apt-get update && apt-get install -y --no-install-recommends libssl3 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 esp \
    && useradd --uid 10001 --gid esp --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin esp \
    && install -d -o esp -g esp /data
# Files of the user that a program is named without a path
WORKDIR /data
USER 10001:10001
STOPSIGNAL SIGTERM

# In a container a service listens on every interface; the ports are those that docker-compose.yml documents. A probe is
# a process that Docker starts: every 5 s of 16 containers is what a small machine should bear.
FROM base AS election
COPY --from=build /out/esp-election /usr/local/bin/
ENV ESP_ELECTION_LISTEN=0.0.0.0:7100 ESP_ELECTION_ADMIN_LISTEN=0.0.0.0:7300
EXPOSE 7100 7300
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["esp-election", "--probe"]
ENTRYPOINT ["esp-election"]

FROM base AS coordinator
COPY --from=build /out/esp-coordinator /usr/local/bin/
ENV ESP_COORDINATOR_LISTEN=0.0.0.0:50100 ESP_COORDINATOR_ADMIN_LISTEN=0.0.0.0:7300
EXPOSE 50100 7300
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["esp-coordinator", "--probe"]
ENTRYPOINT ["esp-coordinator"]

FROM base AS engine
COPY --from=build /out/esp-engine /usr/local/bin/
ENV ESP_ENGINE_LISTEN=0.0.0.0:7200 ESP_ENGINE_ADMIN_LISTEN=0.0.0.0:7300 ESP_ENGINE_REST_LISTEN=0.0.0.0:61000
EXPOSE 7200 7300 61000
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["esp-engine", "--probe"]
ENTRYPOINT ["esp-engine"]

FROM base AS gateway
COPY --from=build /out/esp-gateway /usr/local/bin/
ENV ESP_GATEWAY_LISTEN=0.0.0.0:7400 ESP_GATEWAY_ADMIN_LISTEN=0.0.0.0:7300 ESP_GATEWAY_REST_LISTEN=0.0.0.0:61000
EXPOSE 61000 7300 7400
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["esp-gateway", "--probe"]
ENTRYPOINT ["esp-gateway"]

# Both adapters, and the name under which scripts of the reference architecture call them.
FROM base AS adapter
COPY --from=build /out/esp-publisher-adapter /out/esp-subscriber-adapter /usr/local/bin/
COPY --chmod=755 deploy/dfesp_fs_adapter /usr/local/bin/
COPY examples /examples
ENV ESP_PUBLISHER_ADAPTER_LISTEN=0.0.0.0:7500 ESP_PUBLISHER_ADAPTER_ADMIN_LISTEN=0.0.0.0:7300 \
    ESP_SUBSCRIBER_ADAPTER_LISTEN=0.0.0.0:7500 ESP_SUBSCRIBER_ADAPTER_ADMIN_LISTEN=0.0.0.0:7300
EXPOSE 7500 7300

FROM adapter AS publisher-adapter
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["esp-publisher-adapter", "--probe"]
ENTRYPOINT ["esp-publisher-adapter"]

FROM adapter AS subscriber-adapter
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["esp-subscriber-adapter", "--probe"]
ENTRYPOINT ["esp-subscriber-adapter"]

FROM base AS espctl
COPY --from=build /out/espctl /usr/local/bin/
COPY examples /examples
ENTRYPOINT ["espctl"]
