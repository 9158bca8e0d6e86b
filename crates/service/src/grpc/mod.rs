//! gRPC: [`Server`] for who serves; who calls connects with [`Caller`](crate::security::Caller).

mod client;
mod deadline;
mod server;
mod trace;

pub use client::{Peers, request};
pub use server::{Server, ServerOptions};

/// Limit of one message, both ways. Generated servers and clients must be told: `max_decoding_message_size(MESSAGE_BYTES_MAX)`.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
