//! The gRPC API.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesh_coordination::SessionState;
use mesh_proto::election as pb;
use mesh_proto::election::election_server::Election;
use mesh_replication::Term;
use mesh_replication::election::{AttachmentId, DRAINED_MAX, Input, Join, MaintenanceChange, Order};
use mesh_service::Refusal;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::convert::{maintenance_to_wire, progress_from_wire, refusal, view_to_wire};
use crate::group::{Command, Outbox};
use crate::hub::{GroupHandle, Hub};
use crate::io::now_us;

/// Messages to a candidate that it has not taken yet, at most (S3).
const OUTBOX_MAX: usize = 64;
/// The first message of a stream must come within this time.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest name of a candidate, address or reason, in bytes.
const TEXT_BYTES_MAX: usize = 255;
const REASON_BYTES_MAX: usize = 1024;
/// Longest name and reason of an order, in bytes: the leader record has place for [`DRAINED_MAX`] of them.
const ORDER_BYTES_MAX: usize = 100;
const _: () = assert!(
    DRAINED_MAX * (2 * ORDER_BYTES_MAX + TEXT_BYTES_MAX + 64) + 3 * REASON_BYTES_MAX
        < mesh_coordination::MAX_DATA_BYTES
);
/// Changes that come within this time are shown together.
const WATCH_PAUSE: Duration = Duration::from_millis(20);

type Boxed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The API of one instance.
pub(crate) struct Api {
    hub: Arc<Hub>,
}

impl Api {
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

#[tonic::async_trait]
impl Election for Api {
    type AttendStream = Boxed<pb::ElectionMessage>;
    type WatchStream = Boxed<pb::StatusResponse>;

    async fn attend(
        &self,
        request: Request<Streaming<pb::CandidateMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
        tokio::spawn(serve_candidate(Arc::clone(&self.hub), request.into_inner(), outbox));
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }

    async fn status(&self, request: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        Ok(Response::new(status(&self.hub, &request.into_inner().group)?))
    }

    async fn watch(&self, request: Request<pb::StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let group = request.into_inner().group;
        let first = status(&self.hub, &group)?;
        // one that waits to be sent and the newest one; in between they are skipped
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(show_changes(Arc::clone(&self.hub), group, first, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn promote(&self, request: Request<pb::PromoteRequest>) -> Result<Response<pb::PromoteResponse>, Status> {
        let pb::PromoteRequest { group, candidate, reason } = request.into_inner();
        check_text("candidate", &candidate, TEXT_BYTES_MAX)?;
        check_text("reason", &reason, REASON_BYTES_MAX)?;
        let handle = self.hub.find(&group).ok_or_else(|| unknown_group(&self.hub, &group))?;
        let (reply, outcome) = oneshot::channel();
        let draining =
            || Refusal::unavailable(format!("handover of group `{group}`")).found("this instance is draining");
        let command = Command::Promote { candidate, reason, reply };
        handle.commands.send(command).await.map_err(|_| draining())?;
        let promoted =
            outcome.await.map_err(|_| draining())?.map_err(|refused| refusal("handover", &group, refused))?;
        Ok(Response::new(pb::PromoteResponse { term: promoted.term.0, leader: promoted.leader }))
    }

    async fn maintain(&self, request: Request<pb::MaintainRequest>) -> Result<Response<pb::MaintainResponse>, Status> {
        let message = request.into_inner();
        let group = message.group.clone();
        let change = change(message)?;
        // a group is made: it may be paused before anybody takes part
        let handle = self.hub.open(&group)?;
        let (reply, outcome) = oneshot::channel();
        let draining =
            || Refusal::unavailable(format!("maintenance of group `{group}`")).found("this instance is draining");
        handle.commands.send(Command::Maintain { change, reply }).await.map_err(|_| draining())?;
        let held = outcome.await.map_err(|_| draining())?.map_err(|refused| refusal("maintenance", &group, refused))?;
        Ok(Response::new(pb::MaintainResponse { maintenance: Some(maintenance_to_wire(&held)) }))
    }
}

fn change(message: pb::MaintainRequest) -> Result<MaintenanceChange, Refusal> {
    let action = message.action();
    let pb::MaintainRequest { candidate, order, .. } = message;
    let pb::Order { by, reason, at_us } = order.unwrap_or_default();
    let (by, reason) = (cut(by, ORDER_BYTES_MAX), cut(reason, ORDER_BYTES_MAX));
    let order = Order { by, reason, at_us: if at_us == 0 { now_us() } else { at_us } };
    let named = || {
        check_text("candidate", &candidate, TEXT_BYTES_MAX)?;
        if candidate.is_empty() {
            return Err(Refusal::invalid("maintain: `candidate`").expected("who shall (not) lead").found("nothing"));
        }
        Ok(candidate.clone())
    };
    Ok(match action {
        pb::MaintenanceAction::Pause => MaintenanceChange::Pause(order),
        pb::MaintenanceAction::Resume => MaintenanceChange::Resume,
        pb::MaintenanceAction::Drain => MaintenanceChange::Drain { candidate: named()?, order },
        pb::MaintenanceAction::Undrain => MaintenanceChange::Undrain { candidate: named()? },
        pb::MaintenanceAction::Unspecified => {
            return Err(Refusal::invalid("maintain: `action`")
                .expected("pause, resume, drain or undrain")
                .found("none"));
        }
    })
}

fn unknown_group(hub: &Hub, group: &str) -> Refusal {
    let known: Vec<String> = hub.views("").into_iter().map(|(name, _)| name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Refusal::not_found(format!("group `{group}`"))
        .expected(format!("one of the groups: {known}"))
        .found("no such group")
}

fn status(hub: &Hub, group: &str) -> Result<pb::StatusResponse, Refusal> {
    let views = hub.views(group);
    if views.is_empty() && !group.is_empty() {
        return Err(unknown_group(hub, group));
    }
    let session = match hub.session() {
        SessionState::Connected => "connected",
        SessionState::Disconnected => "disconnected",
        SessionState::Expired => "expired",
    };
    Ok(pb::StatusResponse {
        groups: views.iter().map(|(name, view)| view_to_wire(name, view)).collect(),
        instance: hub.name.clone(),
        session: session.into(),
    })
}

/// Sends the status now and after each change, until the reader goes or the drain starts.
async fn show_changes(
    hub: Arc<Hub>,
    group: String,
    first: pb::StatusResponse,
    sender: mpsc::Sender<Result<pb::StatusResponse, Status>>,
) {
    let mut changes = hub.changes();
    let mut last = first.clone();
    if sender.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = hub.drain().started() => return,
            () = sender.closed() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        tokio::time::sleep(WATCH_PAUSE).await;
        let Ok(now) = status(&hub, &group) else { continue };
        if now != last {
            last = now.clone();
            if sender.send(Ok(now)).await.is_err() {
                return;
            }
        }
    }
}

/// Reads a candidate's stream until it ends, and tells the group.
async fn serve_candidate(hub: Arc<Hub>, mut messages: Streaming<pb::CandidateMessage>, outbox: Outbox) {
    let joined = match tokio::time::timeout(JOIN_TIMEOUT, messages.message()).await {
        Ok(Ok(Some(message))) => join(&hub, message),
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => Err(Refusal::invalid("attend").expected(format!("`join` within {JOIN_TIMEOUT:?}")).found("nothing")),
    };
    let (handle, join) = match joined {
        Ok(joined) => joined,
        Err(refusal) => {
            // the caller may have gone
            let _ = outbox.send(Err(refusal.into())).await;
            return;
        }
    };
    let attachment = hub.next_attachment();
    let attach = Command::Attach { attachment, input: Input::Attached { attachment, join }, outbox: outbox.clone() };
    if handle.commands.send(attach).await.is_err() {
        let _ = outbox.send(Err(Refusal::unavailable("attend").found("this instance is draining").into())).await;
        return;
    }
    loop {
        let message = tokio::select! {
            message = messages.message() => message,
            () = outbox.closed() => break,
        };
        let Ok(Some(message)) = message else { break };
        let Some(input) = input(attachment, message) else { continue };
        if handle.commands.send(Command::Input(input)).await.is_err() {
            return;
        }
    }
    // a group that has ended with the drain does not care
    let _ = handle.commands.send(Command::Input(Input::Detached { attachment })).await;
}

fn join(hub: &Hub, message: pb::CandidateMessage) -> Result<(GroupHandle, Join), Refusal> {
    let Some(pb::candidate_message::Message::Join(join)) = message.message else {
        return Err(Refusal::invalid("attend").expected("`join` as the first message").found("another one"));
    };
    for (field, text) in [("candidate", &join.candidate), ("address", &join.address)] {
        check_text(field, text, TEXT_BYTES_MAX)?;
        if text.is_empty() {
            return Err(Refusal::invalid(format!("join: `{field}`")).expected("a text").found("nothing"));
        }
    }
    let handle = hub.open(&join.group)?;
    let known_term = Term(join.known_term);
    let incarnation = join.incarnation;
    Ok((handle, Join { candidate: join.candidate, address: join.address, incarnation, known_term }))
}

fn check_text(field: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!("`{field}`"))
            .expected(format!("at most {bytes_max} bytes without control characters"))
            .found(format!("{} bytes: `{:.64}`", text.len(), text.escape_debug().to_string())));
    }
    Ok(())
}

/// `None`: it means nothing to us, such as a second join or a message of a newer candidate.
fn input(attachment: AttachmentId, message: pb::CandidateMessage) -> Option<Input> {
    use pb::candidate_message::Message;
    match message.message? {
        Message::Join(_) => None,
        Message::Progress(progress) => Some(Input::Progress { attachment, progress: progress_from_wire(&progress) }),
        Message::SteppedDown(stepped) => Some(Input::SteppedDown {
            attachment,
            term: Term(stepped.term),
            successor: stepped.successor,
            parked: stepped.parked,
            reason: cut(stepped.reason, REASON_BYTES_MAX),
        }),
        Message::Leave(_) => Some(Input::Left { attachment }),
    }
}

/// Reasons become part of the leader record, which has a limit.
fn cut(mut reason: String, bytes_max: usize) -> String {
    let mut end = reason.len().min(bytes_max);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
