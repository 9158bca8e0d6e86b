//! Who leads a group, in which term, and when somebody is suspected: the decisions of one election instance.
//!
//! Several instances decide at the same time, each with a [`Group`] of its own. They agree through what they share: one
//! leader record per group, changed only by compare-and-set, and one node per candidate, made by the instance that
//! holds the candidate's stream. The driver calls [`Group::step`] with each input, and with [`Input::Tick`] at least
//! every [`TICK`]; it carries the effects out in order, and answers those that have an answer by an input.
//!
//! Code map: `io` is the vocabulary, `answer` what requests are answered; `timing` every limit; `group` the state and what each input does to it; `judge`
//! whether the leader is still one; `choose` who is next; `pulse` signs of life; `failures` the hold-off; `nodes` the
//! candidates' nodes; `streams` the candidates' streams; `promote` planned handover; `maintenance` who shall not lead and
//! where nobody shall be elected; `view` what others may see.
//!
//! Invariants, each with a test:
//! - E1 a term has one winner: a term is only ever written by compare-and-set on the record before it
//! - E2 terms rise: a new one is above the record's and above every term that any candidate knows of
//! - E3 a leader that shows signs of life is kept: no other is elected unless it failed, restarted, left or handed over
//! - E4 only a candidate that is caught up is made leader
//! - E5 the leader is a candidate's process, not a node or a stream: losing either of those moves nothing by itself
//! - E6 without a session nothing is changed, whatever happens to the streams
//! - E7 a candidate is told of a term once per stream, a grant only for the term that the record gives it
//! - E8 time during which this instance itself stood still counts as nobody's silence
//! - E9 while a group is paused, nobody is elected except by a promotion, or a handover that was under way
//! - E10 a drained candidate is not made leader; one that leads hands over to the next that is caught up

mod answer;
mod choose;
mod failures;
mod group;
mod io;
mod judge;
mod maintenance;
mod nodes;
mod promote;
mod pulse;
mod streams;
mod timing;
mod view;

#[cfg(test)]
mod tests;

pub use answer::{Promoted, Refused};
pub use group::Group;
pub use io::{
    AttachmentId, CandidateRole, Effect, Input, Join, LeaderRecord, Message, NodeData, Note, Probe, Progress,
    RequestId, Seen, SetLeader, Version, Znode,
};
pub use maintenance::{DRAINED_MAX, Maintenance, MaintenanceChange, Order};
pub use timing::{TICK, Timing};
pub use view::{CandidateView, GroupView};
