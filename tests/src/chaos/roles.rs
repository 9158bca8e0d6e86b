//! Who said of itself what, over time: the engines' roles as their status tells them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use mesh_proto::election::Role;
use mesh_tests::Mesh;
use mesh_tests::client::Client;

/// How often an engine is asked.
const EVERY: Duration = Duration::from_millis(200);

/// From when on an engine had a role; `Unspecified`: it does not answer.
pub type Since = (Instant, Role);

/// Asks until it is dropped.
pub struct Roles {
    engines: Vec<(String, Arc<Mutex<Vec<Since>>>)>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Roles {
    /// A thread per engine: one that does not answer holds nobody up.
    pub fn start(mesh: &Mesh) -> Result<Roles> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut engines, mut threads) = (Vec::new(), Vec::new());
        for engine in &mesh.engines {
            let changes = Arc::new(Mutex::new(Vec::<Since>::new()));
            let (client, address) = (Client::new()?, engine.address.clone());
            let (into, stopped) = (changes.clone(), stop.clone());
            threads.push(std::thread::spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    let at = Instant::now();
                    let role = client.project(&address).map_or(Role::Unspecified, |status| status.role());
                    let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                    if into.last().is_none_or(|(_, last)| *last != role) {
                        into.push((at, role));
                    }
                    drop(into);
                    std::thread::park_timeout(EVERY);
                }
            }));
            engines.push((engine.process.name().to_owned(), changes));
        }
        Ok(Roles { engines, stop, threads })
    }

    /// The changes of each engine, in order.
    pub fn changes(&self) -> Vec<(String, Vec<Since>)> {
        let of = |changes: &Mutex<Vec<Since>>| changes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.engines.iter().map(|(name, changes)| (name.clone(), of(changes))).collect()
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
