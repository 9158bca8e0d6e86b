//! Servers and traces as others meet them, over real sockets on free ports.
#![allow(clippy::unwrap_used)] // a helper that fails, fails its test

mod admin;
mod administration;
mod announce;
mod grpc;
mod limits;
mod play;
mod renewal;
mod security;
mod traces;
