//! What ports and other services say, told to the caller.

use mesh_bus::{AdminError, ReadError};
use mesh_coordination::Error as RegistryError;
use mesh_event::TopicError;
use mesh_service::{Kind, Refusal};

const ETCD_WAY_OUT: &str = "running projects go on without etcd; try again when it is back";
const BUS_WAY_OUT: &str = "see that the bus is up and `kafka.brokers` is right, then try again";

/// A failed call of the registry.
pub(crate) fn registry(error: RegistryError) -> Refusal {
    let text = error.to_string();
    match error {
        RegistryError::Conflict { .. } => Refusal::new(Kind::Conflict, text).way_out("try again"),
        RegistryError::Unknown { .. } => Refusal::new(Kind::Unavailable, text).way_out(ETCD_WAY_OUT),
        RegistryError::Unavailable { .. } => Refusal::new(Kind::Unavailable, text).way_out(ETCD_WAY_OUT),
        RegistryError::Missing { .. } => Refusal::new(Kind::NotFound, text),
        RegistryError::Invalid { .. } => Refusal::new(Kind::Invalid, text),
    }
}

/// A failed administrative call of the bus.
pub(crate) fn admin(error: AdminError) -> Refusal {
    match error {
        AdminError::Partitions { topic, found } => wrong_partitions(&topic, found),
        AdminError::Refused { .. } => Refusal::new(Kind::Conflict, error.to_string()),
        AdminError::Unavailable { .. } => Refusal::new(Kind::Unavailable, error.to_string()).way_out(BUS_WAY_OUT),
    }
}

/// A failed look at a topic.
pub(crate) fn read(error: ReadError) -> Refusal {
    let text = error.to_string();
    match error {
        ReadError::Gone { .. } => Refusal::new(Kind::Conflict, text),
        ReadError::NoTopic { .. } => Refusal::new(Kind::NotFound, text),
        ReadError::Unavailable { .. } => Refusal::new(Kind::Unavailable, text).way_out(BUS_WAY_OUT),
    }
}

/// Names that make no topic name.
pub(crate) fn topic(error: TopicError) -> Refusal {
    Refusal::invalid(error.to_string()).way_out("`urlhostport` is `<host>_<port>`, such as `esp_31415`")
}

/// A topic whose order cannot be relied on.
pub(crate) fn wrong_partitions(topic: &str, found: u32) -> Refusal {
    Refusal::new(Kind::Conflict, format!("topic `{topic}`"))
        .expected("1 partition, since order exists only inside a partition")
        .found(format!("{found} partitions"))
        .way_out(format!("delete it (`espctl topics delete {topic}`) and deploy again, or use another `urlhostport`"))
}
