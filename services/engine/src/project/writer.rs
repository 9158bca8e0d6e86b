//! The thread that talks to the bus's writer: the only one that fences and commits.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use mesh_bus::{Bus, Header, OutRecord, WriteError, Writer, WriterOptions};
use mesh_event::codec::{BlockEncoder, BlockHeader, Cause};
use mesh_replication::engine::CommitFailure;
use mesh_replication::{CommitKind, CommitRecord, Term};
use mesh_service::telemetry::{Attribute, span_at};

use crate::project::machine::{KeptOutput, OutputCause};
use crate::project::message::{FromWriter, Job, StopFlag};

/// How long opening the connections may take before it is tried again.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// Wait between two tries to open.
const OPEN_RETRY: Duration = Duration::from_millis(300);
/// How long a fence may take before the term is given back.
const FENCE_DEADLINE: Duration = Duration::from_secs(10);
/// How long one settling waits; a job that comes meanwhile waits for it in `begin` anyway.
const SETTLE_DEADLINE: Duration = Duration::from_secs(2);
/// Times a commit that the bus aborted is tried again before its outcome counts as lost.
const ABORT_RETRIES: u32 = 5;
/// Wait for a job before the stop flag is looked at.
const JOB_WAIT: Duration = Duration::from_millis(100);

/// What the writer needs.
pub struct WriterThread {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// How to open a writer.
    pub options: WriterOptions,
    /// The commit log.
    pub log_topic: Arc<str>,
    /// The output topics by index.
    pub output_topics: Vec<Arc<str>>,
    /// Records that every term begins with: the windows' schemas, for the metadata topic.
    pub announcements: Box<dyn Fn(Term) -> Vec<OutRecord> + Send>,
    /// How long a transaction may take before its outcome counts as unknown.
    pub commit_deadline: Duration,
    /// From the driver.
    pub jobs: Receiver<Job>,
    /// To the driver.
    pub answers: Sender<FromWriter>,
    /// Ends the thread.
    pub stop: StopFlag,
}

impl WriterThread {
    /// Works until stopped, or until the driver is gone.
    pub fn run(self) {
        let mut writer: Option<Box<dyn Writer>> = None;
        // A writer can be fenced in once; for the next term a new one is opened, in the background where possible.
        let mut used = false;
        let mut told = None;
        while !self.stop.is_set() {
            if writer.is_none() {
                let opened = self.bus.writer(self.options.clone(), OPEN_DEADLINE);
                let ready = opened.is_ok();
                let answer = match opened {
                    Ok(opened) => {
                        writer = Some(opened);
                        used = false;
                        FromWriter::Ready
                    }
                    Err(error) => FromWriter::NotReady { reason: error.to_string() },
                };
                if told != Some(ready) && self.answers.send(answer).is_err() {
                    return;
                }
                told = Some(ready);
            }
            let wait = if writer.is_some() { JOB_WAIT } else { OPEN_RETRY };
            let job = match self.jobs.recv_timeout(wait) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if used && matches!(job, Job::Fence { .. } | Job::StandBy) {
                writer = self.bus.writer(self.options.clone(), OPEN_DEADLINE).ok();
                used = false;
            }
            let answer = match (job, writer.as_mut()) {
                (Job::StandBy, _) => continue,
                (Job::Fence { term }, Some(open)) => {
                    used = true;
                    self.fence(open.as_mut(), term)
                }
                (Job::Fence { term }, None) => {
                    FromWriter::FenceFailed { term, reason: format!("{} cannot be reached", self.bus.name()) }
                }
                (Job::Commit { record, outputs }, Some(open)) => self.commit(open.as_mut(), record, &outputs),
                (Job::Commit { record, .. }, None) => {
                    let reason = format!("{} cannot be reached", self.bus.name());
                    FromWriter::CommitFailed { number: record.number, failure: CommitFailure::Lost { reason } }
                }
            };
            let committed = matches!(answer, FromWriter::Committed { .. });
            let lost = matches!(answer, FromWriter::CommitFailed { .. } | FromWriter::FenceFailed { .. });
            if self.answers.send(answer).is_err() {
                return;
            }
            if lost {
                // Fenced, or its outcome unknown: never go on with such a producer; the new one opens in the background.
                writer = None;
            } else if committed
                && let Some(open) = writer.as_mut()
                && let Err(error) = open.settle(SETTLE_DEADLINE)
            {
                tracing::debug!(%error, "settling failed, the next transaction will tell");
            }
        }
    }

    fn fence(&self, writer: &mut dyn Writer, term: Term) -> FromWriter {
        let began = Instant::now();
        match writer.fence(FENCE_DEADLINE) {
            Ok(fenced) => FromWriter::Fenced { term, fallback: fenced.fallback, took: began.elapsed() },
            Err(error) => FromWriter::FenceFailed { term, reason: error.to_string() },
        }
    }

    fn commit(&self, writer: &mut dyn Writer, record: CommitRecord, outputs: &[KeptOutput]) -> FromWriter {
        let (began, began_at, number) = (Instant::now(), SystemTime::now(), record.number);
        let mut tries = 0;
        loop {
            let left = self.commit_deadline.saturating_sub(began.elapsed());
            let failure = match self.transaction(writer, &record, outputs, left) {
                Ok(()) => {
                    trace_commit(outputs, &record, began_at);
                    return FromWriter::Committed { number, took: began.elapsed() };
                }
                Err(WriteError::Aborted { attempted, reason }) if tries < ABORT_RETRIES && !left.is_zero() => {
                    tracing::warn!(attempted, reason, commit = number.0, "the bus aborted a commit, trying again");
                    tries += 1;
                    match writer.abort(left) {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let failure = match failure {
                WriteError::Fenced { .. } => CommitFailure::Fenced,
                error @ (WriteError::Aborted { .. } | WriteError::Unknown { .. } | WriteError::Unavailable { .. }) => {
                    CommitFailure::Lost { reason: error.to_string() }
                }
            };
            return FromWriter::CommitFailed { number, failure };
        }
    }

    fn transaction(
        &self,
        writer: &mut dyn Writer,
        record: &CommitRecord,
        outputs: &[KeptOutput],
        deadline: Duration,
    ) -> Result<(), WriteError> {
        let began = Instant::now();
        let left = || deadline.saturating_sub(began.elapsed());
        writer.begin(left())?;
        let term = Bytes::from(record.term.to_string());
        if record.kind == CommitKind::Term {
            for announcement in (self.announcements)(record.term) {
                writer.send(announcement, left())?;
            }
        }
        let mut encoder = BlockEncoder::default();
        for output in outputs {
            writer.send(self.output_record(output, &term, &mut encoder), left())?;
        }
        let headers = vec![Header { key: "term", value: term }];
        let (topic, payload) = (self.log_topic.clone(), record.encode().into());
        writer.send(OutRecord { topic, key: None, headers, payload }, left())?;
        writer.commit(left())
    }

    fn output_record(&self, output: &KeptOutput, term: &Bytes, encoder: &mut BlockEncoder) -> OutRecord {
        let (message_id, cause, input_index) = match output.cause {
            OutputCause::Input { input, offset } => (offset, Cause::Input, input),
            OutputCause::Tick { clock_us } => (clock_us.unsigned_abs(), Cause::Tick, 0),
        };
        let header = BlockHeader {
            message_id,
            cause,
            sequence: output.sequence,
            source: None,
            input_index,
            schema_fingerprint: 0,
        };
        let mut headers = vec![Header { key: "term", value: term.clone() }];
        if let Some(trace) = &output.trace {
            headers.push(Header { key: "traceparent", value: Bytes::copy_from_slice(trace.as_bytes()) });
        }
        let topic = self.output_topics[output.output].clone();
        let payload = encoder.encode(&output.run, output.rows.clone(), output.kind, &header);
        OutRecord { topic, key: None, headers, payload }
    }
}

/// One span per traced block, for the time its commit took.
fn trace_commit(outputs: &[KeptOutput], record: &CommitRecord, began: SystemTime) {
    for output in outputs {
        if let Some(trace) = &output.trace {
            let attributes = [
                Attribute::number("esp.term", record.term.0),
                Attribute::number("esp.commit", record.number.0),
                Attribute::number("esp.sequence", output.sequence),
            ];
            span_at("engine.commit", Some(trace), Some(began), &attributes).end();
        }
    }
}
