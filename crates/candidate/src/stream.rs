//! One attachment: a stream to one election instance, from connect to break.

use std::time::Duration;

use mesh_proto::election as pb;
use mesh_proto::election::election_client::ElectionClient;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use crate::event::{CandidateEvent, Progress};
use crate::handle::{Report, Shared, StepDown};
use crate::options::{CandidateOptions, Instance};
use crate::session::Memory;
use crate::wire;

/// Messages to the election that HTTP/2 has not taken yet, at most.
const OUTBOX_MAX: usize = 16;
/// Time for the election to take a message or to answer the first one.
const PATIENCE: Duration = Duration::from_millis(500);

/// How an attachment ended.
pub(crate) enum Ended {
    /// The owner left, or let go of the events.
    Left,
    OwnerGone,
    /// It was never open.
    Refused(String),
    /// It was open, and broke.
    Broken(String),
}

/// Runs one attachment until it ends.
pub(crate) async fn attend(
    options: &CandidateOptions,
    instance: &Instance,
    shared: &Shared,
    memory: &mut Memory,
    events: &mpsc::Sender<CandidateEvent>,
) -> Ended {
    let (outbox, inbox) = match open(options, instance, shared, memory).await {
        Ok(opened) => opened,
        Err(reason) => return Ended::Refused(reason),
    };
    tracing::info!(group = options.group, candidate = options.candidate, instance = instance.name, "attached");
    let attached = CandidateEvent::Attached { endpoint: instance.name.clone() };
    if events.send(attached).await.is_err() {
        return Ended::OwnerGone;
    }
    Attachment { shared, memory, events, outbox, inbox, reported: false }.run(options.heartbeat).await
}

/// Waits for a moment, if there is one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

type Opened = (mpsc::Sender<pb::CandidateMessage>, Streaming<pb::ElectionMessage>);

async fn open(
    options: &CandidateOptions,
    instance: &Instance,
    shared: &Shared,
    memory: &mut Memory,
) -> Result<Opened, String> {
    let credentials = options.credentials.now();
    let endpoint = instance.endpoint(&credentials).map_err(|error| causes(&error))?;
    let channel = endpoint.connect().await.map_err(|error| causes(&error))?;
    memory.known_term = memory.known_term.max(shared.reports.borrow().progress.term);
    let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
    outbox.try_send(wire::join(options, memory.known_term)).expect("the outbox is new and has room");
    let mut client = ElectionClient::new(channel);
    let mut request = Request::new(ReceiverStream::new(messages));
    if let Some(value) = credentials.authorization {
        request.metadata_mut().insert("authorization", value);
    }
    let opening = client.attend(request);
    match tokio::time::timeout(PATIENCE, opening).await {
        Err(_) => Err(format!("it did not answer within {PATIENCE:?}")),
        Ok(Err(status)) => Err(format!("{:?}: {}", status.code(), causes(&status))),
        Ok(Ok(response)) => Ok((outbox, response.into_inner())),
    }
}

/// An error with its causes; "transport error" alone tells nobody anything.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

struct Attachment<'a> {
    shared: &'a Shared,
    memory: &'a mut Memory,
    events: &'a mpsc::Sender<CandidateEvent>,
    outbox: mpsc::Sender<pb::CandidateMessage>,
    inbox: Streaming<pb::ElectionMessage>,
    /// False until a report was sent on this stream.
    reported: bool,
}

impl Attachment<'_> {
    async fn run(mut self, heartbeat: Duration) -> Ended {
        let mut reports = self.shared.reports.subscribe();
        let mut wished = self.shared.wished.subscribe();
        let mut beat = tokio::time::interval(heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = None;
        let mut leaving: Option<Instant> = None;
        loop {
            // wishes made while no stream was open are said first
            let wishes = self.shared.wishes().clone();
            if let Some(step_down) = wishes.step_down.filter(|wish| said.as_ref() != Some(wish)) {
                if step_down.term >= self.memory.known_term
                    && let Err(ended) = self.send(wire::step_down(&step_down)).await
                {
                    return ended;
                }
                said = Some::<StepDown>(step_down);
            }
            if wishes.leave && leaving.is_none() {
                leaving = Some(Instant::now() + PATIENCE);
                if self.send(wire::leave()).await.is_err() {
                    return Ended::Left;
                }
            }
            let ended = tokio::select! {
                biased;
                message = self.inbox.message() => match message {
                    Ok(Some(message)) => self.hear(message).await,
                    Ok(None) if leaving.is_some() => Err(Ended::Left),
                    Ok(None) => Err(Ended::Broken("the election ended it".into())),
                    Err(status) => Err(Ended::Broken(format!("{:?}: {}", status.code(), causes(&status)))),
                },
                _ = wished.changed() => Ok(()),
                // before the reports, which may come without a pause
                _ = beat.tick() => {
                    let report = *self.shared.reports.borrow();
                    self.say(report).await
                }
                _ = reports.changed() => {
                    let report = *reports.borrow_and_update();
                    self.say_news(report).await
                }
                () = until(leaving), if leaving.is_some() => Err(Ended::Left),
            };
            if let Err(ended) = ended {
                return ended;
            }
        }
    }

    /// What the election can act on is said at once, the rest with the next beat.
    async fn say_news(&mut self, report: Report) -> Result<(), Ended> {
        let facts = |progress: Progress| (progress.caught_up, progress.role, progress.term);
        if !self.reported || facts(report.progress) != facts(self.memory.sent.progress) {
            self.say(report).await?;
        }
        Ok(())
    }

    /// Sends a sign of life, if the executor gave one since the last (A1).
    async fn say(&mut self, report: Report) -> Result<(), Ended> {
        if report.count == self.memory.sent.count {
            return Ok(());
        }
        self.memory.known_term = self.memory.known_term.max(report.progress.term);
        self.send(wire::progress(report.progress)).await?;
        self.memory.sent = report;
        self.reported = true;
        Ok(())
    }

    async fn send(&mut self, message: pb::CandidateMessage) -> Result<(), Ended> {
        match tokio::time::timeout(PATIENCE, self.outbox.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Broken("the election takes no more messages".into())),
            Err(_) => Err(Ended::Broken(format!("the election took no message within {PATIENCE:?}"))),
        }
    }

    async fn hear(&mut self, message: pb::ElectionMessage) -> Result<(), Ended> {
        let Some(event) = wire::event(message) else { return Ok(()) };
        match &event {
            CandidateEvent::Granted { term, .. } => {
                if *term <= self.memory.granted_term {
                    return Ok(());
                }
                self.memory.granted_term = *term;
                self.hear_of(*term);
            }
            CandidateEvent::Leader { term, .. } => self.hear_of(*term),
            _ => {}
        }
        self.events.send(event).await.map_err(|_| Ended::OwnerGone)
    }

    /// A step-down from a term that has passed need not be said any more (A3).
    fn hear_of(&mut self, term: u64) {
        self.memory.known_term = self.memory.known_term.max(term);
        let mut wishes = self.shared.wishes();
        if wishes.step_down.as_ref().is_some_and(|wish| wish.term < term) {
            wishes.step_down = None;
        }
    }
}
