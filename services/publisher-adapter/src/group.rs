//! A publisher as one of a group: what it does in its turn, and how it shows.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mesh_connector::State;
use mesh_connector::group::{Member, TurnEnd};
use mesh_connector::publish::{Progress, PublishError, Publisher};
use mesh_replication::adapter::Stop;
use mesh_service::Failure;

use crate::service::failure;

pub(crate) struct PublisherMember {
    publisher: Publisher,
    progress: Arc<Progress>,
}

impl PublisherMember {
    pub(crate) fn new(publisher: Publisher) -> PublisherMember {
        PublisherMember { progress: publisher.progress(), publisher }
    }
}

impl Member for PublisherMember {
    const THREAD: &'static str = "publisher-write";

    fn work(&self, stop: &AtomicBool) -> Result<TurnEnd, Failure> {
        match self.publisher.run(stop) {
            Ok(summary) if summary.finished => {
                self.progress.set_state(State::Finished);
                Ok(TurnEnd::Finished)
            }
            Ok(_) => Ok(TurnEnd::Stopped),
            Err(PublishError::Stopped { stop: Stop::FencedOut, .. }) => Ok(TurnEnd::FencedOut),
            Err(error) => Err(failure(error)),
        }
    }

    fn state(&self) -> State {
        self.progress.state()
    }

    fn set_state(&self, state: State) {
        self.progress.set_state(state);
    }

    fn rounds(&self) -> u64 {
        self.progress.turns()
    }

    fn done(&self) -> u64 {
        self.progress.snapshot().transactions
    }
}
