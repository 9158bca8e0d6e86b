//! What a project's own connectors ask for.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_adapter::{Place, PublisherOptions, Setting, SubscriberOptions};
use mesh_connector::notify::Delivery;
use mesh_connector::publish::source::{LuaScript, Name as Source, Timer};
use mesh_connector::subscribe::sink::Name as Sink;
use mesh_model::{Connector, Direction, Endpoint, Project, WindowKind};
use mesh_script::ScriptText;

use super::mail::Mail;
use super::permit::Permit;
use crate::project::topics::Topics;

/// Properties that are said otherwise: the direction and the file, and the section of a file of defaults.
const TAKEN_OUT: [&str; 3] = ["type", "fsname", "configfilesection"];

/// A connector.
#[derive(Debug, Clone)]
pub(in crate::project) struct Spec {
    /// `query/window/connector`.
    pub path: String,
    /// Class.
    pub class: String,
    /// Which way it carries events.
    pub direction: Direction,
    /// What it reads or writes: a file, an address, the clock.
    pub endpoint: String,
    /// The input that it publishes to.
    pub input: Option<usize>,
    /// Topic that it reads or writes.
    pub topic: Arc<str>,
    /// What is to be run; or why it cannot be, in words.
    pub work: Result<Work, String>,
}

/// What is to be run.
#[derive(Debug, Clone)]
pub(in crate::project) enum Work {
    Publish { options: Box<PublisherOptions>, source: Source },
    Subscribe { options: Box<SubscriberOptions> },
    Notify { delivery: Box<Delivery> },
}

/// The notification windows whose messages this engine sends while it leads; none while it may reach nobody.
pub(in crate::project) fn senders(project: &Project, topics: &Topics, mail: &Mail) -> Vec<Spec> {
    let mut specs = Vec::new();
    for (index, endpoint) in project.outputs().iter().enumerate() {
        let window = &project.queries[endpoint.query_index].windows[endpoint.window_index];
        let WindowKind::Notification(spec) = &window.kind else { continue };
        if mail.addresses.is_empty() {
            tracing::info!(
                window = format!("{}/{}", endpoint.query, endpoint.window),
                "its messages are not sent by this engine: `notification_addresses` permits no host"
            );
            continue;
        }
        let smtp = mail.server(spec.smtp.as_ref());
        specs.push(Spec {
            path: format!("{}/{}/messages", endpoint.query, endpoint.window),
            class: "notification".to_owned(),
            direction: Direction::Subscribe,
            endpoint: smtp.as_ref().map_or("webhook".to_owned(), |smtp| format!("{}:{}", smtp.host, smtp.port)),
            input: None,
            topic: topics.outputs[index].clone(),
            work: Ok(Work::Notify { delivery: Box::new(Delivery { smtp, permitted: mail.permitted() }) }),
        });
    }
    specs
}

/// The connectors that an engine runs itself, in model order.
pub(in crate::project) fn specs(project: &Project, topics: &Topics, url_host_port: &str) -> Vec<Spec> {
    let lent = ScriptText { properties: project.properties.clone(), ..ScriptText::default() };
    let mut specs = Vec::new();
    for (direction, endpoints) in [(Direction::Publish, project.inputs()), (Direction::Subscribe, project.outputs())] {
        for (index, endpoint) in endpoints.iter().enumerate() {
            let window = &project.queries[endpoint.query_index].windows[endpoint.window_index];
            for connector in window.connectors.iter().filter(|connector| connector.is_own(direction)) {
                let path = format!("{}/{}/{}", endpoint.query, endpoint.window, connector.name);
                let (host, port) = url_host_port.rsplit_once('_').unwrap_or((url_host_port, ""));
                let (project, query, window) = (&project.name, endpoint.query, endpoint.window);
                let url = format!("dfESP://{host}:{port}/{project}/{query}/{window}");
                let publishes = direction == Direction::Publish;
                specs.push(Spec {
                    endpoint: connector.property("fsname").unwrap_or(&connector.class).to_owned(),
                    input: publishes.then_some(index),
                    topic: if publishes { &topics.inputs[index] } else { &topics.outputs[index] }.clone(),
                    work: work(connector, endpoint, url, &path, &lent),
                    class: connector.class.clone(),
                    direction,
                    path,
                });
            }
        }
    }
    specs
}

fn work(
    connector: &Connector,
    endpoint: &Endpoint<'_>,
    url: String,
    path: &str,
    lent: &ScriptText,
) -> Result<Work, String> {
    let property = |name: &str| connector.property(name);
    let made = match connector.class.as_str() {
        "timer" => {
            let timer = Timer::new(property, endpoint.schema)?;
            Some((timer.identity(), Source::Timer(timer)))
        }
        "lua" => {
            let script = LuaScript::new(property, lent.clone())?;
            Some((script.identity(), Source::Lua(script)))
        }
        _ => None,
    };
    let file = connector.property("fsname").unwrap_or_default();
    let fsname = match (&made, connector.direction) {
        (Some((identity, _)), _) => format!("{}: {identity}", connector.name),
        // What positions name: the same file on another engine, whatever its folder is called there.
        (None, Direction::Publish) => format!("{}: {file}", connector.name),
        (None, Direction::Subscribe) => file.to_owned(),
    };
    let setting = |key: &str, value: &str| Setting { key: key.into(), value: value.into(), place: Place::Line };
    let mut settings = vec![setting("url", &url), setting("fsname", &fsname)];
    let is_read = |key: &str| match made.is_some() {
        true => key == "maxevents" || key == "transactional",
        false => !TAKEN_OUT.contains(&key),
    };
    let given = connector.properties.iter().filter(|(key, value)| is_read(key) && !value.is_empty());
    settings.extend(given.map(|(key, value)| setting(&key.to_ascii_lowercase(), value)));
    let warn = |warnings: &[mesh_adapter::Problem]| {
        for warning in warnings {
            tracing::warn!(connector = path, "{}", warning.message);
        }
    };
    if connector.direction == Direction::Publish && connector.is_on("fresh") {
        return Err("`fresh` would publish the source anew at each takeover; leave it out".to_owned());
    }
    match connector.direction {
        Direction::Publish => {
            let checked = PublisherOptions::from_settings(settings).map_err(|refused| said(&refused))?;
            warn(&checked.warnings);
            let options = checked.options;
            let source = match made {
                Some((_, source)) => source,
                None => Source::parse(file, options.growing, options.common.fstype),
            };
            Ok(Work::Publish { options: Box::new(options), source })
        }
        Direction::Subscribe => {
            let checked = SubscriberOptions::from_settings(settings).map_err(|refused| said(&refused))?;
            warn(&checked.warnings);
            Ok(Work::Subscribe { options: Box::new(checked.options) })
        }
    }
}

/// The problems without the place, which is the connector.
fn said(refused: &mesh_adapter::Refused) -> String {
    refused.problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
}

impl Work {
    /// The work with files and addresses as this engine may use them.
    ///
    /// # Errors
    /// What it may not touch.
    pub fn permitted(&self, permit: &Permit) -> Result<Work, String> {
        let file = |path: &str| permit.file(path).map(|path: PathBuf| path.display().to_string());
        let mut work = self.clone();
        match &mut work {
            // Each message has its own address, which is asked for when it is sent.
            Work::Notify { .. } => {}
            Work::Publish { source, .. } => match source {
                Source::File { path } | Source::Document { path, .. } => *path = file(path)?,
                Source::Files(files) => files.resolve(permit.folder.clone(), file)?,
                Source::Connect { address } => permit.address(address)?,
                Source::Listen { address } => {
                    let port = address.rsplit_once(':').map_or("", |(_, port)| port);
                    permit.address(&format!(":{port}"))?;
                }
                Source::Timer(_) | Source::Lua(_) => {}
            },
            Work::Subscribe { options } => match Sink::parse(&options.common.fsname) {
                Sink::File(path) => options.common.fsname = file(&path)?,
                Sink::Connect(address) => permit.address(&address)?,
                Sink::Stdout => return Err("the standard output is the engine's own; name a file".to_owned()),
            },
        }
        Ok(work)
    }
}
