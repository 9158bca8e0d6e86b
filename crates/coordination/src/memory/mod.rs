//! Both ports in memory: for tests and for the mesh in one process. They pass the same contract as the real ones.

mod elections;
mod registry;

pub use elections::MemoryElections;
pub use registry::MemoryRegistry;
