//! The watch of both ports: always the latest state, never a queue of changes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Hands out the latest state whenever it has changed since the last look. Dropping it ends what feeds it.
///
/// At most one state is held, so a slow reader costs no memory; it sees the newest state and skips those between.
#[derive(Debug)]
pub struct Latest<T> {
    receiver: watch::Receiver<Option<Arc<T>>>,
    feeder: Option<Feeder>,
}

#[derive(Debug)]
struct Feeder(AbortHandle);

impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Latest<T> {
    /// Watches what others send; whatever is there already counts as new.
    pub(crate) fn new(mut receiver: watch::Receiver<Option<Arc<T>>>) -> Self {
        receiver.mark_changed();
        Self { receiver, feeder: None }
    }

    /// Watches what a task of its own sends, which ends with the watch.
    #[cfg(any(feature = "zookeeper", feature = "etcd"))]
    pub(crate) fn fed_by(receiver: watch::Receiver<Option<Arc<T>>>, feeder: AbortHandle) -> Self {
        Self { receiver, feeder: Some(Feeder(feeder)) }
    }

    /// The next state: at once when there is one that was not handed out yet. `None`: there will never be another.
    ///
    /// Cancel safe: a state that was not returned is returned by the next call.
    pub async fn next(&mut self) -> Option<Arc<T>> {
        let _held_until_dropped = &self.feeder;
        loop {
            self.receiver.changed().await.ok()?;
            if let Some(state) = self.receiver.borrow_and_update().clone() {
                return Some(state);
            }
        }
    }

    /// The state now, if any is known yet; does not count as handed out.
    pub fn now(&self) -> Option<Arc<T>> {
        self.receiver.borrow().clone()
    }
}
