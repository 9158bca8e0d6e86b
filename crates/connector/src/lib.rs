//! Connectors: what reads a source into an input topic and an output topic into a sink, exactly once where they allow it.
//!
//! The adapters run one as a process, engines run those of a project's own connectors inside, `espctl project run` reads
//! the same files. Read [`publish::Publisher`] and [`subscribe::Subscriber`] first: either does everything on the thread
//! that calls its `run`.
//!
//! Code map:
//! - [`publish`]: source to topic: `publisher`, `session` (carries out `mesh_replication::adapter::PublisherRole`),
//!   `source` (files, sockets), `feed` (the reading thread), `locate` (the last position)
//! - [`subscribe`]: topic to sink: `subscriber`, `sink` (the file with its position beside it; sockets), `shape`
//! - [`group`]: several processes of which one works, by an election's word; publishers and subscribers alike
//! - [`documents`]: JSON and XML as the lines of CSV that say the same; [`order`]: which connector starts when
//! - [`notify`]: messages of notification windows, by SMTP and HTTP; [`http`]: requests with limits
//! - [`bad_events`]: events that could not be applied, in a file
//! - [`settings`]: what both adapters have on their command lines
//!
//! **Invariant:** a block's source position is in the block itself, so position and data cannot part.
//! **Invariant:** a sink's file never holds a block twice or a gap: its position is written after the data that it covers.
//! **Invariant:** memory is bounded: one queue, one transaction; the reader's buffer and `flushbytes` plus one block.

pub mod bad_events;
pub mod documents;
pub mod group;
pub mod http;
pub mod notify;
pub mod order;
pub mod publish;
pub mod settings;
mod state;
pub mod subscribe;

pub use state::State;
