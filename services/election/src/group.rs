//! The task that owns one group: streams, watch and calls go in as inputs, effects come out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_coordination::{Elections, SessionState};
use mesh_proto::election as pb;
use mesh_replication::election::{
    AttachmentId, Effect, Group, GroupView, Input, Maintenance, MaintenanceChange, Message, Promoted, Refused,
    RequestId, TICK, Timing,
};
use mesh_service::{Drain, Refusal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Status;

use crate::convert::{group_state, message_to_wire};
use crate::io;
use crate::meter::Meter;

/// Commands that a group has not taken yet, at most; streams wait beyond it.
pub(crate) const COMMANDS_MAX: usize = 1024;

/// Where the messages to a candidate go.
pub(crate) type Outbox = mpsc::Sender<Result<pb::ElectionMessage, Status>>;

/// What streams and calls of the API ask of a group.
pub(crate) enum Command {
    /// An input from a stream that is attached.
    Input(Input),
    /// A stream joins.
    Attach {
        /// The input, with the attachment.
        attachment: AttachmentId,
        input: Input,
        outbox: Outbox,
    },
    /// A handover is asked for.
    Promote { candidate: String, reason: String, reply: oneshot::Sender<Result<Promoted, Refused>> },
    /// What is held back is to be changed.
    Maintain { change: MaintenanceChange, reply: oneshot::Sender<Result<Maintenance, Refused>> },
}

/// What a group's task is made of.
pub(crate) struct GroupTask {
    pub name: Arc<str>,
    pub instance: String,
    pub elections: Arc<dyn Elections>,
    pub timing: Timing,
    pub probe_timeout: Duration,
    pub meter: Meter,
    pub commands: mpsc::Receiver<Command>,
    pub view: watch::Sender<GroupView>,
    /// Bumped whenever the view of any group has changed.
    pub changes: watch::Sender<u64>,
    pub drain: Drain,
}

/// The parts that effects work on.
struct Carrier {
    task: GroupTask,
    outboxes: BTreeMap<AttachmentId, Outbox>,
    replies: BTreeMap<RequestId, oneshot::Sender<Result<Promoted, Refused>>>,
    maintenance: BTreeMap<RequestId, oneshot::Sender<Result<Maintenance, Refused>>>,
    calls: JoinSet<Option<Input>>,
    last_request: u64,
    broken: Vec<AttachmentId>,
}

impl GroupTask {
    /// Runs until the drain starts.
    pub async fn run(mut self) {
        let epoch = Instant::now();
        let mut group = Group::new(self.instance.clone(), self.timing, Duration::ZERO);
        let mut state = self.elections.watch(&self.name);
        let mut session = self.elections.session();
        let (drain, mut commands) = (self.drain.clone(), std::mem::replace(&mut self.commands, mpsc::channel(1).1));
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut carrier = Carrier {
            task: self,
            outboxes: BTreeMap::new(),
            replies: BTreeMap::new(),
            maintenance: BTreeMap::new(),
            calls: JoinSet::new(),
            last_request: 0,
            broken: Vec::new(),
        };
        let mut effects = Vec::new();
        loop {
            let input = tokio::select! {
                () = drain.started() => break,
                command = commands.recv() => match command {
                    Some(command) => carrier.take(command),
                    None => break,
                },
                Some(state) = state.next() => group_state(&state),
                Some(session) = session.next() => Input::Session {
                    connected: session.state == SessionState::Connected,
                    number: session.number,
                },
                Some(done) = carrier.calls.join_next() => match done {
                    Ok(Some(input)) => input,
                    // a removal, which has no answer, or a call that panicked, which the log tells
                    Ok(None) | Err(_) => Input::Tick,
                },
                _ = tick.tick() => Input::Tick,
            };
            group.step(input, epoch.elapsed(), &mut effects);
            carrier.carry_out(&mut effects);
            // carrying out can break a stream, which is an input again; each breaks once, so this ends
            while let Some(attachment) = carrier.broken.pop() {
                group.step(Input::Detached { attachment }, epoch.elapsed(), &mut effects);
                carrier.carry_out(&mut effects);
            }
            carrier.publish(group.view());
        }
        for outbox in carrier.outboxes.values() {
            // one that is full is cut with the server
            let _ = outbox.try_send(Err(Refusal::unavailable("election instance is draining").into()));
        }
    }
}

impl Carrier {
    fn take(&mut self, command: Command) -> Input {
        match command {
            Command::Input(input) => {
                if let Input::Detached { attachment } = &input {
                    self.outboxes.remove(attachment);
                }
                input
            }
            Command::Attach { attachment, input, outbox } => {
                self.outboxes.insert(attachment, outbox);
                input
            }
            Command::Promote { candidate, reason, reply } => {
                let request = self.next_request();
                self.replies.insert(request, reply);
                Input::Promote { request, candidate, reason }
            }
            Command::Maintain { change, reply } => {
                let request = self.next_request();
                self.maintenance.insert(request, reply);
                Input::Maintain { request, change }
            }
        }
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            let elections = Arc::clone(&self.task.elections);
            let group = Arc::clone(&self.task.name);
            match effect {
                Effect::Probe { candidate, incarnation, address } => {
                    let limit = self.task.probe_timeout;
                    self.calls.spawn(async move { Some(io::probe(candidate, incarnation, address, limit).await) });
                }
                Effect::MakeNode { data, session } => {
                    self.calls.spawn(async move { Some(io::make_node(elections, group, data, session).await) });
                }
                Effect::UpdateNode { znode, data } => {
                    self.calls.spawn(async move { Some(io::update_node(elections, znode, data).await) });
                }
                Effect::RemoveNode { znode } => {
                    self.calls.spawn(async move {
                        io::remove_node(elections, znode).await;
                        None
                    });
                }
                Effect::SetLeader { expected, record } => {
                    self.calls.spawn(async move { Some(io::set_leader(elections, group, expected, record).await) });
                }
                Effect::Tell { attachment, message } => self.tell(attachment, message),
                Effect::Close { attachment, reason } => {
                    if let Some(outbox) = self.outboxes.remove(&attachment) {
                        let refusal = Refusal::new(mesh_service::Kind::Conflict, reason);
                        // one that is full does not read; dropping our end is all that can be done
                        let _ = outbox.try_send(Err(refusal.into()));
                    }
                }
                Effect::Reply { request, outcome } => {
                    if let Some(reply) = self.replies.remove(&request) {
                        // the caller may have gone
                        let _ = reply.send(outcome);
                    }
                }
                Effect::Maintained { request, outcome } => {
                    if let Some(reply) = self.maintenance.remove(&request) {
                        // the caller may have gone
                        let _ = reply.send(outcome);
                    }
                }
                Effect::Note(note) => self.task.meter.note(note),
            }
        }
    }

    fn tell(&mut self, attachment: AttachmentId, message: Message) {
        let Some(outbox) = self.outboxes.get(&attachment) else { return };
        if matches!(message, Message::Grant { .. }) {
            self.task.meter.grants.inc();
        }
        if outbox.try_send(Ok(message_to_wire(message))).is_err() {
            self.outboxes.remove(&attachment);
            self.broken.push(attachment);
        }
    }

    fn publish(&self, view: GroupView) {
        let meter = &self.task.meter;
        let changed = self.task.view.send_if_modified(|held| {
            let changed = *held != view;
            if changed {
                meter.view(&view);
                *held = view;
            }
            changed
        });
        if changed {
            self.task.changes.send_modify(|count| *count += 1);
        }
    }
}
