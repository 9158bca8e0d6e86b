//! A file sink's position, kept beside it, and what a restart may make of the two.
//!
//! The position is written after the data that it covers. So the file is at least as long as its position says; what is
//! longer was never covered and is cut off.

use std::fmt;

/// First line of a position's text form.
const TITLE: &str = "esp-mesh subscriber position 1";
/// The same where one file after the other is written.
const ROTATED_TITLE: &str = "esp-mesh subscriber position 2";
/// Bytes before the covered end that the digest is taken of, at most.
pub const TAIL_BYTES: u64 = 4096;

/// Where a sink stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkPosition {
    /// Topic that it was filled from.
    pub topic: String,
    /// Offset to read next.
    pub next_offset: u64,
    /// Sequence of the last block in it; 0 when there is none.
    pub sequence: u64,
    /// Bytes of the file that are covered.
    pub length: u64,
    /// Events in it.
    pub events: u64,
    /// Digest of its last [`TAIL_BYTES`] covered bytes, to know it again.
    pub tail: u64,
    /// The file that is written, if it is one after the other; length and tail are those of this one.
    pub current: Option<CurrentFile>,
}

/// One of the files that are written one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CurrentFile {
    /// Its name, without the folder; empty: none has been begun.
    pub name: String,
    /// Time of its first block, milliseconds since 1970.
    pub opened_ms: i64,
}

impl fmt::Display for SinkPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.current.is_some() { ROTATED_TITLE } else { TITLE })?;
        writeln!(f, "topic {}", self.topic)?;
        writeln!(f, "next_offset {}", self.next_offset)?;
        writeln!(f, "sequence {}", self.sequence)?;
        writeln!(f, "length {}", self.length)?;
        writeln!(f, "events {}", self.events)?;
        writeln!(f, "tail {}", self.tail)?;
        let Some(current) = &self.current else { return Ok(()) };
        writeln!(f, "opened_ms {}", current.opened_ms)?;
        writeln!(f, "file {}", current.name)
    }
}

/// A text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is `{found}`, expected `{expected}`")]
pub struct PositionError {
    /// Line, from 1.
    pub line: usize,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl SinkPosition {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<SinkPosition, PositionError> {
        let mut lines = text.lines().enumerate();
        let mut next = |expected: &str| {
            let (i, line) = lines.next().unwrap_or((text.lines().count(), ""));
            let wrong = PositionError { line: i + 1, expected: expected.to_owned(), found: line.to_owned() };
            (line.to_owned(), wrong)
        };
        let (title, wrong) = next(TITLE);
        let rotated = title == ROTATED_TITLE;
        if !rotated && title != TITLE {
            return Err(wrong);
        }
        let mut value = |name: &str, what: &str| {
            let (line, wrong) = next(&format!("{name} {what}"));
            line.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(' '))
                .map(str::to_owned)
                .ok_or(wrong.clone())
                .map(|v| (v, wrong))
        };
        let (topic, _) = value("topic", "<name>")?;
        let mut number = |name: &str| value(name, "<number>").and_then(|(text, wrong)| text.parse().map_err(|_| wrong));
        let mut position = SinkPosition {
            topic,
            next_offset: number("next_offset")?,
            sequence: number("sequence")?,
            length: number("length")?,
            events: number("events")?,
            tail: number("tail")?,
            current: None,
        };
        if rotated {
            let (text, wrong) = value("opened_ms", "<number>")?;
            let opened_ms = text.parse().map_err(|_| wrong)?;
            position.current = Some(CurrentFile { name: value("file", "<name>")?.0, opened_ms });
        }
        Ok(position)
    }
}

/// The file as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSeen {
    /// Its length.
    pub length: u64,
    /// Digest of the [`TAIL_BYTES`] before the position's length; `None` when the file is shorter or there is no position.
    pub tail: Option<u64>,
}

/// How a sink goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkStart {
    /// With a new file.
    New,
    /// With a new file, although there is a position: somebody removed the file to begin anew.
    FileRemoved,
    /// At the position, after the file is cut to its length.
    Resume(SinkPosition),
}

/// A file and a position that do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The file was not made by this adapter.
    #[error("the file has {length} bytes and no position beside it, expected an empty file or none")]
    NoPosition {
        /// Its length.
        length: u64,
    },
    /// The file was filled from another topic.
    #[error("the file was filled from topic `{found}`, expected `{expected}`")]
    OtherTopic {
        /// Topic in the position.
        found: String,
        /// Own topic.
        expected: String,
    },
    /// It was one file and shall be several, or the reverse.
    #[error("{found} was written until now, expected {expected}: `maxfilesize` and `periodicity` were changed")]
    OtherRotation {
        /// What was written.
        found: &'static str,
        /// What shall be.
        expected: &'static str,
    },
    /// The file is older than its position.
    #[error("the file has {found} bytes, expected at least {expected} as its position says")]
    Shorter {
        /// Its length.
        found: u64,
        /// Length in the position.
        expected: u64,
    },
    /// The file holds something else.
    #[error("the bytes before byte {length} of the file are not those that were written there")]
    OtherContent {
        /// Length in the position.
        length: u64,
    },
}

/// Decides from the position and the file (`None`: there is none) how the sink goes on.
pub fn reconcile(topic: &str, position: Option<SinkPosition>, file: Option<FileSeen>) -> Result<SinkStart, Conflict> {
    match (position, file) {
        (None, None | Some(FileSeen { length: 0, .. })) => Ok(SinkStart::New),
        (None, Some(file)) => Err(Conflict::NoPosition { length: file.length }),
        (Some(position), _) if position.topic != topic => {
            Err(Conflict::OtherTopic { found: position.topic, expected: topic.to_owned() })
        }
        (Some(_), None) => Ok(SinkStart::FileRemoved),
        (Some(position), Some(file)) if file.length < position.length => {
            Err(Conflict::Shorter { found: file.length, expected: position.length })
        }
        (Some(position), Some(file)) if file.tail != Some(position.tail) => {
            Err(Conflict::OtherContent { length: position.length })
        }
        (Some(position), Some(_)) => Ok(SinkStart::Resume(position)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> SinkPosition {
        SinkPosition {
            topic: "h_1.p.q.w.O".into(),
            next_offset: 12,
            sequence: 9,
            length: 100,
            events: 33,
            tail: 7,
            current: None,
        }
    }

    #[test]
    fn the_text_form_is_read_back_and_a_broken_one_is_named() {
        assert_eq!(SinkPosition::parse(&position().to_string()), Ok(position()));
        let current = Some(CurrentFile { name: "out 1.csv".into(), opened_ms: -5 });
        let rotated = SinkPosition { current, ..position() };
        assert_eq!(SinkPosition::parse(&rotated.to_string()), Ok(rotated));
        let broken = position().to_string().replace("sequence 9", "sequence nine");
        let error = SinkPosition::parse(&broken).unwrap_err().to_string();
        assert_eq!(error, "line 4 is `sequence nine`, expected `sequence <number>`");
        let cut: String = position().to_string().lines().take(3).collect::<Vec<_>>().join("\n");
        assert!(SinkPosition::parse(&cut).unwrap_err().to_string().starts_with("line 4 is ``"));
        assert_eq!(SinkPosition::parse("x").unwrap_err().line, 1);
    }

    #[test]
    fn file_and_position_decide_together() {
        let check = |position, file| reconcile("h_1.p.q.w.O", position, file);
        let file = |length, tail| Some(FileSeen { length, tail });
        assert_eq!(check(None, None), Ok(SinkStart::New));
        assert_eq!(check(None, file(0, None)), Ok(SinkStart::New));
        assert_eq!(check(None, file(5, None)), Err(Conflict::NoPosition { length: 5 }));
        assert_eq!(check(Some(position()), None), Ok(SinkStart::FileRemoved));
        assert_eq!(check(Some(position()), file(120, Some(7))), Ok(SinkStart::Resume(position())));
        assert_eq!(check(Some(position()), file(100, Some(7))), Ok(SinkStart::Resume(position())));
        assert_eq!(check(Some(position()), file(99, None)), Err(Conflict::Shorter { found: 99, expected: 100 }));
        assert_eq!(check(Some(position()), file(120, Some(8))), Err(Conflict::OtherContent { length: 100 }));
        let other = SinkPosition { topic: "other.O".into(), ..position() };
        assert!(matches!(check(Some(other), file(100, Some(7))), Err(Conflict::OtherTopic { .. })));
    }
}
