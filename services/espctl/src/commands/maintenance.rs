//! `espctl drain`, `undrain`, `rebalance` and `failover`: maintenance of engines and of what follows them.

use mesh_proto::coordinator::{
    DrainRequest, PauseFailoverRequest, RebalanceRequest, ResumeFailoverRequest, UndrainRequest,
};
use serde::Serialize;

use crate::cli::Failover;
use crate::fail::Fail;
use crate::mesh::{CHANGE, Client, Mesh};
use crate::out;

/// What `drain --json` prints.
#[derive(Debug, Serialize)]
struct Drained {
    engine: String,
    handed_over: Vec<HandedOver>,
    still_leads: Vec<String>,
}

/// A project with its new leader.
#[derive(Debug, Serialize)]
struct HandedOver {
    project: String,
    engine: String,
    term: u64,
}

/// Takes an engine out of the lead. Ends with an error when it still leads something: it is not safe to stop it yet.
pub async fn drain(mesh: &mut Mesh, engine: String, reason: String, json: bool) -> Result<(), Fail> {
    let what = format!("drain engine `{engine}`");
    let message = DrainRequest { engine: engine.clone(), change: mesh.change(reason) };
    let call = |mut client: Client, request| async move { client.drain(request).await };
    let answer = mesh.call(&what, CHANGE, message, call).await?;
    let handed = answer.handed_over.into_iter();
    let drained = Drained {
        handed_over: handed.map(|to| HandedOver { project: to.project, engine: to.engine, term: to.term }).collect(),
        still_leads: answer.still_leads,
        engine,
    };
    if json {
        out::json(&drained)?;
    } else {
        for HandedOver { project, engine, term } in &drained.handed_over {
            out::line(&format!("{engine} leads {project} in term {term}"))?;
        }
        if drained.still_leads.is_empty() {
            out::line(&format!(
                "{} leads nothing and will not; when the work is done: espctl undrain {}",
                drained.engine, drained.engine
            ))?;
        }
    }
    if drained.still_leads.is_empty() {
        return Ok(());
    }
    Err(Fail::fault(format!(
        "{} still leads {}: nobody else is caught up, or failover is paused; it hands over as soon as somebody can follow: espctl status",
        drained.engine,
        drained.still_leads.join(", ")
    )))
}

/// Lets an engine lead again.
pub async fn undrain(mesh: &mut Mesh, engine: String, reason: String) -> Result<(), Fail> {
    let what = format!("undrain engine `{engine}`");
    let message = UndrainRequest { engine: engine.clone(), change: mesh.change(reason) };
    let call = |mut client: Client, request| async move { client.undrain(request).await };
    mesh.call(&what, CHANGE, message, call).await?;
    Ok(out::line(&format!("{engine} may lead again; nothing moves for that (espctl promote PROJECT {engine} does)"))?)
}

/// Spreads leaders over engines.
pub async fn rebalance(mesh: &mut Mesh, dry_run: bool, reason: String, json: bool) -> Result<(), Fail> {
    let message = RebalanceRequest { dry_run, change: mesh.change(reason) };
    let call = |mut client: Client, request| async move { client.rebalance(request).await };
    let answer = mesh.call("rebalance the leaders", CHANGE, message, call).await?;
    let to =
        |to: mesh_proto::coordinator::HandedOver| HandedOver { project: to.project, engine: to.engine, term: to.term };
    let moves: Vec<HandedOver> = answer.moves.into_iter().map(to).collect();
    if json {
        return Ok(out::json(&moves)?);
    }
    if moves.is_empty() {
        out::note("leaders are spread as evenly as those that are caught up allow; nothing moves");
    }
    for HandedOver { project, engine, term } in moves {
        let how = if dry_run { "would lead".to_owned() } else { format!("leads in term {term}:") };
        out::line(&format!("{engine} {how} {project}"))?;
    }
    Ok(())
}

/// Pauses failover of a project, or resumes it.
pub async fn failover(mesh: &mut Mesh, what: Failover) -> Result<(), Fail> {
    match what {
        Failover::Pause { project, reason } => {
            let message = PauseFailoverRequest { project: project.clone(), change: mesh.change(reason) };
            let call = |mut client: Client, request| async move { client.pause_failover(request).await };
            let answer = mesh.call(&format!("pause failover of `{project}`"), CHANGE, message, call).await?;
            let order = answer.paused.unwrap_or_default();
            let since = format!("paused by {} at {}: {}", order.by, out::time(order.at_us), order.reason);
            Ok(out::line(&format!(
                "failover of {project} is {since}; espctl promote works, espctl failover resume {project} ends it"
            ))?)
        }
        Failover::Resume { project, reason } => {
            let message = ResumeFailoverRequest { project: project.clone(), change: mesh.change(reason) };
            let call = |mut client: Client, request| async move { client.resume_failover(request).await };
            mesh.call(&format!("resume failover of `{project}`"), CHANGE, message, call).await?;
            Ok(out::line(&format!("leaders of {project} are elected again"))?)
        }
    }
}
