//! A subscriber as one of a group: what it does in its turn, and how it shows.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mesh_adapter::SubscriberOptions;
use mesh_bus::Bus;
use mesh_connector::State;
use mesh_connector::group::{Member, TurnEnd};
use mesh_connector::subscribe::{Progress, Subscriber};
use mesh_service::Failure;

use crate::service::failure;

pub(crate) struct SubscriberMember {
    options: SubscriberOptions,
    bus: Arc<dyn Bus>,
    progress: Arc<Progress>,
}

impl SubscriberMember {
    pub(crate) fn new(options: SubscriberOptions, bus: Arc<dyn Bus>, progress: Arc<Progress>) -> SubscriberMember {
        SubscriberMember { options, bus, progress }
    }
}

impl Member for SubscriberMember {
    const THREAD: &'static str = "subscriber";

    fn work(&self, stop: &AtomicBool) -> Result<TurnEnd, Failure> {
        // each turn opens the sink anew: another member has written it since
        let turn = Subscriber::new(self.options.clone(), Arc::clone(&self.bus)).counting(Arc::clone(&self.progress));
        turn.run(stop).map(|_| TurnEnd::Stopped).map_err(failure)
    }

    fn state(&self) -> State {
        self.progress.state()
    }

    fn set_state(&self, state: State) {
        self.progress.set_state(state);
    }

    fn rounds(&self) -> u64 {
        self.progress.rounds()
    }

    fn done(&self) -> u64 {
        self.progress.snapshot().flushes
    }
}
