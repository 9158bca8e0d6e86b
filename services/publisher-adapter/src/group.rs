//! A publisher as one of a group: what it does in its turn, and how it shows.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mesh_connector::group::{Activity, Member, TurnEnd};
use mesh_connector::publish::{Progress, PublishError, Publisher, State};
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

    fn stands_by(&self) {
        self.progress.set_state(State::Standby);
    }

    fn begins(&self) {
        self.progress.set_state(State::Starting);
    }

    fn activity(&self) -> Activity {
        match self.progress.state() {
            State::Running => Activity::Working { rounds: self.progress.turns() },
            State::Starting => Activity::Starting,
            State::Standby | State::Finished | State::Failed => Activity::Standby,
        }
    }

    fn done(&self) -> u64 {
        self.progress.snapshot().transactions
    }
}
