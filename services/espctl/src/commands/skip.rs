//! `espctl skip`: goes on without a block on which apply fails.

use mesh_proto::engine::SkipRequest;

use crate::cli::Skip;
use crate::fail::Fail;
use crate::mesh::{CHANGE, Mesh};
use crate::out;

/// Asks the leader for the step.
pub async fn run(arguments: Skip, mesh: &mut Mesh) -> Result<(), Fail> {
    let Skip { project, position, topic } = arguments;
    let what = format!("skip a block of project `{project}`");
    let message = SkipRequest { project: project.clone(), topic, position, change: mesh.change("espctl skip") };
    let ask = |mut client: crate::mesh::Client, request| async move { client.skip(request).await };
    mesh.call(&what, CHANGE, message, ask).await?;
    Ok(out::line(&format!("{project} goes on behind offset {position}; the skip is recorded in its commit log"))?)
}
