//! A whole mesh in this process: the real services' code on the memory implementations of their ports, talking gRPC
//! over loopback. No Java, no Docker, nothing on disk.
//!
//! - [`bus`] is what one "process" sees of the bus, and how it dies; [`engine`] an engine that can be killed
//! - [`services`] has everything around the engines; [`topics`] reads what stands in the topics

#[cfg(test)]
mod api;
pub mod bus;
pub mod engine;
pub mod services;
pub mod topics;

pub use bus::{Death, ProcessBus};
pub use engine::EngineProcess;
pub use services::Local;

/// Listens on a free loopback port; the address is what others connect to.
pub(crate) fn listen() -> Result<(std::net::TcpListener, String), crate::fail::Fail> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        Ok((listener, address))
    });
    bound.map_err(|error| crate::fail::Fail::fault(format!("listen on a free loopback port: {error}")))
}
