//! `espctl dev`: a project in this process, with one engine: lines in, lines out.

use mesh_adapter::Target;
use mesh_model::{Endpoint, Project, parse_project};
use mesh_proto::coordinator::ListProjectsRequest;
use mesh_service::security::Caller;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::project::read;
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

/// Runs the project.
pub async fn run(arguments: Dev) -> Result<(), Fail> {
    let xml = read(&arguments.file)?;
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

    let local = Local::start(false).await?;
    let engine = local.engine("engine")?;
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
            let all = All { local: &local, project: &project, host_port: &host_port, input_url: url(&input) };
            until_done(&all, publisher, &subscriber, position(&project, &output)).await
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
    input_url: String,
}

/// Waits until the file is published, applied, and its outputs are written.
async fn until_done(all: &All<'_>, publisher: Adapter, subscriber: &Adapter, output: usize) -> Result<(), Fail> {
    settle("publisher", publisher).await?;
    let topic = Target::parse(&all.input_url).map_err(Fail::fault)?.input_topic();
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
