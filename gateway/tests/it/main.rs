//! The gateway over HTTP beside a coordinator that the test plays, and as a process.
#![allow(clippy::unwrap_used)] // a helper that fails, fails its test

mod mesh;
mod process;
