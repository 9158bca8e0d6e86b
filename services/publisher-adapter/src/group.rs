//! One of a group of publishers: stands by until the election grants it a term, publishes until it is fenced out or
//! asked to hand over, then stands by again.
//!
//! The election says who should publish; the fence at the bus says who may. A wrong grant costs a switch, no event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_candidate::{CandidateEvent, CandidateHandle, CandidateOptions, Progress as Sign, Role};
use mesh_replication::adapter::Stop;
use mesh_service::{Drain, Failure};
use tokio::sync::oneshot;

use crate::service::failure;
use mesh_connector::publish::PublishError;
use mesh_connector::publish::{Progress, State};
use mesh_connector::publish::{Publisher, Summary};

/// Time between signs of life.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(50);

/// A term in which this member publishes.
struct Turn {
    term: u64,
    /// Who is asked for, when it shall hand over.
    successor: Option<String>,
    stop: Arc<AtomicBool>,
    ended: oneshot::Receiver<Result<Summary, PublishError>>,
}

impl Turn {
    fn start(publisher: &Arc<Publisher>, term: u64) -> Result<Turn, Failure> {
        let (stop, (done, ended)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
        let (publisher, thread_stop) = (Arc::clone(publisher), Arc::clone(&stop));
        std::thread::Builder::new()
            .name("publisher-write".to_owned())
            .spawn(move || {
                let _ = done.send(publisher.run(&thread_stop));
            })
            .map_err(|error| Failure::fault(format!("starting the publishing thread: {error}")))?;
        Ok(Turn { term, successor: None, stop, ended })
    }
}

/// Takes part in the group until the source has ended or the drain starts.
pub(crate) async fn run(publisher: Publisher, member: CandidateOptions, drain: Drain) -> Result<(), Failure> {
    let group = member.group.clone();
    let (handle, mut events) = CandidateHandle::start(member).map_err(Failure::config)?;
    let publisher = Arc::new(publisher);
    let progress = publisher.progress();
    progress.set_state(State::Standby);
    tracing::info!(group, "standing by");
    let mut turn: Option<Turn> = None;
    let mut signs = Signs { seen: 0, progress: Arc::clone(&progress) };
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            () = drain.started() => {
                let ended = match turn {
                    Some(turn) => {
                        turn.stop.store(true, Ordering::Relaxed);
                        turn.ended.await.map_err(|_| panicked())?.map(|_| ()).map_err(failure)
                    }
                    None => Ok(()),
                };
                handle.leave();
                return ended;
            }
            event = events.recv() => match event {
                None => return Err(Failure::unavailable(format!("group `{group}`: the election was left"))),
                Some(CandidateEvent::Granted { term, reason }) => {
                    tracing::info!(group, term, reason, "taking over");
                    match &mut turn {
                        Some(turn) => turn.term = term,
                        None => {
                            progress.set_state(State::Starting);
                            turn = Some(Turn::start(&publisher, term)?);
                        }
                    }
                }
                Some(CandidateEvent::HandOver { term, successor }) => {
                    tracing::info!(group, term, successor, "handing over");
                    if let Some(turn) = &mut turn {
                        turn.successor = Some(successor);
                        turn.stop.store(true, Ordering::Relaxed);
                    }
                }
                Some(event) => tracing::debug!(group, ?event, "election"),
            },
            ended = end_of(&mut turn) => {
                let Some(over) = turn.take() else { continue };
                let (successor, reason) = match ended.map_err(|_| panicked())? {
                    Ok(summary) if summary.finished => {
                        progress.set_state(State::Finished);
                        handle.leave();
                        return Ok(());
                    }
                    Ok(_) => (over.successor.unwrap_or_default(), "handover"),
                    Err(PublishError::Stopped { stop: Stop::FencedOut, .. }) => (String::new(), "fenced out"),
                    Err(error) => {
                        handle.leave();
                        return Err(failure(error));
                    }
                };
                tracing::info!(group, term = over.term, reason, "standing by again");
                handle.stepped_down(over.term, successor, reason);
                progress.set_state(State::Standby);
            }
            _ = beat.tick() => {
                if let Some(sign) = signs.sign(turn.as_ref().map_or(0, |turn| turn.term)) {
                    handle.progress(sign);
                }
            }
        }
    }
}

/// The end of the turn; never, while there is none.
async fn end_of(turn: &mut Option<Turn>) -> Result<Result<Summary, PublishError>, oneshot::error::RecvError> {
    match turn {
        Some(turn) => (&mut turn.ended).await,
        None => std::future::pending().await,
    }
}

fn panicked() -> Failure {
    Failure::fault("the publishing thread panicked, see the log; start again, it goes on where it was")
}

/// Signs of life: while it publishes only when the publishing thread has got on.
struct Signs {
    seen: u64,
    progress: Arc<Progress>,
}

impl Signs {
    fn sign(&mut self, term: u64) -> Option<Sign> {
        let turns = self.progress.turns();
        let (role, caught_up, lives) = match self.progress.state() {
            State::Running => (Role::Active, true, turns != self.seen),
            State::Starting => (Role::TakingOver, true, true),
            State::Standby | State::Finished | State::Failed => (Role::Standby, true, true),
        };
        self.seen = turns;
        lives.then(|| Sign {
            caught_up,
            role,
            term,
            commit_number: self.progress.snapshot().transactions,
            lag_commits: 0,
        })
    }
}
