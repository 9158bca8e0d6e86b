//! The contract of both ports, as tests that every implementation has to pass.
#![allow(dead_code, reason = "each test binary uses its own half")]
#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

pub mod elections;
pub mod registry;

use std::time::Duration;

/// Longest wait for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen, and says what it was when it does not.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// A name that no other run has used.
pub fn unique(name: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    format!("{name}-{:016x}", std::hash::RandomState::new().build_hasher().finish())
}
