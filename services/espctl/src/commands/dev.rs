//! `espctl dev`: a project in this process, with one engine: lines in, lines out.

use mesh_adapter::{FsType, Target};
use mesh_connector::publish::source::Name;
use mesh_engine::project::connectors::Permit;
use mesh_model::{Connector, Direction, Endpoint, Project, parse_project};
use mesh_proto::coordinator::{ListProjectsRequest, MeshStatusRequest};
use mesh_proto::engine::ConnectorStatus;
use mesh_service::security::Caller;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::files;
use crate::cli::Dev;
use crate::fail::Fail;
use crate::local::services::Adapter;
use crate::local::{Local, topics};
use crate::mesh::{ASK, Client};
use crate::out;

/// How often it is looked whether everything is done.
const LOOK: Duration = Duration::from_millis(20);
/// How long the outputs may take to arrive once everything is applied.
const LAST_OUTPUT: Duration = Duration::from_secs(10);

/// What connectors of the project may use, beside the files in the current folder.
const ADDRESSES: [&str; 2] = ["localhost:*", "127.0.0.1:*"];

/// Runs the project.
pub async fn run(arguments: Dev) -> Result<(), Fail> {
    let xml = files::project(&arguments.file, &[])?;
    let file = arguments.file.display().to_string();
    let checked = parse_project(&xml, &file, &BTreeMap::new()).map_err(|found| {
        out::note(&found.to_string());
        Fail::Said
    })?;
    let project = checked.project;
    let input = pick("--into", &project.inputs(), arguments.into.as_deref())?;
    let output = pick("--output", &project.outputs(), arguments.output.as_deref())?;
    if let Some(path) = &arguments.input
        && let Err(error) = std::fs::File::open(path)
    {
        return Err(Fail::input(format!(
            "read events from `{}`: {error}; expected a file of CSV lines",
            path.display()
        )));
    }

    let folder = std::env::current_dir().map_err(|error| Fail::input(format!("the current folder: {error}")))?;
    begin_anew(&project, &Permit { folder: Some(folder.clone()), addresses: Vec::new() })?;
    let local = Local::start(false).await?;
    let engine = local.engine_with("engine", |config| {
        config.connectors_dir = folder.display().to_string();
        config.connectors_addresses = ADDRESSES.map(str::to_owned).to_vec();
    })?;
    local.deploy(&xml, &file).await?;
    let host_port = url_host_port(&local).await?;
    let url = |window: &str| format!("dfESP://{}/{}/{window}", with_colon(&host_port), project.name);
    let subscriber =
        local.subscriber(format!("type=sub,url={},fsname=-", url(&output)), Arc::new(local.bus.clone()))?;
    out::note(&format!("{file}: {} runs; {input} in, {output} out", project.name));
    let ended = match &arguments.input {
        Some(path) => {
            let more = if arguments.options.is_empty() { String::new() } else { format!(",{}", arguments.options) };
            let publisher = local.publisher(format!("type=pub,url={},fsname={}{more}", url(&input), path.display()))?;
            let all = All { local: &local, project: &project, host_port: &host_port };
            until_done(&all, publisher, &url(&input), &subscriber, position(&project, &output)).await
        }
        None if ends(&project) => {
            out::note("no --input: running until the project's own connectors have sent everything");
            let all = All { local: &local, project: &project, host_port: &host_port };
            until_sent(&all, &subscriber, position(&project, &output)).await
        }
        None => {
            out::note("no --input: running until Ctrl-C");
            tokio::signal::ctrl_c().await.map_err(|error| Fail::fault(format!("wait for Ctrl-C: {error}")))
        }
    };
    subscriber.scope.drain.start("done");
    let written = settle("subscriber", subscriber).await;
    // how the engine ends does not change what was written
    let _ = engine.stop().await;
    local.stop();
    ended.and(written)
}

/// What the end is judged by.
struct All<'a> {
    local: &'a Local,
    project: &'a Project,
    host_port: &'a str,
}

/// Waits until the file is published, applied, and its outputs are written.
async fn until_done(
    all: &All<'_>,
    publisher: Adapter,
    input_url: &str,
    subscriber: &Adapter,
    output: usize,
) -> Result<(), Fail> {
    settle("publisher", publisher).await?;
    let topic = Target::parse(input_url).map_err(Fail::fault)?.input_topic();
    let mut since = tokio::time::Instant::now();
    loop {
        if subscriber.running.is_finished() {
            return Ok(()); // its own end says why
        }
        let commits = topics::commits(&all.local.bus, all.host_port, &all.project.name)?;
        let (applied, sequences) = topics::applied(&commits);
        let published = topics::read(&all.local.bus, &topic)?.len() as u64;
        let done = applied.iter().sum::<u64>() >= published;
        if !done {
            since = tokio::time::Instant::now();
        } else if sequence(subscriber).await >= sequences.get(output).copied().unwrap_or(0) {
            return Ok(());
        } else if since.elapsed() > LAST_OUTPUT {
            return Err(Fail::fault(format!(
                "wait for the last output: not within {LAST_OUTPUT:?} after the last event"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The connectors that the engine runs itself, that way.
fn own(project: &Project, direction: Direction) -> impl Iterator<Item = &Connector> {
    let windows = project.queries.iter().flat_map(|query| &query.windows);
    windows.flat_map(|window| &window.connectors).filter(move |connector| connector.is_own(direction))
}

/// The topics are new each time: a file that an earlier run wrote is written anew.
fn begin_anew(project: &Project, permit: &Permit) -> Result<(), Fail> {
    for file in own(project, Direction::Subscribe).filter_map(|connector| connector.property("fsname")) {
        // what the engine may not write, it says itself, and nothing of it is touched here
        let Ok(file) = permit.file(file) else { continue };
        let position = PathBuf::from(format!("{}.position", file.display()));
        if position.is_file() {
            for path in [position, file] {
                std::fs::remove_file(&path)
                    .map_err(|error| Fail::input(format!("begin `{}` anew: {error}", path.display())))?;
            }
        }
    }
    Ok(())
}

/// True when the project has sources of its own, and each comes to an end.
fn ends(project: &Project) -> bool {
    let ends = |connector: &Connector| {
        let file = || Name::parse(connector.property("fsname").unwrap_or_default(), false, FsType::Csv).rewinds();
        let is_whole = || connector.class == "fs" && !connector.is_on("growinginputfile") && file();
        connector.property("maxevents").is_some() || is_whole()
    };
    own(project, Direction::Publish).next().is_some() && own(project, Direction::Publish).all(ends)
}

/// Waits until the project's own sources are at their end, everything is applied, and all sinks have it.
async fn until_sent(all: &All<'_>, subscriber: &Adapter, output: usize) -> Result<(), Fail> {
    let mut since = None;
    loop {
        if subscriber.running.is_finished() {
            return Ok(()); // its own end says why
        }
        let connectors = connectors(all.local).await?;
        if let Some(failed) = connectors.iter().find(|connector| connector.state == "failed") {
            return Err(Fail::input(format!("connector {}: {}", failed.connector, failed.error)));
        }
        let (sources, sinks): (Vec<_>, Vec<_>) = connectors.into_iter().partition(|connector| connector.publishes);
        if !sources.is_empty() && sources.iter().all(|connector| connector.state == "finished") {
            let since = *since.get_or_insert_with(tokio::time::Instant::now);
            let commits = topics::commits(&all.local.bus, all.host_port, &all.project.name)?;
            let (_, sequences) = topics::applied(&commits);
            let last = |output: usize| sequences.get(output).copied().unwrap_or(0);
            let sink_is_done = |sink: &ConnectorStatus| {
                let window = sink.connector.rsplit_once('/').map_or("", |(window, _)| window);
                sink.state == "finished" || sink.sequence >= last(position(all.project, window))
            };
            if sinks.iter().all(sink_is_done) && sequence(subscriber).await >= last(output) {
                return Ok(());
            }
            if since.elapsed() > LAST_OUTPUT {
                return Err(Fail::fault(format!(
                    "wait for the last output: not within {LAST_OUTPUT:?} after the last event"
                )));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The connectors of the only project as the only engine tells of them.
async fn connectors(local: &Local) -> Result<Vec<ConnectorStatus>, Fail> {
    let call = |mut client: Client, request| async move { client.status(request).await };
    let status = local.mesh().call("read the status of the mesh", ASK, MeshStatusRequest::default(), call).await?;
    let engines = status.members.into_iter().filter_map(|member| member.engine);
    Ok(engines.flat_map(|engine| engine.projects).flat_map(|project| project.connectors).collect())
}

/// The last sequence that the subscriber has written.
async fn sequence(subscriber: &Adapter) -> u64 {
    let Ok(link) = Caller::default().connect(&subscriber.address) else { return 0 };
    let mut client = mesh_proto::adapter::adapter_client::AdapterClient::new(link);
    let status = client.status(mesh_service::grpc::request(mesh_proto::adapter::StatusRequest {}, ASK)).await;
    status.map_or(0, |status| status.into_inner().sequence)
}

async fn settle(name: &str, adapter: Adapter) -> Result<(), Fail> {
    match adapter.running.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => Err(Fail::of(failure.kind(), format!("{name}: {failure}"))),
        Err(error) => Err(Fail::fault(format!("{name}: {error}"))),
    }
}

/// The window that was asked for, or the first.
fn pick(flag: &str, known: &[Endpoint<'_>], asked: Option<&str>) -> Result<String, Fail> {
    let names: Vec<String> = known.iter().map(|end| format!("{}/{}", end.query, end.window)).collect();
    let chosen = match asked {
        Some(asked) => names.iter().find(|name| *name == asked),
        None => names.first(),
    };
    chosen.cloned().ok_or_else(|| {
        let found = asked.map_or_else(|| "the project has none".to_owned(), |asked| format!("found `{asked}`"));
        Fail::input(format!("{flag}: expected a window with a topic, one of {}; {found}", names.join(", ")))
    })
}

fn position(project: &Project, output: &str) -> usize {
    let outputs = project.outputs();
    outputs.iter().position(|end| format!("{}/{}", end.query, end.window) == output).unwrap_or(0)
}

async fn url_host_port(local: &Local) -> Result<String, Fail> {
    let call = |mut client: Client, request| async move { client.list_projects(request).await };
    let answer = local.mesh().call("list projects", ASK, ListProjectsRequest {}, call).await?;
    let project = answer.projects.into_iter().next();
    project.map(|project| project.url_host_port).ok_or_else(|| Fail::fault("list projects: expected one, found none"))
}

/// `host_31415` as urls say it; hosts may hold `_`, ports do not.
fn with_colon(host_port: &str) -> String {
    host_port.rsplit_once('_').map_or_else(|| host_port.to_owned(), |(host, port)| format!("{host}:{port}"))
}
