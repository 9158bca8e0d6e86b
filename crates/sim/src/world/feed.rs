//! The source of the inputs, and one who publishes it without ever failing.

use crate::kafka::Payload;
use crate::plan::{Feeding, MS};
use crate::project::mix;
use crate::world::{Event, World};

/// Wait before a broker that does not take a block is asked again.
const RETRY_US: u64 = 5 * MS;

impl World {
    /// Value of a block of the source.
    pub(crate) fn value(&self, input: usize, block: u64) -> u64 {
        mix(self.plan.seed ^ input as u64, block + 1)
    }

    /// Blocks of the source that exist by now.
    pub(crate) fn produced(&self) -> u64 {
        (self.now / self.plan.block_every_us.max(1)).min(self.plan.blocks)
    }

    /// The next block of an input's source is there.
    pub(crate) fn feed(&mut self, input: usize) {
        if input == 0 && self.plan.feeding != Feeding::Plain {
            return;
        }
        let block = self.fed[input];
        if block >= self.plan.blocks {
            return;
        }
        let payload = Payload::Input { block, value: self.value(input, block) };
        let mut todo = std::mem::take(&mut self.todo);
        let taken = self.kafka.append_plainly(input, payload, &mut todo);
        self.schedule_todo(&mut todo, None);
        self.todo = todo;
        if taken {
            self.fed[input] += 1;
        }
        let delay = if taken { self.plan.block_every_us } else { RETRY_US };
        self.after(delay, Event::Feed { input });
    }
}
