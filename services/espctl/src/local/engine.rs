//! An engine as a process of its own: its own threads, sockets and view of the bus, all of which end at once.

use mesh_bus::Bus;
use mesh_engine::service::Listeners;
use mesh_engine::{EngineConfig, run};
use mesh_service::{Failure, Scope};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::bus::ProcessBus;
use super::listen;
use crate::fail::Fail;

/// Threads of an engine's servers; its projects have their own.
const SERVER_THREADS: usize = 2;

/// A running engine.
pub struct EngineProcess {
    /// Its name.
    pub name: String,
    /// Its view of the bus.
    pub bus: ProcessBus,
    /// Its drain and metrics.
    scope: Scope,
    running: JoinHandle<Result<(), Failure>>,
    /// Everything that is asynchronous in it; taken when it is killed.
    runtime: Option<Runtime>,
}

impl EngineProcess {
    /// Starts one on free ports.
    pub fn start(name: &str, config: EngineConfig, bus: Arc<dyn Bus>) -> Result<EngineProcess, Fail> {
        let start = |error: std::io::Error| Fail::fault(format!("start of {name}: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SERVER_THREADS)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(start)?;
        let (grpc, address) = listen()?;
        let (rest, _) = listen()?;
        let bus = ProcessBus::new(bus);
        let scope = Scope::new();
        let (task_name, task_bus, task_scope) = (name.to_owned(), Arc::new(bus.clone()), scope.clone());
        let running = runtime.spawn(async move {
            let ours = |listener| {
                TcpListener::from_std(listener).map_err(|error| Failure::fault(format!("use of a listener: {error}")))
            };
            let listeners = Listeners { grpc: ours(grpc)?, address, admin_address: String::new(), rest: ours(rest)? };
            run(config, task_name, task_bus, listeners, task_scope).await
        });
        Ok(EngineProcess { name: name.to_owned(), bus, scope, running, runtime: Some(runtime) })
    }

    /// Ends it as SIGKILL would: nothing that it is doing is finished, nobody is told, its sockets close.
    pub fn kill(mut self) {
        self.bus.kill();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Ends it politely.
    pub async fn stop(mut self) -> Result<(), Fail> {
        self.scope.drain.start("end");
        let ended = (&mut self.running).await;
        match ended {
            Ok(ended) => ended.map_err(|failure| Fail::fault(format!("{}: {failure}", self.name))),
            Err(error) => Err(Fail::fault(format!("{}: {error}", self.name))),
        }
    }
}

/// A runtime must not be dropped where others run; a process that is forgotten is killed.
impl Drop for EngineProcess {
    fn drop(&mut self) {
        self.bus.kill();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::local::Local;
    use mesh_engine::desired::DesiredFile;
    use mesh_proto::coordinator::UndeployRequest;
    use std::time::Duration;

    const XML: &str = r#"<project name="orders" pubsub="auto" threads="1"><contqueries><contquery name="cq"><windows>
      <window-source name="in"><schema><fields><field name="id" type="int64" key="true"/></fields></schema></window-source>
      <window-copy name="out"/>
    </windows><edges><edge source="in" target="out"/></edges></contquery></contqueries></project>"#;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_engine_keeps_what_the_coordinator_says_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let mesh = Local::start(false).await.expect("a mesh");
        let file = DesiredFile::open(folder.path(), "engine-a").expect("a file");
        let kept =
            || file.load().expect("readable").map(|set| set.into_iter().map(|project| project.version).collect());
        let engine = mesh.engine_with("engine-a", |config| config.state_dir = folder.path().display().to_string());
        let engine = engine.expect("an engine");
        let until = async |wanted: Option<Vec<u64>>| {
            let waiting = async {
                while kept() != wanted {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("kept in time");
        };
        until(Some(Vec::new())).await;
        mesh.deploy(XML, "orders.xml").await.expect("deployed");
        until(Some(vec![1])).await;
        let undeploy = UndeployRequest { project: "orders".to_owned(), ..UndeployRequest::default() };
        let call = |mut client: crate::mesh::Client, request| async move { client.undeploy(request).await };
        mesh.mesh().call("undeploy", crate::mesh::CHANGE, undeploy, call).await.expect("undeployed");
        until(Some(Vec::new())).await;
        engine.stop().await.expect("a polite end");
        mesh.stop();
    }
}
