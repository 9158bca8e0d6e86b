//! `espctl project versions` and `rollback`: what was deployed, and how to go back to it.

use mesh_proto::coordinator::{ListVersionsRequest, ProjectVersion, RollbackRequest};
use serde::Serialize;

use crate::fail::Fail;
use crate::mesh::{ASK, CHANGE, Client, Mesh};
use crate::out::{self, Column};

/// A version as `versions --json` prints it.
#[derive(Debug, Serialize)]
struct Version {
    version: u64,
    current: bool,
    deployed_us: i64,
    deployed: String,
    url_host_port: String,
    model_fingerprint: String,
    who: String,
    why: String,
    copy_of: Option<u64>,
}

/// What `rollback --json` prints.
#[derive(Debug, Serialize)]
struct RolledBack {
    project: String,
    version: u64,
    copy_of: u64,
    created_topics: Vec<String>,
    warnings: Vec<String>,
}

impl Version {
    fn new(version: ProjectVersion) -> Version {
        let project = version.project.unwrap_or_default();
        Version {
            version: project.version,
            current: version.current,
            deployed_us: project.deployed_us,
            deployed: out::time(project.deployed_us),
            url_host_port: project.url_host_port,
            model_fingerprint: format!("{:016x}", project.model_fingerprint),
            who: version.who,
            why: version.why,
            copy_of: Some(version.copy_of).filter(|&of| of != 0),
        }
    }
}

/// Lists the versions of a project, newest first.
pub async fn list(mesh: &mut Mesh, project: String, json: bool) -> Result<(), Fail> {
    let what = format!("versions of project `{project}`");
    let call = |mut client: Client, request| async move { client.list_versions(request).await };
    let answer = mesh.call(&what, ASK, ListVersionsRequest { project: project.clone() }, call).await?;
    let versions: Vec<Version> = answer.versions.into_iter().map(Version::new).collect();
    if json {
        return Ok(out::json(&versions)?);
    }
    let columns = [
        Column::Number("VERSION"),
        Column::Text("DEPLOYED"),
        Column::Text("MODEL"),
        Column::Text("WHO"),
        Column::Text("WHAT"),
    ];
    let rows = versions.into_iter().map(|version| {
        let what = [
            version.current.then(|| "runs now".to_owned()),
            version.copy_of.map(|of| format!("content of version {of}")),
            Some(version.why).filter(|why| !why.is_empty()),
        ];
        let what: Vec<String> = what.into_iter().flatten().collect();
        let who = if version.who.is_empty() { "-".to_owned() } else { version.who };
        vec![version.version.to_string(), version.deployed, version.model_fingerprint, who, what.join(", ")]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}

/// Runs an older version again.
pub async fn rollback(
    mesh: &mut Mesh,
    project: String,
    version: Option<u64>,
    reason: String,
    json: bool,
) -> Result<(), Fail> {
    let what = format!("roll project `{project}` back");
    let message = RollbackRequest { project, version: version.unwrap_or(0), change: mesh.change(reason) };
    let call = |mut client: Client, request| async move { client.rollback(request).await };
    let answer = mesh.call(&what, CHANGE, message, call).await?;
    let done = RolledBack {
        project: answer.project,
        version: answer.version,
        copy_of: answer.copy_of,
        created_topics: answer.created_topics,
        warnings: answer.warnings,
    };
    if json {
        return Ok(out::json(&done)?);
    }
    done.warnings.iter().for_each(|warning| out::warning(warning));
    let mut lines =
        vec![format!("{} runs version {} with the content of version {}", done.project, done.version, done.copy_of)];
    lines.extend(done.created_topics.iter().map(|topic| format!("  created topic {topic}")));
    Ok(out::line(&lines.join("\n"))?)
}
