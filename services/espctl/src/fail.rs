//! How a command ends when it does not end well.

use mesh_service::{Kind, Refusal};
use std::fmt;

/// Exit code: what was asked for is wrong.
pub const INPUT: u8 = 1;
/// Exit code: our fault, or a part of the mesh that does not answer.
pub const FAULT: u8 = 2;

/// Why a command did not do what it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Fail {
    /// What was asked for is wrong, and will be wrong again.
    Input(String),
    /// Our fault, or a part that does not answer.
    Fault(String),
    /// The command has said itself what is wrong with its input.
    Said,
    /// Nobody reads the output any more: the end, but no error.
    ReaderGone,
}

impl Fail {
    /// What was asked for is wrong.
    pub fn input(text: impl fmt::Display) -> Fail {
        Fail::Input(text.to_string())
    }

    /// Our fault, or a part that does not answer.
    pub fn fault(text: impl fmt::Display) -> Fail {
        Fail::Fault(text.to_string())
    }

    /// Whose it is, by its kind.
    pub fn of(kind: Kind, text: impl fmt::Display) -> Fail {
        match kind {
            Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Unauthenticated | Kind::Denied => Fail::input(text),
            Kind::Unavailable | Kind::Deadline | Kind::Exhausted | Kind::Unsupported | Kind::Fault => Fail::fault(text),
        }
    }

    /// What to tell the user; `None` when there is nothing more to say.
    pub fn text(&self) -> Option<&str> {
        match self {
            Fail::Input(text) | Fail::Fault(text) => Some(text),
            Fail::Said | Fail::ReaderGone => None,
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Fail::Input(_) | Fail::Said => INPUT,
            Fail::Fault(_) => FAULT,
            Fail::ReaderGone => 0,
        }
    }
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Fail {
        Fail::of(refusal.kind, refusal)
    }
}

/// The only output errors that matter are those that somebody could see.
impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Fail {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Fail::ReaderGone
        } else {
            Fail::Fault(format!("write to the standard output: {error}"))
        }
    }
}
