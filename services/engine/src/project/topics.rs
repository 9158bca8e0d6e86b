//! The topics of a project, and what its leader announces on the metadata topic.

use std::sync::Arc;

use bytes::Bytes;
use mesh_bus::{Header, OutRecord};
use mesh_event::topic::{TopicError, TopicKind, TopicName, commit_log_topic, metadata_topic};
use mesh_model::Project;
use mesh_proto::replication::SchemaAnnouncement;
use mesh_replication::Term;
use mesh_windows::{Endpoint, Executor};
use prost::Message;

/// Version of the announcement's layout.
pub const ANNOUNCEMENT_VERSION: u32 = 1;

/// The topics of a project.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Commit log (`.C`).
    pub log: Arc<str>,
    /// Metadata (`.M`), shared by the projects of a host and port.
    pub metadata: Arc<str>,
    /// Input topics (`.I`) by index.
    pub inputs: Vec<Arc<str>>,
    /// Output topics (`.O`) by index.
    pub outputs: Vec<Arc<str>>,
}

impl Topics {
    /// The topics of a project under a host and port (`<host>_<port>`).
    pub fn of(project: &Project, url_host_port: &str) -> Result<Topics, TopicError> {
        let name = |query: &str, window: &str, kind| {
            let name = TopicName {
                host_port: url_host_port.to_owned(),
                project: project.name.clone(),
                query: query.to_owned(),
                window: window.to_owned(),
                kind,
            };
            name.checked().map(|name| Arc::from(name.to_string()))
        };
        let inputs = project.inputs().into_iter().map(|input| name(input.query, input.window, TopicKind::Input));
        let outputs = project.outputs().into_iter().map(|output| name(output.query, output.window, TopicKind::Output));
        Ok(Topics {
            log: Arc::from(commit_log_topic(url_host_port, &project.name)?),
            metadata: Arc::from(metadata_topic(url_host_port)?),
            inputs: inputs.collect::<Result<_, _>>()?,
            outputs: outputs.collect::<Result<_, _>>()?,
        })
    }

    /// Makes the records that tell publishers and subscribers the windows' schemas.
    pub fn announcements(&self, project: &Project, executor: &Executor) -> Box<dyn Fn(Term) -> Vec<OutRecord> + Send> {
        let announce = |endpoint: &Endpoint, input: bool| SchemaAnnouncement {
            version: ANNOUNCEMENT_VERSION,
            project: project.name.clone(),
            query: endpoint.query.clone(),
            window: endpoint.window.clone(),
            schema: endpoint.schema.to_string(),
            schema_fingerprint: endpoint.schema.fingerprint(),
            model_fingerprint: project.fingerprint,
            input,
            autogen_key: endpoint.autogen_key,
            term: 0,
        };
        let inputs = executor.inputs().iter().map(|endpoint| announce(endpoint, true));
        // The last record of a key holds: a source window whose events also go out stays one that takes events.
        let is_input = |endpoint: &&Endpoint| {
            let mut inputs = executor.inputs().iter();
            inputs.any(|input| (&input.query, &input.window) == (&endpoint.query, &endpoint.window))
        };
        let outputs = executor.outputs().iter().filter(|output| !is_input(output));
        let outputs = outputs.map(|endpoint| announce(endpoint, false));
        let announcements: Vec<SchemaAnnouncement> = inputs.chain(outputs).collect();
        let topic = self.metadata.clone();
        Box::new(move |term| {
            let record = |announcement: &SchemaAnnouncement| {
                let SchemaAnnouncement { project, query, window, .. } = announcement;
                OutRecord {
                    topic: topic.clone(),
                    key: Some(Bytes::from(format!("{project}/{query}/{window}"))),
                    headers: vec![Header { key: "term", value: Bytes::from(term.to_string()) }],
                    payload: SchemaAnnouncement { term: term.0, ..announcement.clone() }.encode_to_vec().into(),
                }
            };
            announcements.iter().map(record).collect()
        })
    }
}
