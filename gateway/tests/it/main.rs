//! The gateway over HTTP beside a coordinator that the test plays, and as a process.

mod mesh;
mod process;
