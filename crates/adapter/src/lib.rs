//! What the publisher and the subscriber adapter share: their command line, their transport file, their options and
//! the schema of the window that they serve.
//!
//! Read [`PublisherOptions`] and [`SubscriberOptions`] first: everything else produces or serves them.
//!
//! Code map:
//! - [`line`]: `-C key=value,key="va,lue",...` into settings; [`legacy`]: the older `-k pub -h url -f file ...`
//! - [`cfg`]: the transport file (`kafka { } sas { }`) into settings
//! - [`table`]: every known key with side, kind, default and meaning
//! - [`settings`]: settings into typed values, all problems at once
//! - [`transport`]: what the transport file says; [`options`]: the checked options of either adapter;
//!   `csv_in`, `rotation`: parts of them
//! - [`target`]: the window by its url; [`schema`]: its announcement on the metadata topic
//!
//! **Invariant:** an unknown key warns and never fails; a known key with a bad value fails and never warns.
//! **Invariant:** parsing does no I/O but reading the transport file that the line names.

pub mod cfg;
mod csv_in;
pub mod legacy;
pub mod line;
pub mod options;
mod rotation;
pub mod schema;
pub mod settings;
pub mod suggest;
pub mod table;
pub mod target;
pub mod transport;

pub use csv_in::CsvIn;
pub use options::{Checked, Common, FsType, HeaderRow, PublisherOptions, SubscriberOptions};
pub use rotation::Rotation;
pub use schema::{Announced, SchemaLookupError, lookup};
pub use settings::{Place, Problem, Refused, Setting};
pub use target::Target;
pub use transport::{Failover, Transport};
