//! The six parts of the stack and the ports they listen on.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Number of Kafka brokers; each is a KRaft controller too.
pub const BROKERS: u16 = 3;
/// Ports that a stack with a base port of its own takes, from the base port on.
pub const PORTS_PER_STACK: u16 = 26;

/// Listeners of Jaeger that nobody here uses.
const JAEGER_OTHER_PORTS: u16 = 10;

/// One process of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A Kafka broker, numbered from 1.
    Kafka(u16),
    /// The ZooKeeper server.
    Zookeeper,
    /// The etcd server.
    Etcd,
    /// Jaeger, all in one, traces in memory.
    Jaeger,
}

impl Part {
    /// All parts, in the order of the status table.
    pub const ALL: [Part; 6] =
        [Part::Kafka(1), Part::Kafka(2), Part::Kafka(3), Part::Zookeeper, Part::Etcd, Part::Jaeger];
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Part::Kafka(number) => return out.pad(&format!("kafka-{number}")),
            Part::Zookeeper => "zookeeper",
            Part::Etcd => "etcd",
            Part::Jaeger => "jaeger",
        };
        out.pad(name)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Part::ALL.into_iter().find(|part| part.to_string() == text).ok_or_else(|| {
            let known: Vec<String> = Part::ALL.iter().map(Part::to_string).collect();
            format!("no part of the stack is called {text:?}; known: {}", known.join(", "))
        })
    }
}

/// Every port of one stack, all on 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Client ports of the brokers.
    pub kafka: [u16; BROKERS as usize],
    /// Ports of the brokers that take only TLS, and only clients with a certificate.
    pub kafka_tls: [u16; BROKERS as usize],
    /// KRaft controller ports of the brokers.
    pub kafka_controller: [u16; BROKERS as usize],
    /// Client port of ZooKeeper.
    pub zookeeper: u16,
    /// The same over TLS.
    pub zookeeper_tls: u16,
    /// Client port of etcd.
    pub etcd: u16,
    /// The same over TLS.
    pub etcd_tls: u16,
    /// Peer port of etcd; one member only, but it insists on listening.
    pub etcd_peer: u16,
    /// Jaeger's query API.
    pub jaeger: u16,
    /// Jaeger's OTLP gRPC receiver.
    pub otlp: u16,
    /// First of the ten ports that Jaeger's other listeners get, so that they never meet another Jaeger.
    pub jaeger_other: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Ports {
            kafka: [19092, 19093, 19094],
            kafka_tls: [19095, 19096, 19097],
            kafka_controller: [19192, 19193, 19194],
            zookeeper: 12181,
            zookeeper_tls: 12182,
            etcd: 12379,
            etcd_tls: 12381,
            etcd_peer: 12380,
            jaeger: 16686,
            otlp: 14317,
            jaeger_other: 14320,
        }
    }
}

impl Ports {
    /// The ports of a second stack: `base` and the ones after it; `None` if they do not fit below 65536.
    pub fn from_base(base: u16) -> Option<Self> {
        base.checked_add(PORTS_PER_STACK)?;
        Some(Ports {
            kafka: [base, base + 1, base + 2],
            kafka_tls: [base + 21, base + 22, base + 23],
            kafka_controller: [base + 3, base + 4, base + 5],
            zookeeper: base + 6,
            zookeeper_tls: base + 24,
            etcd: base + 7,
            etcd_tls: base + 25,
            etcd_peer: base + 8,
            jaeger: base + 9,
            otlp: base + 10,
            jaeger_other: base + 11,
        })
    }

    /// Whether nobody listens on any of these ports.
    pub fn are_free(&self) -> bool {
        self.all().into_iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    }

    fn all(&self) -> Vec<u16> {
        let mut all: Vec<u16> = [self.kafka, self.kafka_tls, self.kafka_controller].concat();
        all.extend([
            self.zookeeper,
            self.zookeeper_tls,
            self.etcd,
            self.etcd_tls,
            self.etcd_peer,
            self.jaeger,
            self.otlp,
        ]);
        all.extend(self.jaeger_other..self.jaeger_other + JAEGER_OTHER_PORTS);
        all
    }

    /// The port on which a part serves its clients.
    pub fn client_port(&self, part: Part) -> u16 {
        match part {
            Part::Kafka(number) => self.kafka[usize::from(number) - 1],
            Part::Zookeeper => self.zookeeper,
            Part::Etcd => self.etcd,
            Part::Jaeger => self.jaeger,
        }
    }

    /// The address on which a part serves its clients.
    pub fn address(&self, part: Part) -> String {
        format!("127.0.0.1:{}", self.client_port(part))
    }

    /// All brokers, as a bootstrap list.
    pub fn bootstrap(&self) -> String {
        self.kafka.map(|port| format!("127.0.0.1:{port}")).join(",")
    }

    /// All brokers over TLS, as a bootstrap list.
    fn bootstrap_tls(&self) -> String {
        self.kafka_tls.map(|port| format!("127.0.0.1:{port}")).join(",")
    }

    /// What tests and services need to know, as environment variables.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ESP_MESH_KAFKA", self.bootstrap()),
            ("ESP_MESH_ZOOKEEPER", self.address(Part::Zookeeper)),
            ("ESP_MESH_ETCD", self.address(Part::Etcd)),
            ("ESP_MESH_KAFKA_TLS", self.bootstrap_tls()),
            ("ESP_MESH_ZOOKEEPER_TLS", format!("127.0.0.1:{}", self.zookeeper_tls)),
            ("ESP_MESH_ETCD_TLS", format!("127.0.0.1:{}", self.etcd_tls)),
            ("ESP_MESH_JAEGER", self.address(Part::Jaeger)),
            ("ESP_MESH_OTLP", format!("127.0.0.1:{}", self.otlp)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_read_back_and_a_wrong_name_lists_the_known_ones() {
        for part in Part::ALL {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        let error = "kafka-4".parse::<Part>().unwrap_err();
        assert!(error.contains("kafka-1, kafka-2, kafka-3, zookeeper, etcd, jaeger"), "{error}");
    }

    #[test]
    fn no_port_is_taken_twice() {
        for ports in [Ports::default(), Ports::from_base(30000).unwrap()] {
            let all = ports.all();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{ports:?}");
        }
        assert_eq!(Ports::from_base(65530), None);
    }
}
