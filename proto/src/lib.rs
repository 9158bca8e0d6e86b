//! Wire formats and gRPC APIs of esp-mesh: the `.proto` files in `mesh/*/v1/` and the code generated from them.
//!
//! The generated code is checked in, so that nobody needs `protoc` to build; after a change to a `.proto` file run
//! `cargo run -p xtask --features codegen -- codegen` (CI compares). With feature `grpc` off, only messages are built.
//!
//! **Invariant:** types of this crate stop at the edge: codecs and handlers convert them, business code sees its own types.
#![allow(missing_docs, clippy::all)] // generated from documented .proto files

/// The generated modules, nested as the packages are.
mod mesh {
    pub mod event {
        pub mod v1 {
            include!("generated/mesh.event.v1.rs");
        }
    }
    pub mod replication {
        pub mod v1 {
            include!("generated/mesh.replication.v1.rs");
        }
    }
    #[cfg(feature = "grpc")]
    pub mod admin {
        pub mod v1 {
            include!("generated/mesh.admin.v1.rs");
        }
    }
    #[cfg(feature = "grpc")]
    pub mod election {
        pub mod v1 {
            include!("generated/mesh.election.v1.rs");
        }
    }
    #[cfg(feature = "grpc")]
    pub mod engine {
        pub mod v1 {
            include!("generated/mesh.engine.v1.rs");
        }
    }
    #[cfg(feature = "grpc")]
    pub mod coordinator {
        pub mod v1 {
            include!("generated/mesh.coordinator.v1.rs");
        }
    }
    #[cfg(feature = "grpc")]
    pub mod adapter {
        pub mod v1 {
            include!("generated/mesh.adapter.v1.rs");
        }
    }
}

#[cfg(feature = "grpc")]
pub use mesh::adapter::v1 as adapter;
#[cfg(feature = "grpc")]
pub use mesh::admin::v1 as admin;
#[cfg(feature = "grpc")]
pub use mesh::coordinator::v1 as coordinator;
#[cfg(feature = "grpc")]
pub use mesh::election::v1 as election;
#[cfg(feature = "grpc")]
pub use mesh::engine::v1 as engine;
pub use mesh::event::v1 as event;
pub use mesh::replication::v1 as replication;

/// Descriptors of every package, for gRPC reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptor.bin");
