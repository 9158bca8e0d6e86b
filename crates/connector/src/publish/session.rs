//! One run of a publisher: carries out what the role decides, one transaction after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mesh_bus::{Header, OutRecord, Writer, WriterOptions};
use mesh_event::{Schema, SourcePosition};
use mesh_replication::adapter::{Effect, Found, Input, PublisherRole, PublisherState};

use crate::State;
use crate::publish::error::{Outcome, PublishError};
use crate::publish::feed::{Fed, Feed, Ready};
use crate::publish::locate::{Search, locate, meta_payload};
use crate::publish::publisher::{Publisher, Summary};
use crate::publish::queue::{Queue, QueueLimits, Taken};
use crate::publish::source::Name;

/// How long opening a writer may take.
const OPEN_WAIT: Duration = Duration::from_secs(30);
/// How long a fence may take.
const FENCE_WAIT: Duration = Duration::from_secs(30);
/// How long opening a transaction, or handing over one record, may take.
const SEND_WAIT: Duration = Duration::from_secs(10);
/// How long a commit or an abort may take before its outcome counts as unknown.
const COMMIT_WAIT: Duration = Duration::from_secs(20);
/// How long the bus leaves a transaction of a silent writer open.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that the client library may hold unsent beyond one transaction.
const WRITER_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// How long one wait for blocks lasts.
const TAKE_WAIT: Duration = Duration::from_millis(40);
/// Waits between tries while the bus does not answer: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One run of a publisher.
pub(crate) struct Session<'a> {
    publisher: &'a Publisher,
    role: PublisherRole,
    effects: VecDeque<Effect>,
    name: Name,
    schema: Arc<Schema>,
    topic: Arc<str>,
    meta: Option<Arc<str>>,
    writer: Option<Box<dyn Writer>>,
    /// Blocks of the transaction, kept until they are known to be in the topic.
    batch: Vec<Ready>,
    /// Since when the bus gives trouble, and how often.
    trouble: Option<Trouble>,
    /// What ended the reading thread; told when everything before it is published.
    failure: Option<PublishError>,
    stop: &'a AtomicBool,
}

struct Trouble {
    since: Instant,
    pause: Duration,
}

/// How the publishing of one feed ended.
enum Next {
    /// Read the source anew from this position.
    Begin(Option<SourcePosition>),
    /// The source has ended, or the stop came.
    Done,
}

impl<'a> Session<'a> {
    pub fn new(
        publisher: &'a Publisher,
        name: Name,
        schema: Arc<Schema>,
        topic: Arc<str>,
        meta: Option<Arc<str>>,
        stop: &'a AtomicBool,
    ) -> Session<'a> {
        let common = &publisher.options.common;
        let mut role = PublisherRole::new(&*common.fsname, name.rewinds(), common.fresh);
        let mut effects = Vec::new();
        role.start(&mut effects);
        Session {
            publisher,
            role,
            effects: effects.into(),
            name,
            schema,
            topic,
            meta,
            writer: None,
            batch: Vec::new(),
            trouble: None,
            failure: None,
            stop,
        }
    }

    pub fn run(mut self) -> Result<Summary, PublishError> {
        let mut next = self.carry_out()?;
        loop {
            match next {
                // nothing was in doubt, and the first effects always end in a start
                None | Some(Next::Done) => return self.end(),
                Some(Next::Begin(from)) => next = Some(self.feed(from)?),
            }
        }
    }

    fn end(mut self) -> Result<Summary, PublishError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let finished = !self.stop.load(Ordering::Relaxed);
        let summary = self.publisher.summary(&self.topic, self.role.confirmed().cloned(), finished);
        tracing::info!(topic = %self.topic, events = summary.events, finished = summary.finished, "published");
        Ok(summary)
    }

    /// Reads the source on one thread and publishes on this one.
    fn feed(&mut self, from: Option<SourcePosition>) -> Result<Next, PublishError> {
        let publisher = self.publisher;
        let options = &publisher.options;
        let queue = Queue::new(QueueLimits {
            items_max: options.common.transport.read_ahead_blocks_max.max(1),
            bytes_max: options.transaction_bytes_max.saturating_mul(2),
        });
        tracing::info!(topic = %self.topic, position = ?from, "reading the source");
        publisher.progress.set_state(State::Running);
        publisher.progress.source_at(
            from.as_ref().map_or(0, |position| position.bytes),
            from.as_ref().map_or(0, |position| position.events),
        );
        self.batch.clear();
        self.failure = None;
        let name = self.name.clone();
        let feed = Feed {
            options,
            schema: Arc::clone(&self.schema),
            name: &name,
            from,
            trace_ratio: publisher.trace_ratio,
            progress: &publisher.progress,
            queue: &queue,
            stop: self.stop,
        };
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("publisher-read".to_owned())
                .spawn_scoped(scope, || feed.run())
                .map_err(|reason| PublishError::Source { name: options.common.fsname.clone(), reason })?;
            // the scope waits for the reading thread, which may wait for room, also when this thread panics
            let _closes = CloseOnDrop(&queue);
            self.publish(&queue)
        })
    }

    fn publish(&mut self, queue: &Queue<Fed>) -> Result<Next, PublishError> {
        loop {
            self.publisher.progress.turned();
            if self.batch.is_empty() && !self.fill(queue) {
                return Ok(Next::Done);
            }
            let unsent = self.role.state() == PublisherState::Publishing;
            if !self.batch.is_empty() && unsent {
                let input = self.transact();
                self.tell(input);
            }
            if let Some(next) = self.carry_out()? {
                return Ok(next);
            }
        }
    }

    /// Takes what is ready, up to the limits of a transaction; false when nothing will come any more.
    fn fill(&mut self, queue: &Queue<Fed>) -> bool {
        let options = &self.publisher.options;
        let limits = |taken: &[Fed]| QueueLimits {
            items_max: options.transaction_blocks_max.saturating_sub(taken.len()),
            bytes_max: options.transaction_bytes_max,
        };
        let mut fed = Vec::new();
        if queue.take(TAKE_WAIT, limits(&fed), &mut fed) == Taken::Ended {
            return false;
        }
        // waiting for company costs latency, so only if it is asked for
        let until = Instant::now() + options.transaction_fill_wait;
        while !fed.is_empty() && fed.len() < options.transaction_blocks_max {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || queue.take(left, limits(&fed), &mut fed) != Taken::Some {
                break;
            }
        }
        for item in fed {
            match item {
                Fed::Block(ready) => self.batch.push(ready),
                Fed::Failed(error) => self.failure = Some(error),
            }
        }
        self.publisher.progress.queued(queue.bytes());
        true
    }

    /// Sends the batch in one transaction.
    fn transact(&mut self) -> Input {
        let end = self.batch.last().expect("only called with a batch").end.clone();
        self.tell(Input::Sending(end.clone()));
        let started = Instant::now();
        let sent = self.send(&end);
        match sent {
            Ok(()) => {
                self.trouble = None;
                self.publisher.progress.commit_took(started.elapsed());
                Input::Committed
            }
            Err(Outcome::FencedOut) => Input::FencedOut,
            Err(Outcome::NotCommitted(reason)) => {
                tracing::warn!(topic = %self.topic, reason, "transaction refused, sending it again");
                self.pause(&reason);
                Input::NotCommitted
            }
            Err(Outcome::InDoubt(reason)) => self.doubt(&reason),
        }
    }

    fn send(&mut self, end: &SourcePosition) -> Result<(), Outcome> {
        let writer = self.writer.as_mut().expect("the role publishes only after a fence");
        writer.begin(SEND_WAIT)?;
        for ready in &self.batch {
            let traceparent = ready.span.as_ref().and_then(|span| span.traceparent());
            let headers = traceparent.map(|text| Header { key: "traceparent", value: text.into() });
            let record = OutRecord {
                topic: Arc::clone(&self.topic),
                key: None,
                headers: headers.into_iter().collect(),
                payload: ready.payload.clone(),
            };
            writer.send(record, SEND_WAIT)?;
        }
        if let Some(meta) = &self.meta {
            let record = OutRecord {
                topic: Arc::clone(meta),
                key: Some(self.publisher.meta_key(&self.topic).into_bytes().into()),
                headers: Vec::new(),
                payload: meta_payload(end),
            };
            writer.send(record, SEND_WAIT)?;
        }
        Ok(writer.commit(COMMIT_WAIT)?)
    }

    /// Drops the writer; what it wrote last is to be looked up.
    fn doubt(&mut self, reason: &str) -> Input {
        tracing::warn!(topic = %self.topic, reason, "outcome in doubt, fencing and looking up what the topic holds");
        self.publisher.progress.doubt();
        self.writer = None;
        self.pause(reason);
        Input::InDoubt
    }

    fn tell(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.role.step(input, &mut effects);
        self.effects.extend(effects);
    }

    /// Carries out the role's effects until none is left or the source is to be read anew.
    fn carry_out(&mut self) -> Result<Option<Next>, PublishError> {
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::FenceIn => {
                    let input = self.fence_in()?;
                    self.tell(input);
                }
                Effect::Locate => {
                    let input = self.locate()?;
                    self.tell(input);
                }
                Effect::BeginAt(position) => return Ok(Some(Next::Begin(position))),
                Effect::Abort => {
                    let writer = self.writer.as_mut().expect("the writer that was refused is still there");
                    match writer.abort(COMMIT_WAIT).map_err(Outcome::from) {
                        Ok(()) => {}
                        Err(Outcome::FencedOut) => self.replace_effects(Input::FencedOut),
                        Err(Outcome::NotCommitted(reason) | Outcome::InDoubt(reason)) => {
                            let input = self.doubt(&reason);
                            self.replace_effects(input);
                        }
                    }
                }
                // the batch is still there, and the next turn sends what is there
                Effect::Resend => {}
                Effect::Confirm(position) => self.confirm(&position),
                Effect::Stop(stop) => return Err(PublishError::Stopped { topic: self.topic.to_string(), stop }),
            }
        }
        Ok(None)
    }

    /// The effects that were left belong to a transaction that is lost.
    fn replace_effects(&mut self, input: Input) {
        self.effects.clear();
        self.tell(input);
    }

    fn confirm(&mut self, position: &SourcePosition) {
        let events = self.batch.iter().map(|ready| ready.events).sum();
        let bytes = self.batch.iter().map(|ready| ready.payload.len() as u64).sum();
        self.publisher.progress.committed(self.batch.len() as u64, events, bytes);
        self.publisher.progress.source_at(position.bytes, position.events);
        self.batch.clear();
    }

    /// Opens a writer if there is none and fences; tries again while the bus does not answer.
    fn fence_in(&mut self) -> Result<Input, PublishError> {
        loop {
            match self.try_fence() {
                Ok(()) => return Ok(Input::FencedIn),
                Err(Outcome::FencedOut) => return Ok(Input::FencedOut),
                Err(Outcome::NotCommitted(reason) | Outcome::InDoubt(reason)) => {
                    self.writer = None;
                    self.wait_for_bus(&reason)?;
                }
            }
        }
    }

    fn try_fence(&mut self) -> Result<(), Outcome> {
        let options = WriterOptions {
            client: format!("publisher-{}", self.topic),
            transactional_id: self.publisher.transactional_id(&self.topic),
            two_lanes: false,
            transaction_timeout: TRANSACTION_TIMEOUT,
            buffer_bytes_max: self.publisher.options.transaction_bytes_max.saturating_add(WRITER_BUFFER_BYTES),
        };
        let mut writer = self.publisher.bus.writer(options, OPEN_WAIT)?;
        let fenced = writer.fence(FENCE_WAIT)?;
        if let Some(why) = fenced.fallback {
            tracing::info!(topic = %self.topic, why, "fenced the slow way");
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn locate(&mut self) -> Result<Input, PublishError> {
        loop {
            let key = self.publisher.meta_key(&self.topic);
            let search =
                Search { topic: &self.topic, meta: self.meta.as_ref(), key: &key, own: self.publisher.shared_source() };
            match locate(self.publisher.bus.as_ref(), &search) {
                Ok(found) => {
                    self.trouble = None;
                    tracing::info!(topic = %self.topic, found = %describe(&found), "last position");
                    return Ok(Input::Located(found));
                }
                Err(PublishError::Locate {
                    reason: mesh_bus::ReadError::Unavailable { attempted, reason }, ..
                }) => {
                    self.wait_for_bus(&format!("{attempted}: {reason}"))?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Pauses after a failure; an error when it has gone on for too long, or when the stop came.
    fn wait_for_bus(&mut self, reason: &str) -> Result<(), PublishError> {
        self.pause(reason);
        let topic = self.topic.to_string();
        if self.stop.load(Ordering::Relaxed) {
            return Err(PublishError::Drained { topic, last: reason.to_owned() });
        }
        let waited = self.trouble.as_ref().map_or(Duration::ZERO, |trouble| trouble.since.elapsed());
        if waited >= self.publisher.options.common.bus_wait {
            return Err(PublishError::Unavailable { topic, waited, last: reason.to_owned() });
        }
        Ok(())
    }

    fn pause(&mut self, reason: &str) {
        let trouble = self.trouble.get_or_insert_with(|| {
            tracing::warn!(topic = %self.topic, reason, "the bus gives trouble, trying again");
            Trouble { since: Instant::now(), pause: BACKOFF.0 }
        });
        let pause = trouble.pause;
        trouble.pause = (pause * 2).min(BACKOFF.1);
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10).min(pause));
        }
    }
}

struct CloseOnDrop<'a>(&'a Queue<Fed>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn describe(found: &Found) -> String {
    let position = |position: &SourcePosition| {
        format!("source {} round {} line {} event {}", position.source, position.round, position.lines, position.events)
    };
    match found {
        Found::Topic { offset, position: at } => format!("offset {offset}: {}", position(at)),
        Found::Meta(at) => format!("meta topic: {}", position(at)),
        Found::Nothing => "nothing published before".to_owned(),
        Found::Unmarked { offset } => format!("offset {offset}: no position"),
    }
}
