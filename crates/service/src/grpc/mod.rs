//! gRPC, one function per direction: [`Server`] for who serves, [`connect`] for who calls.

mod client;
mod connection;
mod deadline;
mod server;
mod trace;

pub use client::{Peers, connect, request};
pub use server::{Server, ServerOptions};

/// Limit of one message, both ways. Generated servers and clients must be told: `max_decoding_message_size(MESSAGE_BYTES_MAX)`.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
