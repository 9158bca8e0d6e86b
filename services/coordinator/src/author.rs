//! Who asks for a change, and why: for the history, and for the versions of projects.

use mesh_proto::admin::Change;
use mesh_service::Refusal;
use mesh_service::security::{Peer, TokenName};
use std::net::SocketAddr;
use tonic::Request;

/// Longest name of who asks, in bytes.
const WHO_BYTES_MAX: usize = 256;

/// Longest reason, in bytes; it may become part of a leader record.
const WHY_BYTES_MAX: usize = 1024;

/// Who asks for a change, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) who: String,
    pub(crate) why: String,
    /// By which the same request is known; empty: it is always another one.
    pub(crate) request_id: String,
}

/// What is known of a caller without being told by it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asker {
    token: Option<String>,
    address: Option<SocketAddr>,
}

impl Asker {
    pub(crate) fn of<T>(request: &Request<T>) -> Asker {
        let token = request.extensions().get::<TokenName>().map(|name| name.0.clone());
        Asker { token, address: request.extensions().get::<Peer>().map(|peer| peer.address) }
    }
}

impl Author {
    /// What the caller says of itself. A token's name is certain, so it stands first; who gives no name and needs no
    /// token is known by the address.
    pub(crate) fn new(change: Option<Change>, caller: Asker) -> Result<Author, Refusal> {
        let Change { who, why, request_id } = change.unwrap_or_default();
        check("change.who", &who, WHO_BYTES_MAX)?;
        check("change.why", &why, WHY_BYTES_MAX)?;
        let who = match (caller.token, who.is_empty()) {
            (Some(token), false) if token != who => format!("{token} ({who})"),
            (Some(token), _) => token,
            (None, false) => who,
            (None, true) => caller.address.map_or_else(String::new, |address| address.ip().to_string()),
        };
        Ok(Author { who, why, request_id })
    }

    /// With a reason from elsewhere, when the change names none.
    pub(crate) fn or_why(mut self, reason: &str) -> Result<Author, Refusal> {
        check("reason", reason, WHY_BYTES_MAX)?;
        if self.why.is_empty() {
            reason.clone_into(&mut self.why);
        }
        Ok(self)
    }
}

fn check(field: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() <= bytes_max && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("field `{field}`"))
        .expected(format!("at most {bytes_max} bytes without control characters"))
        .found(format!("{} bytes: `{:.64}`", text.len(), text.escape_debug().to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_no_name_is_known_by_the_address() {
        let caller = || Asker { token: None, address: "192.0.2.7:4711".parse().ok() };
        let named = Change { who: "ada".into(), why: "upgrade".into(), ..Change::default() };
        let author = Author { who: "ada".into(), why: "upgrade".into(), ..Author::default() };
        assert_eq!(Author::new(Some(named), caller()).unwrap(), author);
        assert_eq!(Author::new(None, caller()).unwrap().or_why("asked").unwrap().why, "asked");
        assert_eq!(Author::new(None, caller()).unwrap().who, "192.0.2.7");
        let holder = || Asker { token: Some("ops".into()), ..caller() };
        let said = |who: &str| Some(Change { who: who.into(), ..Change::default() });
        assert_eq!(Author::new(said("ada"), holder()).unwrap().who, "ops (ada)", "what it says may be anything");
        assert_eq!(Author::new(said("ops"), holder()).unwrap().who, "ops");
        assert_eq!(Author::new(None, holder()).unwrap().who, "ops");
        let long = Change { who: "x".repeat(WHO_BYTES_MAX + 1), ..Change::default() };
        let refusal = Author::new(Some(long), caller()).unwrap_err();
        assert!(refusal.to_string().contains("`change.who`") && refusal.found.starts_with("257 bytes"), "{refusal}");
        assert!(Author::new(None, Asker::default()).unwrap().or_why("two\nlines").is_err());
    }
}
