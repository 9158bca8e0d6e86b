//! The thread of an engine that talks to the bus's writer, as in `services/engine/src/project/writer.rs`: it opens
//! writers, takes one job after the other, and drops a writer that was fenced or whose outcome is unknown.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mesh_replication::engine::CommitFailure;
use mesh_replication::{CommitNumber, CommitRecord, Term};

use crate::kafka::{BROKERS, Batch, Payload};
use crate::net::Node;
use crate::plan::MS;
use crate::project::Output;
use crate::world::writer::{Op, Outcome};
use crate::world::{Event, PROJECT_TID, SECOND_TID, World};

/// Wait between two tries to open a writer.
const OPEN_RETRY_US: u64 = 20 * MS;
/// A commit that the bus aborted is tried again so often.
const ABORT_RETRIES: u32 = 5;

/// What the writer's thread is given.
#[derive(Debug)]
pub(crate) enum Job {
    Fence(Term),
    Commit(CommitRecord, Arc<Vec<Output>>),
    StandBy,
}

/// What it answers.
#[derive(Debug)]
pub(crate) enum FromWriter {
    Ready(bool),
    Fenced(Term),
    FenceFailed(Term),
    Committed(CommitNumber),
    CommitFailed(CommitNumber, CommitFailure),
}

/// The thread of the writer.
#[derive(Debug, Default)]
pub(crate) struct WriterThread {
    jobs: VecDeque<Job>,
    client: Option<usize>,
    used: bool,
    opening: bool,
    /// The job under way.
    busy: Option<Busy>,
    told: Option<bool>,
}

#[derive(Debug)]
enum Busy {
    Fence(Term),
    Commit {
        number: CommitNumber,
        batch: Batch,
        deadline: u64,
        tries: u32,
        /// What a second transaction is to hold; only a planted bug cuts a commit in two.
        rest: Option<Batch>,
    },
}

impl World {
    pub(crate) fn give(&mut self, index: usize, job: Job) {
        self.engines[index].writer.jobs.push_back(job);
        self.work(index);
    }

    pub(crate) fn open_writer(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        engine.writer.client = None;
        engine.writer.opening = true;
        let life = engine.life.number;
        let delay = self.plan.open_us + self.net.delay(&mut self.random);
        self.after(delay, Event::Opened { node: Node::Engine(index), life });
    }

    /// The connections of a writer are open, if brokers could be reached.
    pub(crate) fn opened(&mut self, node: Node) {
        let Node::Engine(index) = node else { return self.publisher_opened(node) };
        let reached =
            (0..BROKERS).any(|broker| self.kafka.alive[broker] && !self.net.is_apart(node, Node::Broker(broker)));
        let life = self.engines[index].life.number;
        self.engines[index].writer.opening = false;
        if reached {
            let second = if self.plan.two_lanes { SECOND_TID } else { PROJECT_TID };
            let client = self.new_client(node, life, [PROJECT_TID, second]);
            let writer = &mut self.engines[index].writer;
            writer.client = Some(client);
            writer.used = false;
        }
        let engine = &mut self.engines[index];
        if engine.writer.told != Some(reached) {
            engine.writer.told = Some(reached);
            engine.answers.push_back(FromWriter::Ready(reached));
            self.wake_driver(index);
        }
        self.work(index);
        let writer = &mut self.engines[index].writer;
        if writer.client.is_none() && !writer.opening {
            writer.opening = true;
            self.after(OPEN_RETRY_US, Event::Opened { node, life });
        }
    }

    /// The thread takes its next job.
    fn work(&mut self, index: usize) {
        let writer = &mut self.engines[index].writer;
        if writer.opening || writer.busy.is_some() {
            return;
        }
        let Some(job) = writer.jobs.pop_front() else { return };
        if writer.used && matches!(job, Job::Fence(_) | Job::StandBy) {
            // a writer can be fenced in once
            if !matches!(job, Job::StandBy) {
                writer.jobs.push_front(job);
            }
            return self.open_writer(index);
        }
        let client = writer.client;
        match (job, client) {
            (Job::StandBy, _) => {}
            (Job::Fence(term), Some(client)) => {
                writer.used = true;
                writer.busy = Some(Busy::Fence(term));
                return self.client_fence(client);
            }
            (Job::Fence(term), None) => self.tell_driver(index, FromWriter::FenceFailed(term)),
            (Job::Commit(record, outputs), Some(client)) => {
                let batch = self.batch_of(&record, &outputs);
                let deadline = self.now + self.plan.commit_us;
                let busy = Busy::Commit { number: record.number, batch: batch.clone(), deadline, tries: 0, rest: None };
                self.engines[index].writer.busy = Some(busy);
                if crate::planted!(RecordApart) {
                    return self.commit_apart(index, client, &batch, deadline);
                }
                return self.client_commit(client, batch, deadline);
            }
            (Job::Commit(record, _), None) => {
                let failure = CommitFailure::Lost { reason: "the bus cannot be reached".to_owned() };
                self.tell_driver(index, FromWriter::CommitFailed(record.number, failure));
            }
        }
        self.work(index);
    }

    fn batch_of(&self, record: &CommitRecord, outputs: &[Output]) -> Batch {
        let mut parts: Vec<(usize, Vec<Payload>)> = Vec::new();
        for output in outputs {
            let partition = self.plan.inputs + usize::from(output.output);
            let payload = Payload::Output(*output);
            match parts.iter_mut().find(|(found, _)| *found == partition) {
                Some((_, payloads)) => payloads.push(payload),
                None => parts.push((partition, vec![payload])),
            }
        }
        parts.push((self.log_partition(), vec![Payload::Record(Rc::from(record.encode()))]));
        Rc::new(parts)
    }

    /// A planted bug: the outputs in one transaction, the record in the next.
    fn commit_apart(&mut self, index: usize, client: usize, batch: &Batch, deadline: u64) {
        let (outputs, record): (Vec<_>, Vec<_>) =
            batch.iter().cloned().partition(|(partition, _)| *partition != self.log_partition());
        if outputs.is_empty() {
            return self.client_commit(client, Rc::new(record), deadline);
        }
        if let Some(Busy::Commit { rest, .. }) = &mut self.engines[index].writer.busy {
            *rest = Some(Rc::new(record));
        }
        self.client_commit(client, Rc::new(outputs), deadline);
    }

    fn tell_driver(&mut self, index: usize, answer: FromWriter) {
        self.engines[index].answers.push_back(answer);
        self.wake_driver(index);
    }

    /// The client has done what the thread asked of it.
    pub(crate) fn engine_written(&mut self, index: usize, client: usize, was: Op, outcome: Outcome) {
        let writer = &mut self.engines[index].writer;
        if writer.client != Some(client) {
            return;
        }
        let Some(busy) = writer.busy.take() else { return };
        let answer = match (busy, outcome) {
            (Busy::Fence(term), Outcome::Done) => FromWriter::Fenced(term),
            (Busy::Fence(term), Outcome::Fenced | Outcome::Aborted | Outcome::Lost) => FromWriter::FenceFailed(term),
            (Busy::Commit { number, deadline, tries, rest: Some(rest), .. }, Outcome::Done) => {
                writer.busy = Some(Busy::Commit { number, batch: rest.clone(), deadline, tries, rest: None });
                return self.client_commit(client, rest, deadline);
            }
            (Busy::Commit { number, .. }, Outcome::Done) => FromWriter::Committed(number),
            (Busy::Commit { number, .. }, Outcome::Fenced) => FromWriter::CommitFailed(number, CommitFailure::Fenced),
            (Busy::Commit { number, batch, deadline, tries, .. }, Outcome::Aborted)
                if tries < ABORT_RETRIES && self.now < deadline =>
            {
                writer.busy =
                    Some(Busy::Commit { number, batch: batch.clone(), deadline, tries: tries + 1, rest: None });
                return self.client_commit(client, batch, deadline);
            }
            (Busy::Commit { number, batch, tries, .. }, Outcome::Lost)
                if crate::planted!(ProducerReused) && tries < ABORT_RETRIES =>
            {
                let deadline = self.now + self.plan.commit_us;
                writer.busy =
                    Some(Busy::Commit { number, batch: batch.clone(), deadline, tries: tries + 1, rest: None });
                return self.client_commit(client, batch, deadline);
            }
            (Busy::Commit { number, .. }, Outcome::Aborted | Outcome::Lost) => {
                FromWriter::CommitFailed(number, CommitFailure::Lost { reason: format!("no answer to {was:?}") })
            }
        };
        let lost = matches!(answer, FromWriter::CommitFailed(..) | FromWriter::FenceFailed(_));
        self.tell_driver(index, answer);
        if lost {
            // fenced, or its outcome unknown: never go on with such a producer
            self.open_writer(index);
        } else {
            self.work(index);
        }
    }
}
