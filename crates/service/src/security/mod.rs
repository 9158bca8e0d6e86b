//! Who may connect, and who may do what.
//!
//! [`Security`] is loaded from the settings `tls.*`, `auth.*` and the limits, and goes with the [`Scope`](crate::Scope)
//! to every server and client of the process. Without certificates and tokens everything is open and plain, as it fits a
//! loopback. Its clones share what is in the files: when they are renewed ([`renew`]), all of them use the new ones.
//!
//! Code map: [`tls`] certificates, `listen` the accepted connections, `limit` how much they may ask for, `tokens` the
//! file of tokens, [`roles`] what each call needs, `gate` asks at every request, [`caller`] and `link` the other direction.
//!
//! **Invariant:** a call that `roles` does not know needs the strongest role.
//! **Invariant:** neither tokens nor keys are ever logged, shown in a status, or part of an error.

pub mod caller;
mod current;
pub(crate) mod gate;
pub(crate) mod limit;
mod link;
pub(crate) mod listen;
pub mod renew;
pub mod roles;
mod seldom;
pub(crate) mod tls;
mod tokens;

pub use caller::Caller;
pub use gate::TokenName;
pub use link::Link;
pub use listen::Peer;
pub use roles::Role;
pub use tls::ClientPem;

use crate::config::{Base, Problems};
use current::Current;
use gate::Gate;
use limit::Limits;
use tls::{Acceptor, Door, Protocol};

/// What a process asks of its callers, and what it shows to those it calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Security {
    /// For those it calls.
    pub caller: Caller,
    acceptor: Option<Current<Acceptor>>,
    pub(crate) gate: Gate,
    connections_max: usize,
    connection_rate_max: u32,
    server_rate_max: u32,
    /// The admin server asks for the same as the others.
    pub(crate) admin_secured: bool,
}

impl Default for Security {
    /// Everything open and plain.
    fn default() -> Self {
        Security::of(&Base::default(), Caller::default(), None, Gate::default())
    }
}

impl Security {
    /// Reads the files that the settings name; every problem is reported under its setting.
    pub fn load(base: &Base, problems: &mut Problems) -> Self {
        let identity = tls::identity([("tls.cert", &base.tls.cert), ("tls.key", &base.tls.key)], problems);
        let acceptor = tls::acceptor(&base.tls, identity.as_ref(), problems);
        let caller = Caller::load(base, identity.as_ref(), problems);
        Security::of(base, caller, acceptor, Gate::load(&base.auth.tokens, problems))
    }

    fn of(base: &Base, caller: Caller, acceptor: Option<Acceptor>, gate: Gate) -> Self {
        Security {
            caller,
            acceptor: acceptor.map(Current::new),
            gate,
            connections_max: base.connections_max,
            connection_rate_max: base.connection_rate_max,
            server_rate_max: base.server_rate_max,
            admin_secured: base.admin_secured,
        }
    }

    /// From now on all clones use what the files hold now. The settings are the same, so is what is there at all.
    fn take(&self, renewed: Security) {
        self.caller.shown.replace(renewed.caller.shown.get());
        if let (Some(mine), Some(renewed)) = (&self.acceptor, renewed.acceptor) {
            mine.replace(renewed.get());
        }
        if let (Some(mine), Some(renewed)) = (&self.gate.tokens, renewed.gate.tokens) {
            mine.replace(renewed.get());
        }
    }

    /// How connections come in at a server that speaks this.
    pub(crate) fn door(&self, protocol: Protocol) -> Door {
        Door::new(self, protocol)
    }

    /// The limits of one server, with so many requests in work per connection.
    pub(crate) fn limits(&self, requests_max: usize) -> Limits {
        Limits::new(requests_max, self.server_rate_max)
    }

    /// A door without certificates: for the admin server, unless it asks for the same as the others.
    pub(crate) fn without_certificates(&self) -> Self {
        Security { acceptor: None, gate: Gate::default(), ..self.clone() }
    }
}
