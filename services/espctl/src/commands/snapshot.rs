//! `espctl snapshot`: a project's state saved now.

use std::time::Duration;

use mesh_proto::coordinator::SnapshotProjectRequest;
use serde::Serialize;

use crate::cli::Snapshot;
use crate::fail::Fail;
use crate::mesh::Mesh;
use crate::out;

/// How long a snapshot may take.
const WITHIN: Duration = Duration::from_secs(600);

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Taken {
    project: String,
    engine: String,
    commit_number: u64,
    name: String,
    state_bytes: u64,
    stored_bytes: u64,
    took_ms: u64,
}

/// Has it saved.
pub async fn run(arguments: Snapshot, mesh: &mut Mesh) -> Result<(), Fail> {
    let engine = arguments.engine.unwrap_or_default();
    let message =
        SnapshotProjectRequest { project: arguments.project.clone(), engine, change: mesh.change("espctl snapshot") };
    let what = format!("snapshot of project `{}`", arguments.project);
    let ask = |mut client: crate::mesh::Client, request| async move { client.snapshot(request).await };
    let done = mesh.call(&what, WITHIN, message, ask).await?;
    let taken = Taken {
        project: arguments.project,
        engine: done.engine,
        commit_number: done.commit_number,
        name: done.name,
        state_bytes: done.state_bytes,
        stored_bytes: done.stored_bytes,
        took_ms: done.took_ms,
    };
    if arguments.json {
        return Ok(out::json(&taken)?);
    }
    let Taken { project, engine, commit_number, name, state_bytes, stored_bytes, took_ms } = taken;
    let sizes = format!("{state_bytes} bytes of state, {stored_bytes} stored, {took_ms} ms");
    Ok(out::line(&format!("{engine} saved {project} at commit {commit_number}: {name} ({sizes})"))?)
}
