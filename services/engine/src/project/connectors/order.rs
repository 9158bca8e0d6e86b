//! Groups: which connector may start, and what the others wait for.

use mesh_model::{ConnectorEntry, ConnectorState, Project};

/// How far a connector has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// It has not begun, or cannot.
    Nothing,
    /// It works.
    Running,
    /// Everything that it has sent is applied by a commit: whatever starts now comes behind it, whoever leads.
    Finished,
}

/// When each connector starts.
#[derive(Debug, Clone)]
pub(super) struct Gates {
    /// What the connectors of a group wait for: those of the groups before it, with the state they must come to.
    waits: Vec<Vec<Wait>>,
    /// The group of each connector.
    groups: Vec<Option<usize>>,
}

#[derive(Debug, Clone)]
struct Wait {
    name: String,
    state: Reached,
    who: Who,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// One that the engine runs.
    Own(usize),
    /// A kafka connector: it runs as long as the project does, and is never finished.
    Kafka,
    /// One that nobody starts: nothing is to be waited for.
    Nobody,
}

impl Gates {
    /// For connectors by their paths, `query/window/connector`.
    pub fn new(project: &Project, paths: &[&str]) -> Gates {
        let order = &project.start_order;
        let path = |entry: &ConnectorEntry| format!("{}/{}/{}", entry.query, entry.window, entry.connector);
        let waits_of = |group: usize| {
            let before = order.edges.iter().filter(|(_, after)| *after == group).map(|(before, _)| *before);
            let entries = before.flat_map(|before| &order.groups[before].entries);
            entries.map(|entry| wait(project, entry, path(entry), paths)).collect()
        };
        let group_of =
            |own: &&str| order.groups.iter().position(|group| group.entries.iter().any(|entry| path(entry) == **own));
        Gates { waits: (0..order.groups.len()).map(waits_of).collect(), groups: paths.iter().map(group_of).collect() }
    }

    /// What a connector waits for, in words; `None`: it may start. `reached` tells how far each connector is.
    pub fn waits_for(&self, connector: usize, reached: &[Reached]) -> Option<String> {
        let waits = &self.waits[self.groups[connector]?];
        let wait = waits.iter().find(|wait| match wait.who {
            Who::Own(other) => reached[other] < wait.state,
            Who::Kafka => wait.state == Reached::Finished,
            Who::Nobody => false,
        })?;
        let state = if wait.state == Reached::Finished { "finished" } else { "running" };
        let never = if wait.who == Who::Kafka { ", which a kafka connector never is; say `running`" } else { "" };
        Some(format!("`{}` to be {state}{never}", wait.name))
    }
}

fn wait(project: &Project, entry: &ConnectorEntry, name: String, paths: &[&str]) -> Wait {
    let is_kafka = || {
        let windows = project.queries.iter().filter(|query| query.name == entry.query).flat_map(|query| &query.windows);
        let mut connectors = windows.filter(|window| window.name == entry.window).flat_map(|window| &window.connectors);
        connectors.any(|c| c.name == entry.connector && c.active && c.class == "kafka")
    };
    let who = match paths.iter().position(|path| *path == name) {
        Some(own) => Who::Own(own),
        None if is_kafka() => Who::Kafka,
        None => Who::Nobody,
    };
    let state = match entry.state {
        ConnectorState::Started | ConnectorState::Running => Reached::Running,
        ConnectorState::Finished | ConnectorState::Stopped => Reached::Finished,
    };
    Wait { name, state, who }
}
