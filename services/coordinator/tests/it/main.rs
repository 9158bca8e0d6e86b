//! The coordinator over gRPC, on the registry and bus in memory, beside an election and engines that the tests play.
#![allow(clippy::unwrap_used)] // a helper that fails, fails its test

mod away;
mod deploy;
mod host;
mod maintenance;
mod mesh;
mod requests;
mod two;
