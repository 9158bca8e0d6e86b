//! One of a group of adapters: stands by until the election grants it a term, works until it is deposed or asked to hand
//! over, then stands by again.
//!
//! The election says who should work. Who is allowed to is settled elsewhere, since a grant may be wrong: a publisher is
//! fenced at the bus, a subscriber's writes say the same whoever makes them. A wrong grant costs a switch, no event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_adapter::Failover;
use mesh_candidate::{
    CandidateEvent, CandidateHandle, CandidateOptions, Credentials, CredentialsSource, Progress as Sign, Role,
};
use mesh_service::adapter::Place;
use mesh_service::security::Caller;
use mesh_service::{Drain, Failure};
use tokio::sync::oneshot;

use crate::State;

/// Time between signs of life.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// There is nothing more to do: the member leaves the group.
    Finished,
    /// It was stopped.
    Stopped,
    /// Another member has taken its place.
    FencedOut,
}

/// What takes turns.
pub trait Member: Send + Sync + 'static {
    /// Name of the thread that works.
    const THREAD: &'static str;

    /// Works until it is stopped, or done. Blocks.
    fn work(&self, stop: &AtomicBool) -> Result<TurnEnd, Failure>;

    /// What it does now.
    fn state(&self) -> State;

    /// It has no turn and waits for one, or its turn is about to begin.
    fn set_state(&self, state: State);

    /// How often the working thread has gone round: only who gets on is alive.
    fn rounds(&self) -> u64;

    /// How much it has done, as the election shows it.
    fn done(&self) -> u64;
}

/// How an adapter stands for election; `kind` is the first part of its group's name, so that publishers and subscribers
/// that share a transport file are two groups.
pub fn candidate(
    kind: &str,
    failover: &Failover,
    place: &Place,
    elections: &[String],
    caller: &Caller,
) -> CandidateOptions {
    let caller = caller.clone();
    CandidateOptions {
        group: format!("{kind}.{}", failover.group),
        candidate: place.name.clone(),
        address: place.address.clone(),
        incarnation: mesh_candidate::new_incarnation(),
        endpoints: elections.to_vec(),
        heartbeat: HEARTBEAT,
        credentials: CredentialsSource::new(move || Credentials {
            tls: caller.tls(),
            authorization: caller.authorization(),
        }),
    }
}

/// A term in which this member works.
struct Turn {
    term: u64,
    /// Who is asked for, when it shall hand over.
    successor: Option<String>,
    stop: Arc<AtomicBool>,
    ended: oneshot::Receiver<Result<TurnEnd, Failure>>,
}

impl Turn {
    fn start<M: Member>(member: &Arc<M>, term: u64) -> Result<Turn, Failure> {
        let (stop, (done, ended)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
        let (member, thread_stop) = (Arc::clone(member), Arc::clone(&stop));
        std::thread::Builder::new()
            .name(M::THREAD.to_owned())
            .spawn(move || {
                let _ = done.send(member.work(&thread_stop));
            })
            .map_err(|error| Failure::fault(format!("starting the thread `{}`: {error}", M::THREAD)))?;
        Ok(Turn { term, successor: None, stop, ended })
    }
}

/// Takes part in the group until the member is done or the drain starts.
pub async fn run<M: Member>(member: M, candidate: CandidateOptions, drain: Drain) -> Result<(), Failure> {
    let (group, name) = (candidate.group.clone(), candidate.candidate.clone());
    let (handle, mut events) = CandidateHandle::start(candidate).map_err(Failure::config)?;
    let member = Arc::new(member);
    member.set_state(State::Standby);
    tracing::info!(group, "standing by");
    let mut turn: Option<Turn> = None;
    let mut seen = 0;
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            () = drain.started() => {
                let ended = match turn {
                    Some(turn) => {
                        turn.stop.store(true, Ordering::Relaxed);
                        turn.ended.await.map_err(|_| panicked())?.map(|_| ())
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
                            member.set_state(State::Starting);
                            turn = Some(Turn::start(&member, term)?);
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
                // It stood still, and another has its place; a publisher would learn it from the fence.
                Some(CandidateEvent::Leader { term, candidate })
                    if candidate != name && turn.as_ref().is_some_and(|turn| turn.term < term) =>
                {
                    tracing::info!(group, term, candidate, "another member works now");
                    if let Some(turn) = &turn {
                        turn.stop.store(true, Ordering::Relaxed);
                    }
                }
                Some(event) => tracing::debug!(group, ?event, "election"),
            },
            ended = end_of(&mut turn) => {
                let Some(over) = turn.take() else { continue };
                let (successor, reason) = match ended.map_err(|_| panicked())? {
                    Ok(TurnEnd::Finished) => {
                        handle.leave();
                        return Ok(());
                    }
                    Ok(TurnEnd::Stopped) => (over.successor.unwrap_or_default(), "handover"),
                    Ok(TurnEnd::FencedOut) => (String::new(), "fenced out"),
                    // Its turn was over, and what kept it from ending well (a bus that is away) is the next member's.
                    Err(failure) if over.stop.load(Ordering::Relaxed) => {
                        tracing::warn!(group, term = over.term, %failure, "the turn did not end well");
                        (over.successor.unwrap_or_default(), "handover")
                    }
                    Err(failure) => {
                        handle.leave();
                        return Err(failure);
                    }
                };
                tracing::info!(group, term = over.term, reason, "standing by again");
                handle.stepped_down(over.term, successor, reason);
                member.set_state(State::Standby);
            }
            _ = beat.tick() => {
                if let Some(sign) = sign(&*member, &mut seen, turn.as_ref().map_or(0, |turn| turn.term)) {
                    handle.progress(sign);
                }
            }
        }
    }
}

/// The end of the turn; never, while there is none.
async fn end_of(turn: &mut Option<Turn>) -> Result<Result<TurnEnd, Failure>, oneshot::error::RecvError> {
    match turn {
        Some(turn) => (&mut turn.ended).await,
        None => std::future::pending().await,
    }
}

fn panicked() -> Failure {
    Failure::fault("the working thread panicked, see the log; start again, it goes on where it was")
}

/// A sign of life: while it works only when the working thread has got on.
fn sign<M: Member>(member: &M, seen: &mut u64, term: u64) -> Option<Sign> {
    let (role, lives) = match member.state() {
        State::Running => {
            let rounds = member.rounds();
            (Role::Active, std::mem::replace(seen, rounds) != rounds)
        }
        State::Starting => (Role::TakingOver, true),
        State::Standby | State::Finished | State::Failed => (Role::Standby, true),
    };
    lives.then(|| Sign { caught_up: true, role, term, commit_number: member.done(), ..Sign::default() })
}
