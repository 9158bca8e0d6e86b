//! How a service ends: the reason for the user, the code for the supervisor.

use std::fmt;

use crate::status::{Kind, Refusal};

/// Why a service could not start or go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    report: String,
}

impl Failure {
    /// The configuration is wrong (exit 64).
    pub fn config(report: impl fmt::Display) -> Self {
        Failure { kind: Kind::Invalid, report: report.to_string() }
    }

    /// Something the service needs does not answer; starting it again later may help (exit 75).
    pub fn unavailable(report: impl fmt::Display) -> Self {
        Failure { kind: Kind::Unavailable, report: report.to_string() }
    }

    /// Our fault (exit 70).
    pub fn fault(report: impl fmt::Display) -> Self {
        Failure { kind: Kind::Fault, report: report.to_string() }
    }

    /// A failure of this kind.
    pub fn of(kind: Kind, report: impl fmt::Display) -> Self {
        Failure { kind, report: report.to_string() }
    }

    /// Exit code.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit()
    }

    /// What kind of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure { kind: refusal.kind, report: refusal.to_string() }
    }
}
