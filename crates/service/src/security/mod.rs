//! Who may connect, and who may do what.
//!
//! [`Security`] is loaded once from the settings `tls.*`, `auth.*` and `connections_max` and goes with the
//! [`Scope`](crate::Scope) to every server and client of the process. Without those settings everything is open and
//! plain, as it fits a loopback.
//!
//! Code map: [`tls`] certificates, `listen` the accepted connections, `tokens` the file of tokens, [`roles`] what each
//! call needs, `gate` asks at every request, [`caller`] the other direction.
//!
//! **Invariant:** a call that `roles` does not know needs the strongest role.
//! **Invariant:** neither tokens nor keys are ever logged, shown in a status, or part of an error.

pub mod caller;
pub(crate) mod gate;
pub(crate) mod listen;
pub mod roles;
mod tls;
mod tokens;

pub use caller::{Caller, Link};
pub use gate::TokenName;
pub use roles::Role;
pub use tls::ClientPem;

use crate::config::{Base, Problems};
use gate::Gate;
use tls::Acceptor;

/// What a process asks of its callers, and what it shows to those it calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Security {
    /// For those it calls.
    pub caller: Caller,
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) gate: Gate,
    pub(crate) connections_max: usize,
}

impl Default for Security {
    /// Everything open and plain.
    fn default() -> Self {
        let connections_max = Base::default().connections_max;
        Security { caller: Caller::default(), acceptor: None, gate: Gate::default(), connections_max }
    }
}

impl Security {
    /// Reads the files that the settings name; every problem is reported under its setting.
    pub fn load(base: &Base, problems: &mut Problems) -> Self {
        let identity = tls::identity([("tls.cert", &base.tls.cert), ("tls.key", &base.tls.key)], problems);
        let acceptor = tls::acceptor(&base.tls, identity.as_ref(), problems);
        Security {
            caller: Caller::load(base, identity.as_ref(), problems),
            acceptor,
            gate: Gate::load(&base.auth.tokens, problems),
            connections_max: base.connections_max,
        }
    }
}
