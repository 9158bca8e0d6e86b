//! What an event does to the row with its key.

use std::fmt;

/// The operation of an event. The numbers are those of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A new row.
    Insert = 1,
    /// A changed row; the key must be known.
    Update = 2,
    /// A new or changed row.
    Upsert = 3,
    /// The row goes; the key must be known.
    Delete = 4,
    /// The row goes if it is there.
    SafeDelete = 5,
    /// The new half of an update block; the next event of the block is a [`Opcode::Delete`] with the old row.
    UpdateBlock = 6,
}

impl Opcode {
    /// Every opcode in wire order.
    pub const ALL: [Opcode; 6] =
        [Opcode::Insert, Opcode::Update, Opcode::Upsert, Opcode::Delete, Opcode::SafeDelete, Opcode::UpdateBlock];

    /// The letters in CSV: `I U P D SD UB`.
    pub fn letters(self) -> &'static str {
        match self {
            Opcode::Insert => "I",
            Opcode::Update => "U",
            Opcode::Upsert => "P",
            Opcode::Delete => "D",
            Opcode::SafeDelete => "SD",
            Opcode::UpdateBlock => "UB",
        }
    }

    /// Reads CSV letters, case-free; `s` and `sd` both mean a safe delete.
    pub fn parse(text: &[u8]) -> Option<Opcode> {
        let text = text.trim_ascii();
        Some(match text {
            b"I" | b"i" => Opcode::Insert,
            b"U" | b"u" => Opcode::Update,
            b"P" | b"p" => Opcode::Upsert,
            b"D" | b"d" => Opcode::Delete,
            _ if text.eq_ignore_ascii_case(b"s") || text.eq_ignore_ascii_case(b"sd") => Opcode::SafeDelete,
            _ if text.eq_ignore_ascii_case(b"ub") => Opcode::UpdateBlock,
            _ => return None,
        })
    }

    /// Reads the wire number.
    pub fn from_wire(number: u8) -> Option<Opcode> {
        Opcode::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// Flags of an event, a bit set. The bits are those of the wire format; none set is a normal event (`N`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// A normal event.
    pub const NORMAL: Flags = Flags(0);
    /// A partial update: null fields mean "keep the old value".
    pub const PARTIAL: Flags = Flags(1);
    /// Made by a retention policy.
    pub const RETENTION: Flags = Flags(2);

    /// True when every bit of `other` is set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The letters in CSV.
    pub fn letters(self) -> &'static str {
        match self.0 & 3 {
            0 => "N",
            1 => "P",
            2 => "R",
            _ => "PR",
        }
    }

    /// Reads CSV letters, case-free; empty is normal.
    pub fn parse(text: &[u8]) -> Option<Flags> {
        let mut flags = Flags::NORMAL;
        for letter in text.trim_ascii() {
            match letter.to_ascii_uppercase() {
                b'N' => {}
                b'P' => flags.0 |= Flags::PARTIAL.0,
                b'R' => flags.0 |= Flags::RETENTION.0,
                _ => return None,
            }
        }
        Some(flags)
    }
}
