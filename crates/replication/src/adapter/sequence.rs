//! Loss, duplication and order on an output topic: every block there carries a number, contiguous from 1.

use std::fmt;

/// What is wrong with a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreachKind {
    /// Blocks are missing.
    Lost,
    /// The block before came again.
    Doubled,
    /// An older block came again.
    Reordered,
    /// The block carries no number.
    Unnumbered,
}

impl fmt::Display for BreachKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BreachKind::Lost => "lost",
            BreachKind::Doubled => "doubled",
            BreachKind::Reordered => "reordered",
            BreachKind::Unnumbered => "unnumbered",
        })
    }
}

/// A sequence that is not contiguous.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "reading topic `{topic}` at offset {offset}: block {kind}, expected sequence {expected}, found {found}; the topic \
     breaks its promise from here on: keep it for examination, or give ongap=continue to go on regardless"
)]
pub struct Breach {
    /// Topic.
    pub topic: String,
    /// Offset of the block.
    pub offset: u64,
    /// What is wrong.
    pub kind: BreachKind,
    /// Number expected.
    pub expected: u64,
    /// Number found.
    pub found: u64,
}

/// Checks one topic.
#[derive(Debug, Clone)]
pub struct SequenceCheck {
    topic: String,
    /// `None`: any number may come first.
    next: Option<u64>,
}

impl SequenceCheck {
    /// The first block must have this number.
    pub fn starting_at(topic: impl Into<String>, first: u64) -> SequenceCheck {
        SequenceCheck { topic: topic.into(), next: Some(first) }
    }

    /// The first block may have any number; a reader that starts at the newest record cannot know it.
    pub fn starting_anywhere(topic: impl Into<String>) -> SequenceCheck {
        SequenceCheck { topic: topic.into(), next: None }
    }

    /// Number of the last block taken; 0 before the first.
    pub fn last(&self) -> u64 {
        self.next.map_or(0, |next| next - 1)
    }

    /// Takes a block. After a breach the check goes on behind the highest number seen, so that each breach is told once.
    pub fn take(&mut self, offset: u64, found: u64) -> Result<(), Breach> {
        let expected = self.next.unwrap_or(found);
        if found != 0 && found == expected {
            self.next = Some(found + 1);
            return Ok(());
        }
        let kind = match found {
            0 => BreachKind::Unnumbered,
            _ if found > expected => BreachKind::Lost,
            _ if found + 1 == expected => BreachKind::Doubled,
            _ => BreachKind::Reordered,
        };
        if found != 0 {
            self.next = Some(expected.max(found + 1));
        }
        let expected = expected.max(1);
        Err(Breach { topic: self.topic.clone(), offset, kind, expected, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(first: u64, numbers: &[u64]) -> String {
        let mut check = SequenceCheck::starting_at("t.O", first);
        let told = numbers.iter().enumerate().filter_map(|(i, number)| check.take(i as u64, *number).err());
        told.map(|b| format!("{}:{} {}/{}", b.offset, b.kind, b.expected, b.found)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_breach_is_told_once_and_by_its_name() {
        assert_eq!(breaches(1, &[1, 2, 3]), "");
        assert_eq!(breaches(1, &[2, 3]), "0:lost 1/2");
        assert_eq!(breaches(1, &[1, 2, 2, 3]), "2:doubled 3/2");
        assert_eq!(breaches(1, &[1, 2, 3, 1, 4]), "3:reordered 4/1");
        assert_eq!(breaches(5, &[5, 8, 9]), "1:lost 6/8");
        assert_eq!(breaches(1, &[1, 0, 2]), "1:unnumbered 2/0");
    }

    #[test]
    fn a_start_anywhere_takes_the_first_number_as_it_is() {
        let mut check = SequenceCheck::starting_anywhere("t.O");
        assert_eq!(check.last(), 0);
        check.take(40, 17).unwrap();
        assert_eq!(check.last(), 17);
        assert_eq!(check.take(42, 19).unwrap_err().expected, 18);
    }
}
