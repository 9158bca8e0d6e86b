//! The coordinator over gRPC, on the registry and bus in memory, beside an election and engines that the tests play.

mod away;
mod deploy;
mod host;
mod mesh;
