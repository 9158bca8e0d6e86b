//! `espctl status`: the mesh now, or at every change.

use mesh_proto::coordinator::{MeshStatusRequest, MeshStatusResponse};
use std::time::Duration;

use crate::cli::Status;
use crate::fail::Fail;
use crate::mesh::{ASK, Client, Mesh};
use crate::out;
use crate::status::{View, render};

/// Time between the two looks from which rates are made.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Wait before a broken watch looks for a coordinator again.
const RETRY: Duration = Duration::from_millis(500);

/// Clears the screen and goes to its top, as terminals have done since the VT100.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Prints the status.
pub async fn run(arguments: Status, mesh: &mut Mesh) -> Result<(), Fail> {
    let project = arguments.project.unwrap_or_default();
    let message = MeshStatusRequest { project: project.clone() };
    if arguments.watch {
        return watch(mesh, message, arguments.json).await;
    }
    let before = ask(mesh, &message).await?;
    // without any project on an engine there is no rate to wait for
    let moving =
        before.members.iter().filter_map(|member| member.engine.as_ref()).any(|engine| !engine.projects.is_empty());
    let status = if moving {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        ask(mesh, &message).await?
    } else {
        before.clone()
    };
    let view = View::new(&status, Some(&before));
    if arguments.json { Ok(out::json(&view)?) } else { Ok(out::line(&render(&view))?) }
}

async fn ask(mesh: &mut Mesh, message: &MeshStatusRequest) -> Result<MeshStatusResponse, Fail> {
    let call = |mut client: Client, request| async move { client.status(request).await };
    mesh.call("read the status of the mesh", ASK, message.clone(), call).await
}

/// Shows it until interrupted. A coordinator that goes away is looked for again; the first call must succeed.
async fn watch(mesh: &mut Mesh, message: MeshStatusRequest, json: bool) -> Result<(), Fail> {
    let mut before = Some(ask(mesh, &message).await?);
    loop {
        let watched = follow(mesh, &message, &mut before, json).await;
        match watched {
            Err(Fail::Fault(text)) => out::warning(&format!("{text}; trying again")),
            Err(fail) => return Err(fail),
            Ok(()) => {}
        }
        tokio::time::sleep(RETRY).await;
        before = match ask(mesh, &message).await {
            Ok(status) => Some(status),
            Err(Fail::Fault(text)) => {
                out::warning(&format!("{text}; trying again"));
                None
            }
            Err(fail) => return Err(fail),
        };
    }
}

async fn follow(
    mesh: &mut Mesh,
    message: &MeshStatusRequest,
    before: &mut Option<MeshStatusResponse>,
    json: bool,
) -> Result<(), Fail> {
    let mut stream =
        mesh.stream(message.clone(), |mut client, request| async move { client.watch_status(request).await }).await?;
    while let Some(status) = stream.message().await.map_err(|status| mesh.lost(&status))? {
        let view = View::new(&status, before.as_ref());
        if json {
            let line = serde_json::to_string(&view)
                .map_err(|error| Fail::fault(format!("write the status as JSON: {error}")))?;
            out::line(&line)?;
        } else if out::is_terminal() {
            out::print(&format!("{CLEAR}{}\n", render(&view)))?;
        } else {
            out::line(&format!("{}\n", render(&view)))?;
        }
        *before = Some(status);
    }
    Ok(())
}
