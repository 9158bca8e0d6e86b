//! The log lines of the reference architecture, word for word, so that scripts which watch for them keep working
//! (shared/reference ha-behaviour 1.2). Our own structured lines stand beside them.

use mesh_model::{Direction, Project};

/// Names of a project's failover connectors, and what was said of them.
#[derive(Debug)]
pub struct Lines {
    publishers: Vec<String>,
    subscribers: Vec<String>,
    watching: String,
}

impl Lines {
    /// For a project's connectors; projects without any get the names of the reference's sample.
    pub fn new(project: &Project) -> Lines {
        let names = |direction, otherwise: &str| {
            let found = project.kafka_connectors().filter(|connector| connector.is_active_kafka(direction));
            let names: Vec<String> = found.map(|connector| connector.name.clone()).collect();
            if names.is_empty() { vec![otherwise.to_owned()] } else { names }
        };
        Lines {
            publishers: names(Direction::Publish, "kafka_IN"),
            subscribers: names(Direction::Subscribe, "kafka_OUT"),
            watching: String::new(),
        }
    }

    /// The project begins, as a standby.
    pub fn start(&self) {
        self.standby();
        self.running(&self.subscribers);
    }

    /// The role is standby.
    pub fn standby(&self) {
        line("dfESPkafkaConnector::start(): Hot failover state switched to standby");
    }

    /// The candidate has its znode.
    pub fn joined(&self, znode: &str) {
        line(
            "dfESPkafkaConnector::z_watcher(): Zookeeper watcher event: watcher = SESSION_EVENT, state = CONNECTED_STATE, path = ",
        );
        line(&format!("dfESPkafkaConnector::z_watcher(): Created zookeeper node {znode}"));
        self.running(&self.publishers);
    }

    /// The candidate follows the leader of this znode.
    pub fn watching(&mut self, znode: &str) {
        if self.watching != znode {
            line(&format!("dfESPkafkaConnector::watchActiveZnode(): Watching zookeeper node {znode}"));
            self.watching = znode.to_owned();
        }
    }

    /// The role is active.
    pub fn active(&mut self) {
        self.watching.clear();
        line("dfESPkafkaConnector::goActive(): Hot failover state switched to active");
    }

    fn running(&self, connectors: &[String]) {
        for name in connectors {
            line(&format!("dfESPconnector::setState(): Connector {name} in group default has new state: running"));
        }
    }
}

/// The engine has this many projects.
pub fn starting(projects: usize) {
    line(&format!("starting esp server with {projects} project(s)"));
}

/// The REST server listens.
pub fn http(port: u16) {
    line(&format!("starting HTTP server on port {port}, type=admin"));
}

fn line(text: &str) {
    tracing::info!(target: "esp", "{text}");
}
