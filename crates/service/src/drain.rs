//! The drain token: one way to tell every task and thread of a service that it shall finish what it has and stop.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Told once, heard by all. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    token: CancellationToken,
    reason: Arc<OnceLock<String>>,
}

impl Drain {
    /// A drain that has not started.
    pub fn new() -> Self {
        Drain::default()
    }

    /// Starts it; the first reason is kept.
    pub fn start(&self, reason: impl Into<String>) {
        // the reason is there before anyone can hear of the drain
        let _ = self.reason.set(reason.into());
        self.token.cancel();
    }

    /// True once it has started; for threads and loops.
    pub fn is_started(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it starts. Cancel safe.
    pub async fn started(&self) {
        self.token.cancelled().await;
    }

    /// The same as an owned future, for servers and spawned tasks.
    pub fn started_owned(&self) -> impl Future<Output = ()> + Send + 'static {
        self.token.clone().cancelled_owned()
    }

    /// Why it started; empty before.
    pub fn reason(&self) -> &str {
        self.reason.get().map_or("", String::as_str)
    }

    /// A drain that starts with this one, or before it by itself (one part of a service that stops alone).
    pub fn child(&self) -> Drain {
        Drain { token: self.token.child_token(), reason: self.reason.clone() }
    }

    /// The token, for libraries that want one.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays_and_children_follow() {
        let drain = Drain::new();
        let child = drain.child();
        assert!(!child.is_started());
        drain.start("SIGTERM");
        drain.start("again");
        child.started().await;
        assert_eq!(drain.reason(), "SIGTERM");
        assert!(child.is_started());
    }
}
