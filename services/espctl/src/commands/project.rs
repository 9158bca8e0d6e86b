//! `espctl project`: check, deploy, list, undeploy (`run`, and `versions` with `rollback`, have files of their own).

use mesh_model::{Checked, Diagnostic, Diagnostics, Severity, parse_project};
use mesh_proto::coordinator::{DeployRequest, ListProjectsRequest, UndeployRequest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

use super::files;
use crate::cli::Project;
use crate::fail::Fail;
use crate::mesh::{ASK, CHANGE, Client, Mesh};
use crate::out::{self, Column};

/// What `check --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    ok: bool,
    project: Option<Summary>,
    problems: Vec<Problem>,
}

/// What a good project is.
#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    model_fingerprint: String,
    windows: usize,
    needs_clock: bool,
    inputs: Vec<Endpoint>,
    outputs: Vec<Endpoint>,
    determinism: Determinism,
}

/// What the project's output depends on beside its events.
#[derive(Debug, Serialize)]
struct Determinism {
    verdict: &'static str,
    windows: Vec<Depends>,
}

/// One dependence of a window.
#[derive(Debug, Serialize)]
struct Depends {
    window: String,
    on: &'static str,
    because: String,
    made_safe: &'static str,
    remains: Option<&'static str>,
}

/// A window with a topic.
#[derive(Debug, Serialize)]
struct Endpoint {
    window: String,
    schema: String,
}

/// A problem of the file.
#[derive(Debug, Serialize)]
struct Problem {
    id: &'static str,
    severity: &'static str,
    line: u32,
    column: u32,
    message: String,
    help: Option<String>,
}

/// What `deploy --json` prints.
#[derive(Debug, Serialize)]
struct Deployed {
    project: String,
    version: u64,
    created_topics: Vec<String>,
    warnings: Vec<String>,
}

/// A project as `list --json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    project: String,
    version: u64,
    url_host_port: String,
    deployed_us: i64,
    deployed: String,
    model_fingerprint: String,
}

/// Runs the commands that need a coordinator.
pub async fn run(what: Project, mesh: &mut Mesh) -> Result<(), Fail> {
    match what {
        Project::Check { file, json } => check(&file, json),
        Project::Run(arguments) => super::run::run(&arguments),
        Project::Deploy { file, name, url_host_port, reason, json } => {
            let message =
                DeployRequest { name, url_host_port, change: mesh.change(reason), ..DeployRequest::default() };
            deploy(mesh, &file, message, json).await
        }
        Project::List { json } => list(mesh, json).await,
        Project::Versions { project, json } => super::versions::list(mesh, project, json).await,
        Project::Rollback { project, to, reason, json } => {
            super::versions::rollback(mesh, project, to, reason, json).await
        }
        Project::Undeploy { project, reason } => undeploy(mesh, project, reason).await,
    }
}

/// Reads a file as text.
pub fn read(file: &Path) -> Result<String, Fail> {
    std::fs::read_to_string(file).map_err(|error| {
        Fail::input(format!("read project file `{}`: {error}; expected a readable file with XML in it", file.display()))
    })
}

/// Checks a project file without any coordinator.
pub fn check(file: &Path, json: bool) -> Result<(), Fail> {
    let xml = files::project(file, &[])?;
    let name = file.display().to_string();
    let checked = parse_project(&xml, &name, &BTreeMap::new());
    if json {
        let (project, found) = match &checked {
            Ok(checked) => (Some(summary(checked)), &checked.warnings),
            Err(found) => (None, found),
        };
        let problems = found.0.iter().map(problem).collect();
        out::json(&Report { file: name, ok: project.is_some(), project, problems })?;
        return if checked.is_ok() { Ok(()) } else { Err(Fail::Said) };
    }
    let checked = checked.map_err(|found| refused(&found))?;
    let warnings = &checked.warnings;
    if !warnings.is_empty() {
        out::note(&warnings.to_string());
    }
    let good = summary(&checked);
    let mut lines = vec![format!(
        "{name}: {}: project {}, {}, model {}{}",
        out::styled(out::GOOD, "ok"),
        good.name,
        out::count(good.windows, "window"),
        good.model_fingerprint,
        if good.needs_clock { ", the clock matters" } else { "" }
    )];
    for (what, endpoints) in [("input", &good.inputs), ("output", &good.outputs)] {
        lines.extend(endpoints.iter().map(|end| format!("  {what:<6} {}  {}", end.window, end.schema)));
    }
    lines.push(format!("  {}", good.determinism.verdict));
    for Depends { window, on, because, made_safe, remains } in &good.determinism.windows {
        lines.push(format!("    {window}: {on} ({because}): {made_safe}"));
        lines.extend(remains.map(|remains| format!("      remains: {remains}")));
    }
    Ok(out::line(&lines.join("\n"))?)
}

pub fn refused(found: &Diagnostics) -> Fail {
    out::note(&found.to_string());
    Fail::Said
}

fn summary(checked: &Checked) -> Summary {
    let project = &checked.project;
    let endpoint = |end: &mesh_model::Endpoint<'_>| Endpoint {
        window: format!("{}/{}", end.query, end.window),
        schema: end.schema.to_string(),
    };
    Summary {
        name: project.name.clone(),
        model_fingerprint: format!("{:016x}", project.fingerprint),
        windows: project.queries.iter().map(|query| query.windows.len()).sum(),
        needs_clock: project.needs_clock(),
        inputs: project.inputs().iter().map(endpoint).collect(),
        outputs: project.outputs().iter().map(endpoint).collect(),
        determinism: determinism(project),
    }
}

fn determinism(project: &mesh_model::Project) -> Determinism {
    let (verdict, windows) = project.determinism();
    let each = |window: mesh_model::WindowFindings| {
        window.findings.into_iter().map(move |finding| Depends {
            window: window.window.clone(),
            on: finding.on.name(),
            because: finding.because,
            made_safe: finding.on.cure(),
            remains: finding.remains,
        })
    };
    Determinism { verdict: verdict.name(), windows: windows.into_iter().flat_map(each).collect() }
}

fn problem(found: &Diagnostic) -> Problem {
    Problem {
        id: found.id,
        severity: found.severity.name(),
        line: found.line,
        column: found.column,
        message: found.headline.clone(),
        help: found.way_out(),
    }
}

async fn deploy(mesh: &mut Mesh, file: &Path, message: DeployRequest, json: bool) -> Result<(), Fail> {
    let xml = files::project(file, &[])?;
    let shown = file.display().to_string();
    // checked here too: all problems are shown whole, and nothing travels that cannot work
    if let Err(found) = parse_project(&xml, &shown, &BTreeMap::new())
        && found.count(Severity::Error) > 0
    {
        return Err(refused(&found));
    }
    let what = format!("deploy `{shown}`");
    let message = DeployRequest { xml, file: shown, ..message };
    let call = |mut client: Client, request| async move { client.deploy(request).await };
    let answer = mesh.call(&what, CHANGE, message, call).await?;
    if json {
        let deployed = Deployed {
            project: answer.project,
            version: answer.version,
            created_topics: answer.created_topics,
            warnings: answer.warnings,
        };
        return Ok(out::json(&deployed)?);
    }
    for warning in &answer.warnings {
        if warning.starts_with("note") || warning.starts_with("warning") {
            out::note(warning);
        } else {
            out::warning(warning);
        }
    }
    let mut lines = vec![format!("deployed {} version {}", answer.project, answer.version)];
    lines.extend(answer.created_topics.iter().map(|topic| format!("  created topic {topic}")));
    Ok(out::line(&lines.join("\n"))?)
}

async fn list(mesh: &mut Mesh, json: bool) -> Result<(), Fail> {
    let call = |mut client: Client, request| async move { client.list_projects(request).await };
    let answer = mesh.call("list projects", ASK, ListProjectsRequest {}, call).await?;
    let projects: Vec<Listed> = answer
        .projects
        .into_iter()
        .map(|project| Listed {
            project: project.name,
            version: project.version,
            url_host_port: project.url_host_port,
            deployed_us: project.deployed_us,
            deployed: out::time(project.deployed_us),
            model_fingerprint: format!("{:016x}", project.model_fingerprint),
        })
        .collect();
    if json {
        return Ok(out::json(&projects)?);
    }
    if projects.is_empty() {
        out::note("no projects; deploy one: espctl project deploy FILE");
        return Ok(());
    }
    let columns = [
        Column::Text("PROJECT"),
        Column::Number("VERSION"),
        Column::Text("TOPICS"),
        Column::Text("DEPLOYED"),
        Column::Text("MODEL"),
    ];
    let rows = projects.into_iter().map(|listed| {
        let topics = format!("{}.{}.*", listed.url_host_port, listed.project);
        vec![listed.project, listed.version.to_string(), topics, listed.deployed, listed.model_fingerprint]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}

async fn undeploy(mesh: &mut Mesh, project: String, reason: String) -> Result<(), Fail> {
    let what = format!("undeploy project `{project}`");
    let call = |mut client: Client, request| async move { client.undeploy(request).await };
    let message = UndeployRequest { project: project.clone(), change: mesh.change(reason) };
    mesh.call(&what, CHANGE, message, call).await?;
    Ok(out::line(&format!("{project} stopped on every engine; its topics and history stay"))?)
}
