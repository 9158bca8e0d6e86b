//! Which topics a project has, how they are made, and what is wrong with those that exist.

use mesh_bus::{Bus, EndOf, TopicInfo, TopicSpec};
use mesh_event::topic::{commit_log_topic, metadata_topic};
use mesh_event::{TopicKind, TopicName};
use mesh_model::{Endpoint, Project};
use mesh_proto::coordinator::Topic;
use mesh_service::{Kind, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::TopicsConfig;
use crate::refuse;

/// Most topics that one answer describes.
const TOPICS_LISTED_MAX: usize = 2000;

/// `max.message.bytes` of output topics: for what cannot be cut.
const MAX_MESSAGE_BYTES: u32 = 10 << 20;

/// A call of the bus gets this much beyond its own deadline before it is given up.
const OVERTIME: Duration = Duration::from_secs(1);

/// The topics of a project, in the order in which they are made. Refuses names that make no topic names.
pub(crate) fn specs(
    url_host_port: &str,
    name: &str,
    project: &Project,
    config: &TopicsConfig,
) -> Result<Vec<TopicSpec>, Refusal> {
    // recovery replays the log and the inputs from their start, so nothing may be dropped
    let keep = [("retention.ms", "-1"), ("retention.bytes", "-1")];
    let compact = [("cleanup.policy", "compact")];
    let mut specs = vec![
        spec(metadata_topic(url_host_port).map_err(refuse::topic)?, config, &compact),
        spec(commit_log_topic(url_host_port, name).map_err(refuse::topic)?, config, &keep),
    ];
    let window = |endpoint: Endpoint<'_>, kind| {
        let topic = TopicName {
            host_port: url_host_port.to_owned(),
            project: name.to_owned(),
            query: endpoint.query.to_owned(),
            window: endpoint.window.to_owned(),
            kind,
        };
        topic.checked().map(|topic| topic.to_string()).map_err(refuse::topic)
    };
    for input in project.inputs() {
        specs.push(spec(window(input, TopicKind::Input)?, config, &keep));
    }
    // Blocks are cut at half a megabyte, but for a transactional one and a single long event.
    let max_message = MAX_MESSAGE_BYTES.to_string();
    for output in project.outputs() {
        specs.push(spec(window(output, TopicKind::Output)?, config, &[("max.message.bytes", &max_message)]));
    }
    specs.extend(config.adapter_meta.iter().map(|topic| spec(topic.clone(), config, &compact)));
    Ok(specs)
}

fn spec(name: String, config: &TopicsConfig, settings: &[(&str, &str)]) -> TopicSpec {
    let min_insync = ("min.insync.replicas", config.min_insync_replicas.to_string());
    let own = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    TopicSpec {
        name,
        replication_factor: config.replication_factor,
        settings: own.chain([(min_insync.0.to_owned(), min_insync.1)]).collect(),
    }
}

/// The topics of `specs` that exist. Refuses when one of them has a shape that order cannot survive.
fn existing(bus: &dyn Bus, specs: &[TopicSpec], deadline: Duration) -> Result<BTreeMap<String, TopicInfo>, Refusal> {
    let mut found = BTreeMap::new();
    for info in bus.topics("", deadline).map_err(refuse::admin)? {
        if specs.iter().any(|spec| spec.name == info.name) {
            if info.partitions != 1 {
                return Err(refuse::wrong_partitions(&info.name, info.partitions));
            }
            found.insert(info.name.clone(), info);
        }
    }
    Ok(found)
}

/// What an existing topic lacks, in words.
pub(crate) fn preflight(spec: &TopicSpec, info: &TopicInfo, warnings: &mut Vec<String>) {
    let topic = &spec.name;
    if info.replication_factor < spec.replication_factor {
        warnings.push(format!(
            "topic `{topic}` has {} copies, expected {}: a lost broker can lose events; make it anew, or reassign its replicas",
            info.replication_factor, spec.replication_factor
        ));
    }
    if info.in_sync < info.replication_factor {
        warnings.push(format!(
            "topic `{topic}` has {} of {} copies in sync: see that every broker is up",
            info.in_sync, info.replication_factor
        ));
    }
    for (key, expected) in &spec.settings {
        match info.settings.get(key) {
            Some(found) if found == expected => {}
            found => warnings.push(format!(
                "topic `{topic}`: `{key}` is {}, expected {expected}{}; change it with `kafka-configs.sh --alter`",
                found.map_or("the broker's default", String::as_str),
                match key.as_str() {
                    "retention.ms" | "retention.bytes" => ", since recovery replays the topic from its start",
                    "max.message.bytes" => ", since a longer output block would stop the project",
                    "min.insync.replicas" => ", since `acks=all` is only as strong as this",
                    _ => "",
                }
            )),
        }
    }
}

/// What [`ensure`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ensured {
    pub(crate) created: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Creates the topics that are missing, after a look at all of them. Blocks.
pub(crate) fn ensure(bus: &dyn Bus, specs: &[TopicSpec], deadline: Duration) -> Result<Ensured, Refusal> {
    let found = existing(bus, specs, deadline)?;
    let mut ensured = Ensured::default();
    for spec in specs {
        if let Some(info) = found.get(&spec.name) {
            preflight(spec, info, &mut ensured.warnings);
        } else if bus.create_topic(spec, deadline).map_err(refuse::admin)? {
            ensured.created.push(spec.name.clone());
        }
    }
    Ok(ensured)
}

/// Topics with their ends. Blocks for at most `deadline` in all.
pub(crate) fn list(bus: &dyn Bus, prefix: &str, deadline: Duration) -> Result<Vec<Topic>, Refusal> {
    let until = Instant::now() + deadline;
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let infos = bus.topics(prefix, left()).map_err(refuse::admin)?;
    if infos.len() > TOPICS_LISTED_MAX {
        return Err(Refusal::new(Kind::Exhausted, format!("list topics that start with `{prefix}`"))
            .expected(format!("at most {TOPICS_LISTED_MAX}"))
            .found(infos.len().to_string())
            .way_out("name a longer prefix"));
    }
    infos
        .into_iter()
        .map(|info| {
            Ok(Topic {
                start_offset: bus.end(&info.name, EndOf::Oldest, left()).map_err(refuse::read)?,
                end_offset: bus.end(&info.name, EndOf::Newest, left()).map_err(refuse::read)?,
                name: info.name,
                partitions: info.partitions,
                replication_factor: info.replication_factor,
                in_sync: info.in_sync,
                settings: info.settings,
            })
        })
        .collect()
}

/// Runs a blocking call of the bus on a thread for such calls.
pub(crate) async fn blocking<T: Send + 'static>(
    bus: &Arc<dyn Bus>,
    what: &str,
    deadline: Duration,
    call: impl FnOnce(&dyn Bus) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let bus = bus.clone();
    let name = bus.name();
    let running = tokio::task::spawn_blocking(move || call(&*bus));
    match tokio::time::timeout(deadline + OVERTIME, running).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Refusal::new(Kind::Fault, what).found("the call panicked").way_out("see the log")),
        Err(_) => Err(Refusal::new(Kind::Deadline, what)
            .expected(format!("an answer of {name} within {deadline:?}"))
            .found("none yet")
            .way_out("see that the bus is up")),
    }
}
