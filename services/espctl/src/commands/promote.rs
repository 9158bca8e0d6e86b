//! `espctl promote`: a planned handover.

use mesh_proto::coordinator::PromoteRequest;
use serde::Serialize;

use crate::cli::Promote;
use crate::fail::Fail;
use crate::mesh::{CHANGE, Mesh};
use crate::out;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Promoted {
    project: String,
    engine: String,
    term: u64,
}

/// Hands over.
pub async fn run(arguments: Promote, mesh: &mut Mesh) -> Result<(), Fail> {
    let message = PromoteRequest {
        project: arguments.project.clone(),
        engine: arguments.engine.unwrap_or_default(),
        change: mesh.change(arguments.reason.clone()),
        reason: arguments.reason,
    };
    let what = format!("promote project `{}`", arguments.project);
    let ask = |mut client: crate::mesh::Client, request| async move { client.promote(request).await };
    let done = mesh.call(&what, CHANGE, message, ask).await?;
    let promoted = Promoted { project: arguments.project, engine: done.engine, term: done.term };
    if arguments.json {
        return Ok(out::json(&promoted)?);
    }
    let Promoted { project, engine, term } = promoted;
    Ok(out::line(&format!("{engine} leads {project} in term {term}"))?)
}
