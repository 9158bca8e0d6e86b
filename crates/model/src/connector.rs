//! Connectors: property bags that bind a window to a topic, a file or a script.

use std::collections::BTreeMap;

/// Which way a connector carries events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into the window.
    Publish,
    /// Out of the window.
    Subscribe,
}

/// True when the name of a file is an address instead: `:port` listens, `host:port` connects.
pub fn is_address(fsname: &str) -> bool {
    fsname.rsplit_once(':').is_some_and(|(host, port)| !host.contains('/') && port.parse::<u16>().is_ok())
}

/// A connector of a window, with its properties as written after substitution and trimming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Name, unique in its window.
    pub name: String,
    /// Class, such as `kafka` or `fs`.
    pub class: String,
    /// Which way it carries events.
    pub direction: Direction,
    /// False for `active="false"`: kept, but never started.
    pub active: bool,
    /// True when an engine runs it itself: it is active, and a source or sink of its own, not a topic.
    pub own: bool,
    /// Properties by name.
    pub properties: BTreeMap<String, String>,
    /// Line in the file, from 1.
    pub line: u32,
}

impl Connector {
    /// A property's value; `None` when absent or empty.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A property that is on: `true`, `yes`, `on` or `1`, case-free.
    pub fn is_on(&self, name: &str) -> bool {
        let on = |value: &str| ["true", "yes", "on", "1"].iter().any(|word| value.eq_ignore_ascii_case(word));
        self.property(name).is_some_and(on)
    }

    /// True when it carries events this way and an engine runs it itself.
    pub fn is_own(&self, direction: Direction) -> bool {
        self.own && self.direction == direction
    }

    /// True for an active kafka connector that carries events this way.
    pub fn is_active_kafka(&self, direction: Direction) -> bool {
        self.active && self.class == "kafka" && self.direction == direction
    }
}
