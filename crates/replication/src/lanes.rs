//! Lanes: a writer with two transactional ids, so that one transaction can begin while the last is being completed.
//!
//! A commit is decided when its end is acknowledged; its markers and the coordinator's last record follow, and until then
//! the same transactional id can begin nothing. With two ids in turn nobody waits. What has to hold is what holds with
//! one: **when a new leader reads the log to its end, nobody before it can write any more.**
//!
//! **Rule.** A new writer fences the first lane for good and *then* shuts the second (so that its predecessor cannot use
//! it); then the log is read. The second lane is opened (fenced again, by the one that is to write on it) only when a
//! transaction on the first lane was committed, and is used only after *another* one was committed on the first lane.
//!
//! **Why it is enough.** Say that a leader `new` shut the second lane at `s`, after it fenced the first at `f < s`, and
//! read the log at `r > s`; and that an older one, `old`, writes on the second lane at `w > r`. It owns the lane at `w`, so it
//! opened it after `s`. By the rule it committed on the first lane between that and `w`, hence after `f`; so it fenced the
//! first lane after `f`, and `new` owns it no longer: its first transaction, which is on that lane, is refused, and `new` never
//! leads. The simulator looks for the opposite under faults (`SecondLaneUnproven`, `SecondLaneNotShut`,
//! `LanesFencedBackwards` are planted to see that it would find it).

/// How many lanes a writer has.
pub const LANES: usize = 2;

/// The lane that every term begins on.
pub const FIRST: usize = 0;

/// The lane that is taken in turn with it.
pub const SECOND: usize = 1;

/// What may be done with the second lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    /// Nothing yet; nobody else can write on it either.
    Shut,
    /// The term is open on the first lane: now it may be opened.
    Wanted,
    /// This writer owns it, if it still owns the first.
    Opened,
    /// This writer owned the first one after it had opened this one.
    Proven,
}

/// Which lane the next transaction goes on. To be made anew with every fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    last: usize,
    second: Second,
}

impl Lanes {
    /// Of a writer that has just fenced the first lane and shut the second.
    pub fn fenced() -> Self {
        Self { last: SECOND, second: Second::Shut }
    }

    /// Lane of the next transaction; it stays the same until [`Lanes::committed`].
    pub fn next(&self) -> usize {
        let proven = self.second == Second::Proven
            || planted!(SecondLaneUnproven) && self.second == Second::Opened && self.last == FIRST;
        if proven { LANES - 1 - self.last } else { FIRST }
    }

    /// True when the second lane may be opened, which is worth it as soon as there is time.
    pub fn wants_second(&self) -> bool {
        self.second == Second::Wanted
    }

    /// The second lane was opened by this writer.
    pub fn second_opened(&mut self) {
        assert_eq!(self.second, Second::Wanted, "opened once, after a commit on the first lane");
        self.second = Second::Opened;
    }

    /// The transaction on [`Lanes::next`] is committed: its end was acknowledged.
    pub fn committed(&mut self) {
        let lane = self.next();
        self.last = lane;
        self.second = match self.second {
            Second::Shut => Second::Wanted,
            Second::Opened if lane == FIRST => Second::Proven,
            second => second,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_lane_is_used_after_two_commits_on_the_first_and_then_they_take_turns() {
        let mut lanes = Lanes::fenced();
        assert!(!lanes.wants_second(), "nothing is written in this term");
        assert_eq!(lanes.next(), FIRST);
        lanes.committed();
        assert!(lanes.wants_second());
        assert_eq!(lanes.next(), FIRST, "it is not opened");
        lanes.committed();
        assert_eq!(lanes.next(), FIRST);
        lanes.second_opened();
        assert!(!lanes.wants_second());
        assert_eq!(lanes.next(), FIRST, "nothing shows that the first lane was owned after the second was opened");
        lanes.committed();
        for lane in [SECOND, FIRST, SECOND, FIRST] {
            assert_eq!(lanes.next(), lane);
            assert_eq!(lanes.next(), lane, "it stays until it is committed");
            lanes.committed();
        }
    }
}
