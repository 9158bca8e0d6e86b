//! Holds the desired state: projects, engines, adapters, topics, history.
//!
//! Start at [`run`]. Everything durable is in the registry (etcd) under compare-and-set, so any number of instances run
//! side by side; everything else is asked from whoever knows it at the time of the question.
//!
//! Code map:
//! - [`config`] has the settings
//! - `api`: the gRPC API; `changes`: the calls that change something; `deploy`, `topics`: what it does to projects and topics
//! - `store`, `stored`: changes and values in the registry; `known`: its last known state
//! - `history`: what happened; `author`: who asked for it, and why
//! - `members`, `elections`, `mesh`: who is there, who leads, and all of it in one answer
//! - `maintenance`: engines that shall lead nothing, projects in which nobody shall be elected
//! - `requests`: the same request id gives the same answer
//! - `diagnose`: what is wrong, and what to do; `alarms`: what no part can judge alone
//! - `spread`: which leaders to move so that engines lead equally many
//! - `engines`: questions that go on to one engine of a project
//! - `refuse`: errors of the ports, told to callers
//!
//! **Invariant:** without etcd everything that is known is still answered, with `unavailable` naming etcd; only changes
//! are refused (`tests/it/away.rs`).
//! **Invariant:** no instance leads: whatever one does, another may do at the same time (`tests/it/two.rs`).
//! **Invariant:** engines are never sent an empty set because something was not reached.

pub mod config;

mod alarms;
mod api;
mod author;
mod changes;
mod clock;
mod deploy;
mod diagnose;
mod elections;
mod engines;
mod history;
mod known;
mod maintenance;
mod members;
mod mesh;
mod refuse;
mod requests;
mod spread;
mod store;
mod stored;
mod topics;

pub use config::CoordinatorConfig;

use mesh_bus::Bus;
use mesh_coordination::Registry;
use mesh_proto::coordinator::coordinator_server::CoordinatorServer;
use mesh_service::grpc::{MESSAGE_BYTES_MAX, Server};
use mesh_service::{Failure, Scope, administration};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

use api::Api;
use elections::Elections;
use history::History;
use known::Known;
use members::Members;
use mesh::Mesh;
use store::Store;

/// How often it is looked which election instances there are, and who has been gone for long.
const HOUSEKEEPING_EVERY: Duration = Duration::from_millis(500);

/// Old requests are forgotten once in so many rounds of housekeeping.
const PRUNE_ROUNDS: u64 = 60;

/// Runs a coordinator until the scope drains.
pub async fn run(
    config: CoordinatorConfig,
    registry: Arc<dyn Registry>,
    bus: Arc<dyn Bus>,
    listener: TcpListener,
    scope: Scope,
) -> Result<(), Failure> {
    let drain = scope.drain.clone();
    let store = Store::new(registry, config.history_max, config.versions_max);
    let known = Known::start(&store, &drain, scope.ready.latch("etcd: projects"));
    let history = Arc::new(History::start(store.clone(), drain.clone()));
    let caller = scope.security.caller.clone();
    let members = Members::new(config.forget_members_after.0, caller.clone());
    let noting = history.clone();
    let elections = Elections::new(Arc::new(move |group| noting.leader(group)), caller, drain.clone());
    let mesh = Arc::new(Mesh::new(known, members, elections, config.member_timeout.0));
    let administration = administration(&config, &config.base.name, &scope);
    let server = Server::new(&config.base).secured(&scope.security).add(administration);
    tokio::spawn(housekeeping(config.elections.clone(), mesh.clone(), store.clone(), scope));

    let api = Api { config, bus, store, history, mesh, drain: drain.clone() };
    let service = CoordinatorServer::new(api).max_decoding_message_size(MESSAGE_BYTES_MAX);
    server.add(service).serve(listener, drain).await
}

/// Keeps the list of election instances and members true, and the gauges with it.
async fn housekeeping(configured: Vec<String>, mesh: Arc<Mesh>, store: Store, scope: Scope) {
    let members = scope.metrics.gauge("esp_coordinator_members", "Members of the mesh", &[]);
    let projects = scope.metrics.gauge("esp_coordinator_projects", "Deployed projects", &[]);
    let registry_up = scope.metrics.gauge("esp_coordinator_registry_up", "1 while etcd answers, else 0", &[]);
    let mut rounds = 0_u64;
    loop {
        rounds += 1;
        // whatever is left now is left for the next time
        if rounds.is_multiple_of(PRUNE_ROUNDS)
            && let Err(error) = requests::prune(&store).await
        {
            tracing::debug!(%error, "old requests are not forgotten yet");
        }
        let mut addresses = configured.clone();
        for address in mesh.members.elections(&mesh.known) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        mesh.elections.follow(&addresses);
        mesh.members.forget(&mesh.known, &store).await;
        history::complete(&mesh, &store).await;
        mesh.reconcile_drained().await;
        members.set(i64::try_from(mesh.members.all(&mesh.known).len()).unwrap_or(i64::MAX));
        projects.set(mesh.known.projects_now().map_or(0, |projects| i64::try_from(projects.len()).unwrap_or(i64::MAX)));
        registry_up.set(i64::from(mesh.known.registry_error.borrow().is_none()));
        tokio::select! {
            () = scope.drain.started() => return,
            () = tokio::time::sleep(HOUSEKEEPING_EVERY) => {}
        }
    }
}
