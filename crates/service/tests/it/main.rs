//! Servers and traces as others meet them, over real sockets on free ports.

mod admin;
mod grpc;
mod play;
mod traces;
