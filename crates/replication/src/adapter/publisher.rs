//! A publisher's role: fence in, find the last position in the topic, publish after it; the same again whenever it is
//! in doubt what the topic holds.
//!
//! The driver carries effects out in order and feeds their outcome back as the next [`Input`]:
//!
//! | input | in state | effects |
//! |---|---|---|
//! | `start()` | Fencing | `FenceIn` |
//! | `FencedIn` | Fencing | `Locate` |
//! | `Located` | Locating | `BeginAt`, `Resend`, `Confirm` or `Stop` |
//! | `Sending` | Publishing | - |
//! | `Committed` | Publishing | `Confirm` |
//! | `NotCommitted` | Publishing | `Abort`, `Resend` |
//! | `InDoubt` | any | `FenceIn` |
//! | `FencedOut` | any | `Stop` |

use mesh_event::SourcePosition;

/// How often a batch is sent again before the role gives up: a bus that refuses it so often never takes it.
pub const RESENDS_MAX: u32 = 100;

/// Where the role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherState {
    /// It makes itself the only writer.
    Fencing,
    /// It is the only writer and looks for the last position.
    Locating,
    /// It publishes.
    Publishing,
    /// It has stopped.
    Stopped,
}

/// What the topics say about the last position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The last block of the input topic carries this position.
    Topic {
        /// Its offset.
        offset: u64,
        /// Its position.
        position: SourcePosition,
    },
    /// The input topic holds no block; its meta topic remembers this position.
    Meta(SourcePosition),
    /// Nothing was ever published.
    Nothing,
    /// The last block, at this offset, carries no position: somebody else publishes there.
    Unmarked {
        /// Its offset.
        offset: u64,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// This writer is the only one now.
    FencedIn,
    /// The last position was looked up, after the fence.
    Located(Found),
    /// A batch that ends at this position is in an open transaction.
    Sending(SourcePosition),
    /// The batch is committed.
    Committed,
    /// The batch is not committed and the writer can go on after an abort.
    NotCommitted,
    /// Nobody knows whether the batch is committed, or the writer was lost.
    InDoubt,
    /// Another writer fenced this one.
    FencedOut,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open a new writer and fence.
    FenceIn,
    /// Read the last position; stable ends only.
    Locate,
    /// Read the source from behind this position (`None`: from its start); what was read before is dropped.
    BeginAt(Option<SourcePosition>),
    /// Give the open transaction up.
    Abort,
    /// Send the batch in flight once more.
    Resend,
    /// The batch in flight is in the topic; forget it.
    Confirm(SourcePosition),
    /// End, for this reason.
    Stop(Stop),
}

/// Why a publisher ends before its source does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Another writer took over.
    #[error("another publisher of this topic took over; this one publishes nothing more")]
    FencedOut,
    /// The topic was filled from another source.
    #[error(
        "the topic was last filled from source `{found}`, expected `{expected}`: give the same fsname to go on there, \
         or fresh=true to publish `{expected}` from its start behind what is there"
    )]
    ForeignSource {
        /// Source named by the topic's last block.
        found: String,
        /// Own source.
        expected: String,
    },
    /// The topic's last block has no position.
    #[error(
        "the topic's last block, at offset {offset}, carries no source position, expected one of source `{expected}`: \
         somebody else publishes there; stop them, or give fresh=true to publish `{expected}` from its start"
    )]
    Unmarked {
        /// Offset of the block.
        offset: u64,
        /// Own source.
        expected: String,
    },
    /// Another writer published meanwhile and the source cannot be read again.
    #[error(
        "the topic stands at event {found}, expected {expected}: another publisher wrote meanwhile, and source \
         `{name}` cannot be read again from there"
    )]
    CannotRewind {
        /// Events published according to the topic.
        found: u64,
        /// Events published according to this publisher.
        expected: u64,
        /// Own source.
        name: String,
    },
    /// The bus refuses the batch again and again.
    #[error("the bus refused the same batch {RESENDS_MAX} times")]
    Refused,
}

/// Whether what the topic held before counts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fresh {
    /// It counts.
    No,
    /// It shall not count; what it is has not been seen yet.
    Wanted,
    /// What was found then does not count, whatever it says; only what came behind it does.
    Behind(Found),
}

/// The role of one publisher of one input topic.
#[derive(Debug, Clone)]
pub struct PublisherRole {
    source: String,
    rewinds: bool,
    fresh: Fresh,
    state: PublisherState,
    /// Position of the last batch known to be in the topic.
    confirmed: Option<SourcePosition>,
    /// End of the batch in flight.
    in_flight: Option<SourcePosition>,
    /// False until the source was first begun.
    begun: bool,
    resends: u32,
}

impl PublisherRole {
    /// A role for this source. `rewinds`: the source can be read again from a position (a file can, a socket cannot).
    /// `fresh`: begin at the source's start whatever the topic says, once.
    pub fn new(source: impl Into<String>, rewinds: bool, fresh: bool) -> PublisherRole {
        PublisherRole {
            source: source.into(),
            rewinds,
            fresh: if fresh { Fresh::Wanted } else { Fresh::No },
            state: PublisherState::Fencing,
            confirmed: None,
            in_flight: None,
            begun: false,
            resends: 0,
        }
    }

    /// Where it is.
    pub fn state(&self) -> PublisherState {
        self.state
    }

    /// Position of the last batch known to be in the topic.
    pub fn confirmed(&self) -> Option<&SourcePosition> {
        self.confirmed.as_ref()
    }

    /// The first effect.
    pub fn start(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::FenceIn);
    }

    /// Takes an input. One that the state does not expect is a mistake of the driver.
    ///
    /// # Panics
    /// When the driver reports an outcome of something that it was not told to do.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match (self.state, input) {
            (PublisherState::Stopped, _) => {}
            (_, Input::FencedOut) => self.stop(Stop::FencedOut, effects),
            (_, Input::InDoubt) => {
                self.state = PublisherState::Fencing;
                effects.push(Effect::FenceIn);
            }
            (PublisherState::Fencing, Input::FencedIn) => {
                self.state = PublisherState::Locating;
                effects.push(Effect::Locate);
            }
            (PublisherState::Locating, Input::Located(found)) => self.located(found, effects),
            (PublisherState::Publishing, Input::Sending(end)) => {
                assert!(self.in_flight.as_ref().is_none_or(|before| *before == end), "one batch in flight at a time");
                self.in_flight = Some(end);
            }
            (PublisherState::Publishing, Input::Committed) => self.confirm(effects),
            (PublisherState::Publishing, Input::NotCommitted) => {
                self.resends += 1;
                if self.resends > RESENDS_MAX {
                    return self.stop(Stop::Refused, effects);
                }
                effects.push(Effect::Abort);
                effects.push(Effect::Resend);
            }
            (state @ PublisherState::Fencing, input @ (Input::Located(_) | Input::Sending(_)))
            | (state @ PublisherState::Locating, input @ (Input::FencedIn | Input::Sending(_)))
            | (state @ PublisherState::Publishing, input @ (Input::FencedIn | Input::Located(_)))
            | (
                state @ (PublisherState::Fencing | PublisherState::Locating),
                input @ (Input::Committed | Input::NotCommitted),
            ) => panic!("a publisher in state {state:?} was told {input:?}, which nobody asked for"),
        }
    }

    fn located(&mut self, found: Found, effects: &mut Vec<Effect>) {
        let position = match self.accept(found) {
            Ok(position) => position,
            Err(stop) => return self.stop(stop, effects),
        };
        self.state = PublisherState::Publishing;
        if self.begun {
            if position == self.confirmed || planted!(PublisherTrustsMemory) {
                if self.in_flight.is_some() {
                    effects.push(Effect::Resend);
                }
                return;
            }
            if self.in_flight.is_some() && position == self.in_flight {
                return self.confirm(effects);
            }
            if !self.rewinds {
                let name = self.source.clone();
                let events = |position: &Option<SourcePosition>| position.as_ref().map_or(0, |p| p.events);
                let stop = Stop::CannotRewind { found: events(&position), expected: events(&self.confirmed), name };
                return self.stop(stop, effects);
            }
        }
        self.begun = true;
        self.in_flight = None;
        self.resends = 0;
        self.confirmed = position.clone();
        effects.push(Effect::BeginAt(position));
    }

    /// The position to go on from, if the topic's last block is one of ours.
    fn accept(&mut self, found: Found) -> Result<Option<SourcePosition>, Stop> {
        match &self.fresh {
            Fresh::No => {}
            Fresh::Wanted => {
                self.fresh = Fresh::Behind(found);
                return Ok(None);
            }
            Fresh::Behind(before) if *before == found => return Ok(None),
            Fresh::Behind(_) => {}
        }
        match found {
            Found::Meta(_) if planted!(PublisherForgetsMeta) => Ok(None),
            Found::Nothing => Ok(None),
            Found::Topic { position, .. } | Found::Meta(position) if position.source == self.source => {
                Ok(Some(position))
            }
            Found::Topic { position, .. } | Found::Meta(position) => {
                Err(Stop::ForeignSource { found: position.source, expected: self.source.clone() })
            }
            Found::Unmarked { offset } => Err(Stop::Unmarked { offset, expected: self.source.clone() }),
        }
    }

    fn confirm(&mut self, effects: &mut Vec<Effect>) {
        let end = self.in_flight.take().expect("the driver reports a commit only of a batch that it announced");
        self.resends = 0;
        self.confirmed = Some(end.clone());
        effects.push(Effect::Confirm(end));
    }

    fn stop(&mut self, stop: Stop, effects: &mut Vec<Effect>) {
        self.state = PublisherState::Stopped;
        effects.push(Effect::Stop(stop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(events: u64) -> SourcePosition {
        SourcePosition {
            source: "a.csv".into(),
            bytes: events * 10,
            lines: events,
            events,
            ..SourcePosition::default()
        }
    }

    fn topic(offset: u64, events: u64) -> Found {
        Found::Topic { offset, position: at(events) }
    }

    /// Feeds inputs and returns the effects of the last one.
    fn run(role: &mut PublisherRole, inputs: impl IntoIterator<Item = Input>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for input in inputs {
            effects.clear();
            role.step(input, &mut effects);
        }
        effects
    }

    fn publishing(found: Found, fresh: bool) -> PublisherRole {
        let mut role = PublisherRole::new("a.csv", true, fresh);
        run(&mut role, [Input::FencedIn, Input::Located(found)]);
        role
    }

    #[test]
    fn a_restart_goes_on_after_the_last_position() {
        for (found, expected) in
            [(Found::Nothing, None), (topic(7, 30), Some(at(30))), (Found::Meta(at(20)), Some(at(20)))]
        {
            let mut role = PublisherRole::new("a.csv", true, false);
            let effects = run(&mut role, [Input::FencedIn, Input::Located(found)]);
            assert_eq!(effects, [Effect::BeginAt(expected)]);
        }
    }

    #[test]
    fn a_doubt_is_settled_by_the_topic_alone() {
        let doubt = |found| {
            let mut role = publishing(topic(1, 10), false);
            run(&mut role, [Input::Sending(at(20)), Input::InDoubt, Input::FencedIn, Input::Located(found)])
        };
        assert_eq!(doubt(topic(1, 10)), [Effect::Resend]);
        assert_eq!(doubt(topic(2, 20)), [Effect::Confirm(at(20))]);
        assert_eq!(doubt(topic(9, 50)), [Effect::BeginAt(Some(at(50)))]);
    }

    #[test]
    fn a_lost_writer_without_a_batch_goes_on_quietly() {
        let mut role = publishing(topic(1, 10), false);
        let effects = run(&mut role, [Input::InDoubt, Input::FencedIn, Input::Located(topic(1, 10))]);
        assert_eq!(effects, []);
        assert_eq!(role.state(), PublisherState::Publishing);
    }

    #[test]
    fn a_source_that_cannot_rewind_stops_when_another_publisher_wrote() {
        let mut role = PublisherRole::new("a.csv", false, false);
        let effects = run(
            &mut role,
            [
                Input::FencedIn,
                Input::Located(topic(1, 10)),
                Input::InDoubt,
                Input::FencedIn,
                Input::Located(topic(5, 50)),
            ],
        );
        assert!(matches!(&effects[..], [Effect::Stop(Stop::CannotRewind { found: 50, expected: 10, .. })]));
    }

    #[test]
    fn a_fresh_start_is_not_confused_by_the_block_before_it() {
        // the batch in flight ends exactly where the old block did: only the offset tells them apart
        let mut role = publishing(topic(4, 20), true);
        let before =
            run(&mut role, [Input::Sending(at(20)), Input::InDoubt, Input::FencedIn, Input::Located(topic(4, 20))]);
        assert_eq!(before, [Effect::Resend]);
        let after = run(&mut role, [Input::InDoubt, Input::FencedIn, Input::Located(topic(6, 20))]);
        assert_eq!(after, [Effect::Confirm(at(20))]);
    }

    #[test]
    fn foreign_and_unmarked_topics_are_refused_with_a_way_out() {
        let other = SourcePosition { source: "b.csv".into(), ..at(3) };
        for (found, named) in
            [(Found::Topic { offset: 3, position: other }, "`b.csv`"), (Found::Unmarked { offset: 12 }, "offset 12")]
        {
            let mut role = PublisherRole::new("a.csv", true, false);
            let effects = run(&mut role, [Input::FencedIn, Input::Located(found)]);
            let [Effect::Stop(stop)] = &effects[..] else { panic!("{effects:?}") };
            let text = stop.to_string();
            assert!(text.contains(named) && text.contains("fresh=true"), "{text}");
            assert_eq!(role.state(), PublisherState::Stopped);
        }
    }

    #[test]
    fn a_refused_batch_is_sent_again_a_bounded_number_of_times() {
        let mut role = publishing(Found::Nothing, false);
        for _ in 0..RESENDS_MAX {
            let effects = run(&mut role, [Input::Sending(at(1)), Input::NotCommitted]);
            assert_eq!(effects, [Effect::Abort, Effect::Resend]);
        }
        assert_eq!(run(&mut role, [Input::NotCommitted]), [Effect::Stop(Stop::Refused)]);
    }

    #[test]
    fn being_fenced_out_stops_in_every_state() {
        let mut role = PublisherRole::new("a.csv", true, false);
        assert_eq!(run(&mut role, [Input::FencedOut]), [Effect::Stop(Stop::FencedOut)]);
        let mut role = publishing(Found::Nothing, false);
        assert_eq!(run(&mut role, [Input::Sending(at(1)), Input::FencedOut]), [Effect::Stop(Stop::FencedOut)]);
        assert_eq!(run(&mut role, [Input::Committed]), []);
    }
}
