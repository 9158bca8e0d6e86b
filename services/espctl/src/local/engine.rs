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
