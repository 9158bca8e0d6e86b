//! Where the topics say that the source was read to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mesh_bus::{Bus, EndOf, Polled, ReadError, ReaderOptions, Record, StartAt};
use mesh_event::{SourceFile, SourcePosition, decode_header};
use mesh_proto::event::{SourceFile as WireFile, SourcePosition as WirePosition};
use mesh_replication::adapter::Found;
use prost::Message;

use crate::publish::error::PublishError;

/// How long the topic's end may take to become stable after the fence.
const STABLE_WAIT: Duration = Duration::from_secs(15);
/// How long reading back may take.
const READ_WAIT: Duration = Duration::from_secs(15);
/// One poll.
const POLL: Duration = Duration::from_millis(100);
/// Records of one poll.
const POLL_RECORDS_MAX: usize = 1024;
/// What the reader may read ahead.
const BUFFER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Offsets that the first look goes back. The last offsets of a topic are control records, so one is not enough.
const FIRST_LOOK: u64 = 16;

/// Offsets looked back for one of several publishers of a topic before the meta topic is asked instead.
const SHARED_LOOK_MAX: u64 = 1 << 16;

/// What is looked for.
pub(crate) struct Search<'a> {
    pub topic: &'a Arc<str>,
    pub meta: Option<&'a Arc<str>>,
    /// Key of the position in the meta topic.
    pub key: &'a str,
    /// Only blocks of this source count: others publish to the topic too. `None`: the last block counts, whose it is.
    pub own: Option<&'a str>,
}

/// Looks up the last position; the own writer must be fenced in, so that nothing is written meanwhile.
pub(crate) fn locate(bus: &dyn Bus, search: &Search<'_>) -> Result<Found, PublishError> {
    let Search { topic, meta, key, own } = *search;
    let failed = |reason| PublishError::Locate { topic: topic.to_string(), reason };
    let is_own = |record: &Record| {
        let source = || decode_header(&record.payload).ok().and_then(|header| header.source);
        own.is_none_or(|own| source().is_some_and(|position| position.source == own))
    };
    let look_max = if own.is_some() && meta.is_some() { SHARED_LOOK_MAX } else { u64::MAX };
    if let Some(record) = last_record(bus, topic, look_max, is_own).map_err(failed)? {
        let header = decode_header(&record.payload).map_err(|error| PublishError::Corrupt {
            topic: topic.to_string(),
            offset: record.offset,
            reason: error.to_string(),
        })?;
        return Ok(match header.source {
            Some(position) => Found::Topic { offset: record.offset, position },
            None => Found::Unmarked { offset: record.offset },
        });
    }
    let Some(meta) = meta else { return Ok(Found::Nothing) };
    let remembered = last_of_key(bus, meta, key).map_err(failed)?;
    let Some(record) = remembered else { return Ok(Found::Nothing) };
    match WirePosition::decode(record.payload) {
        Ok(wire) => Ok(Found::Meta(SourcePosition {
            source: wire.source,
            bytes: wire.bytes,
            lines: wire.lines,
            events: wire.events,
            round: wire.round,
            file: wire.file.map(|file| SourceFile { path: file.path, inode: file.inode, head: file.head }),
        })),
        Err(error) => {
            Err(PublishError::Corrupt { topic: meta.to_string(), offset: record.offset, reason: error.to_string() })
        }
    }
}

/// A position as the meta topic keeps it.
pub(crate) fn meta_payload(position: &SourcePosition) -> Bytes {
    let wire = WirePosition {
        source: position.source.clone(),
        bytes: position.bytes,
        lines: position.lines,
        events: position.events,
        round: position.round,
        file: position.file.as_ref().map(|file| WireFile {
            path: file.path.clone(),
            inode: file.inode,
            head: file.head,
        }),
    };
    wire.encode_to_vec().into()
}

/// Offset of the last committed record of a topic; `None`: it holds none.
///
/// # Errors
/// When the bus cannot be read.
pub fn last_offset(bus: &dyn Bus, topic: &Arc<str>) -> Result<Option<u64>, ReadError> {
    Ok(last_record(bus, topic, u64::MAX, |_| true)?.map(|record| record.offset))
}

/// The last committed record that counts, found by looking back ever further from the end, at most `look_max` offsets.
fn last_record(
    bus: &dyn Bus,
    topic: &Arc<str>,
    look_max: u64,
    counts: impl Fn(&Record) -> bool,
) -> Result<Option<Record>, ReadError> {
    let end = stable_end(bus, topic)?;
    let mut look = FIRST_LOOK;
    loop {
        // retention may move the oldest offset at any time
        let oldest = bus.end(topic, EndOf::Oldest, READ_WAIT)?;
        let from = end.saturating_sub(look).max(oldest);
        if from >= end {
            return Ok(None);
        }
        let mut last = None;
        match read_until(bus, topic, StartAt::Offset(from), end, |record| {
            if counts(&record) {
                last = Some(record);
            }
        }) {
            Err(ReadError::Gone { .. }) => continue,
            other => other?,
        }
        if last.is_some() || from == oldest || look >= look_max {
            return Ok(last);
        }
        look = look.saturating_mul(16);
    }
}

/// The last committed record of the meta topic with this key.
pub(crate) fn last_of_key(bus: &dyn Bus, meta: &Arc<str>, key: &str) -> Result<Option<Record>, ReadError> {
    let end = stable_end(bus, meta)?;
    let mut last = None;
    read_until(bus, meta, StartAt::Oldest, end, |record| {
        if record.key.as_deref() == Some(key.as_bytes()) {
            last = Some(record);
        }
    })?;
    Ok(last)
}

/// The end below which everything is committed or aborted: after the fence that is the whole topic, as soon as the
/// brokers have told each other.
fn stable_end(bus: &dyn Bus, topic: &str) -> Result<u64, ReadError> {
    let started = Instant::now();
    let newest = bus.end(topic, EndOf::Newest, READ_WAIT)?;
    loop {
        let stable = bus.end(topic, EndOf::Stable, READ_WAIT)?;
        if stable >= newest {
            return Ok(stable);
        }
        if started.elapsed() >= STABLE_WAIT {
            return Err(ReadError::Unavailable {
                attempted: format!("waiting for the end of topic `{topic}` to become stable"),
                reason: format!(
                    "a transaction of somebody else has been open at offset {stable} for {STABLE_WAIT:?}, expected none \
                     up to offset {newest}: end that writer"
                ),
            });
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn read_until(
    bus: &dyn Bus,
    topic: &Arc<str>,
    from: StartAt,
    end: u64,
    mut each: impl FnMut(Record),
) -> Result<(), ReadError> {
    if end == 0 {
        return Ok(());
    }
    let options = ReaderOptions {
        client: format!("publisher-locate-{topic}"),
        buffer_bytes_max: BUFFER_BYTES_MAX,
        committed_only: true,
        end_within: ReaderOptions::SOON,
    };
    let mut reader = bus.reader(options, &[(Arc::clone(topic), from)])?;
    let started = Instant::now();
    let mut polled = Vec::new();
    loop {
        reader.poll(POLL, POLL_RECORDS_MAX, &mut polled)?;
        for item in polled.drain(..) {
            match item {
                Polled::Record(record) if record.offset >= end => return Ok(()),
                Polled::Record(record) => each(record),
                Polled::End { next_offset, .. } if next_offset >= end => return Ok(()),
                Polled::End { .. } => {}
            }
        }
        if started.elapsed() >= READ_WAIT {
            return Err(ReadError::Unavailable {
                attempted: format!("reading topic `{topic}` to offset {end}"),
                reason: format!("the end was not reached within {READ_WAIT:?}"),
            });
        }
    }
}
