//! A gRPC server as every service has it.

use futures_util::StreamExt;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tower::Service;

use super::deadline::DeadlineLayer;
use super::trace::TraceLayer;
use crate::config::Base;
use crate::drain::Drain;
use crate::exit::Failure;
use crate::security::Security;
use crate::security::gate::GateLayer;
use crate::security::limit::LimitLayer;
use crate::security::listen::incoming;
use crate::security::tls::Protocol;

/// A connection that is silent for this long is asked whether it lives.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);

/// It must answer within this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// Requests in work at a time per connection; more are refused.
    pub requests_max: usize,
    /// Deadline of requests whose caller names none.
    pub request_timeout: Duration,
    /// How long open streams may go on after a drain has started.
    pub drain_max: Duration,
}

/// Builds and runs a server with health, reflection, deadlines, limits and traces.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    security: Security,
}

impl From<&Base> for ServerOptions {
    fn from(base: &Base) -> Self {
        ServerOptions {
            requests_max: base.requests_max,
            request_timeout: base.request_timeout.0,
            // the rest of the grace period is for what comes after: flushing, and the process's end
            drain_max: base.grace.0 / 2,
        }
    }
}

impl Server {
    /// A server without services of its own.
    pub fn new(options: impl Into<ServerOptions>) -> Self {
        Server {
            options: options.into(),
            routes: RoutesBuilder::default(),
            names: Vec::new(),
            security: Security::default(),
        }
    }

    /// Asks callers for what the settings say; without it everybody may connect and call.
    #[must_use]
    pub fn secured(mut self, security: &Security) -> Self {
        self.security = security.clone();
        self
    }

    /// Adds a generated server.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // reads as a list of services; nothing is summed
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Serves until the drain starts and the open requests are done; health says NOT_SERVING from the drain's start on.
    /// Streams must end by themselves when the drain starts; those that do not are cut after `drain_max`.
    /// Dropping the future is as good as killing a process: the port is closed and every connection breaks.
    pub async fn serve(mut self, listener: TcpListener, drain: Drain) -> Result<(), Failure> {
        let (health, health_server) = tonic_health::server::health_reporter();
        self.routes.add_service(health_server);
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(mesh_proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|error| Failure::fault(format!("gRPC reflection: {error}")))?;
        self.routes.add_service(reflection);
        for name in &self.names {
            health.set_service_status(*name, ServingStatus::Serving).await;
        }

        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let names = self.names.clone();
        let drain_at_serve = drain.clone();
        let stop = async move {
            drain_at_serve.started().await;
            health.set_service_status("", ServingStatus::NotServing).await;
            for name in names {
                health.set_service_status(name, ServingStatus::NotServing).await;
            }
        };
        // whatever ends this call, dropping it included, ends the connections
        let connections = CancellationToken::new();
        let _cut = connections.clone().drop_guard();
        let limits = self.security.limits(self.options.requests_max);
        let accepted = incoming(listener, self.security.door(Protocol::Grpc), limits.clone(), connections);
        // first to last as a request meets them: limits, trace, deadline, token, service
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .layer(LimitLayer(limits))
            .layer(TraceLayer)
            .layer(DeadlineLayer { default: self.options.request_timeout })
            .layer(GateLayer(self.security.gate))
            .add_routes(self.routes.routes())
            .serve_with_incoming_shutdown(accepted.map(Ok::<_, std::io::Error>), stop);
        let cut = async {
            drain.started().await;
            tokio::time::sleep(self.options.drain_max).await;
        };
        tokio::select! {
            served = serving => served.map_err(|error| Failure::fault(format!("gRPC server on {address}: {error}"))),
            () = cut => {
                tracing::warn!(address, limit = ?self.options.drain_max, "streams that did not end with the drain were cut");
                Ok(())
            }
        }
    }
}
