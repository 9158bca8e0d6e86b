//! Every setting of the clients, explicit and with its reason; what the user may set besides is in [`crate::settings`].

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::{ReaderOptions, WriterOptions};

/// Below this Kafka's clients refuse a transaction timeout.
const TRANSACTION_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// What all clients have in common; then the user's settings, which may change these.
fn base(bootstrap: &str, client: &str, extra: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    let settings = [
        ("bootstrap.servers", bootstrap),
        ("client.id", client),
        // A topic springs up by nobody's typing error.
        ("allow.auto.create.topics", "false"),
        // Undocumented, but it connects to all brokers at once: a takeover finds every connection open.
        ("enable.sparse.connections", "false"),
        // The client's own idle limit: none. The broker has one (10 minutes); then it reconnects at once.
        ("connections.max.idle.ms", "0"),
        ("socket.keepalive.enable", "true"),
        ("socket.nagle.disable", "true"),
        // A broker that is gone is noticed by its closed socket; one that hangs, by these. Defaults: 30 s, 60 s.
        ("socket.connection.setup.timeout.ms", "2000"),
        ("socket.timeout.ms", "10000"),
        // Defaults 100 ms .. 10 s: a restarted broker would be found too late.
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "500"),
        // Default 100 ms .. 1 s; it is spent on every leader or coordinator change.
        ("retry.backoff.ms", "10"),
        ("retry.backoff.max.ms", "200"),
        ("topic.metadata.refresh.fast.interval.ms", "20"),
        ("topic.metadata.refresh.interval.ms", "60000"),
        // An unknown topic is an error after this time, not after 30 s.
        ("topic.metadata.propagation.max.ms", "2000"),
        // Idle connections end; that is no news.
        ("log.connection.close", "false"),
    ];
    for (key, value) in settings {
        config.set(key, value);
    }
    for (key, value) in extra {
        config.set(key, value);
    }
    config
}

/// A client that only asks: metadata, ends of topics, admin.
pub(super) fn asking(bootstrap: &str, extra: &BTreeMap<String, String>, committed: bool) -> ClientConfig {
    let mut config = base(bootstrap, "esp-mesh-ask", extra);
    config.set("isolation.level", isolation(committed));
    config
}

fn isolation(committed: bool) -> &'static str {
    if committed { "read_committed" } else { "read_uncommitted" }
}

/// A reader of `topics` topics, each with a queue of its own.
pub(super) fn reader(
    bootstrap: &str,
    extra: &BTreeMap<String, String>,
    options: &ReaderOptions,
    group: &str,
    topics: usize,
) -> ClientConfig {
    // Half for what is queued, half for the answers that are on their way.
    let share = (options.buffer_bytes_max / 2 / topics.max(1)).max(16 * 1024);
    let fetch = share.clamp(16 * 1024, 8 * 1024 * 1024);
    // A queued record costs the client some 500 bytes beside its content, so small ones are limited by count.
    let records = (share / 1024).clamp(500, 100_000);
    let mut config = base(bootstrap, &options.client, extra);
    config
        .set("isolation.level", isolation(options.committed_only))
        // Partitions are assigned, nobody joins the group and nothing is committed to it; the client wants a name.
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A lost offset is an error (ReadError::Gone), never a silent jump.
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        // The broker answers as soon as there is a byte to read; without one it holds the request this long. Default
        // 500. Meanwhile no other request goes to that broker, so a topic that was sought, or whose queue was full
        // when the request went out, waits that long for its turn; and only an empty answer tells of the end.
        .set("fetch.wait.max.ms", options.end_within.as_millis().max(1).to_string())
        .set("fetch.min.bytes", "1")
        // After a full queue. Default 1000 ms: a consumer that catches up would stop for a second at a time.
        .set("fetch.queue.backoff.ms", "2")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.message.max.bytes", fetch.to_string())
        // No limit of what is read (a longer record comes alone), but fetch.max.bytes must not be below it.
        .set("message.max.bytes", fetch.clamp(1_000, 1_000_000).to_string())
        .set(
            "fetch.max.bytes",
            fetch.max(1024).saturating_mul(topics.max(1)).clamp(fetch, 512 * 1024 * 1024).to_string(),
        )
        .set("receive.message.max.bytes", "1000000000")
        .set("queued.min.messages", records.to_string())
        .set("queued.max.messages.kbytes", (share / 1024).clamp(16, 2_097_151).to_string())
        // The broker's checksum covers disk and network; checking again costs a tenth of the reading.
        .set("check.crcs", "false");
    config
}

/// A transactional writer.
pub(super) fn writer(bootstrap: &str, extra: &BTreeMap<String, String>, options: &WriterOptions) -> ClientConfig {
    let timeout = transaction_timeout(options);
    let kbytes = (options.buffer_bytes_max / 1024).clamp(64, 2_097_151);
    // A queued record costs the client some 200 bytes beside its content.
    let records = (options.buffer_bytes_max / 256).clamp(1_000, 1_000_000);
    let mut config = base(bootstrap, &options.client, extra);
    config
        .set("transactional.id", &options.transactional_id)
        .set("transaction.timeout.ms", timeout.as_millis().to_string())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("max.in.flight.requests.per.connection", "5")
        // A record is given up before the broker gives the transaction up.
        .set("message.timeout.ms", timeout.as_millis().to_string())
        // Must be below the transaction timeout.
        .set("socket.timeout.ms", timeout.as_millis().saturating_sub(100).clamp(900, 5_000).to_string())
        // The client refuses to queue beyond these; Writer::send then waits.
        .set("queue.buffering.max.messages", records.to_string())
        .set("queue.buffering.max.kbytes", kbytes.to_string())
        .set("message.max.bytes", "1000000000");
    // These the user may set, e.g. a linger for load that is throughput only.
    let tunable = [
        // A batch goes out at once; while one is on its way the next one fills. Default 5 ms, paid by every commit.
        ("linger.ms", "0"),
        ("batch.size", "1000000"),
        ("batch.num.messages", "100000"),
        // Columns compress well: a third of the bytes for three brokers to write and two engines to read.
        ("compression.type", "lz4"),
    ];
    for (key, value) in tunable {
        if !extra.contains_key(key) {
            config.set(key, value);
        }
    }
    config
}

/// The transaction timeout as Kafka gets it.
pub(super) fn transaction_timeout(options: &WriterOptions) -> Duration {
    options.transaction_timeout.max(TRANSACTION_TIMEOUT_MIN)
}
