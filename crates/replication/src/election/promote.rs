//! Planned handover. The wish for a successor is part of the leader record, so it reaches the instance that holds the
//! leader's stream wherever that is, and outlives the instance that was asked.

use std::time::Duration;

use super::group::{Group, Writing};
use super::{Effect, LeaderRecord, Promoted, Refused, RequestId};
use crate::Term;

/// A wish that nobody cares for any more is cleared after this many times the wait for a handover.
const STALE_WISH_HANDOVERS: u32 = 2;

/// A handover that this instance was asked for.
#[derive(Debug)]
pub(super) struct Promotion {
    request: RequestId,
    successor: String,
    reason: String,
    /// Term that is to be handed over.
    term: Term,
    deadline: Duration,
}

impl Group {
    pub(super) fn promote(&mut self, request: RequestId, candidate: String, reason: String, effects: &mut Vec<Effect>) {
        match self.successor(&candidate) {
            Err(refused) => effects.push(Effect::Reply { request, outcome: Err(refused) }),
            Ok((successor, term)) => {
                let deadline = self.now + self.timing.handover;
                self.promotion = Some(Promotion { request, successor, reason, term, deadline });
            }
        }
    }

    /// Who shall follow in which term, or why not.
    fn successor(&self, asked: &str) -> Result<(String, Term), Refused> {
        if !self.session.connected {
            return Err(Refused::NoSession);
        }
        if let Some(under_way) = &self.promotion {
            return Err(Refused::Busy { successor: under_way.successor.clone() });
        }
        let led = self.led.as_ref().ok_or(Refused::NoLeader)?;
        let (leader, term) = (led.record.candidate.as_str(), led.record.term);
        if let Some(order) = self.drained(asked) {
            let (by, reason) = (order.by.clone(), order.reason.clone());
            return Err(Refused::Drained { candidate: asked.to_owned(), by, reason });
        }
        let mut others = self.eligible();
        if self.deposed.is_none() && self.leader().is_some() {
            // the wish of a drain gives way to that of a person
            if !led.record.successor.is_empty() && self.relief().is_none() {
                return Err(Refused::Busy { successor: led.record.successor.clone() });
            }
            if asked == leader {
                return Err(Refused::Leads { candidate: asked.to_owned(), term });
            }
            others.retain(|candidate| candidate.name != leader);
        } else if !self.is_paused() {
            return Err(Refused::NoLeader); // one is elected without being asked
        }
        if asked.is_empty() {
            return others.first().map(|next| (next.name.clone(), term)).ok_or(Refused::NobodyElse);
        }
        if others.iter().any(|candidate| candidate.name == asked) {
            return Ok((asked.to_owned(), term));
        }
        let known = self.names();
        if known.iter().any(|name| name == asked) {
            let progress = self.locals.get(asked).and_then(|local| local.progress);
            let lag_commits = progress.map(|progress| progress.lag_commits);
            return Err(Refused::NotCaughtUp { candidate: asked.to_owned(), lag_commits });
        }
        Err(Refused::NotACandidate { candidate: asked.to_owned(), known })
    }

    /// Brings the wish into the record, takes a stale one out of it, and answers who asked.
    pub(super) fn care_for_promotion(&mut self, effects: &mut Vec<Effect>) {
        let Some(led) = &self.led else { return };
        let leads = self.leader().is_some();
        let record = led.record.clone();
        let wished_for = self.now.saturating_sub(led.wish_since);
        let mut given_up = false;
        if let Some(promotion) = &self.promotion {
            let outcome = if record.term > promotion.term {
                let (term, leader) = (record.term, record.candidate.clone());
                if leader == promotion.successor {
                    Some(Ok(Promoted { term, leader }))
                } else {
                    Some(Err(Refused::Overtaken { leader, term }))
                }
            } else if self.now >= promotion.deadline {
                Some(Err(Refused::TooLate { leader: record.candidate.clone(), term: record.term }))
            } else {
                None
            };
            if let Some(outcome) = outcome {
                given_up = matches!(outcome, Err(Refused::TooLate { .. }));
                effects.push(Effect::Reply { request: promotion.request, outcome });
                self.promotion = None;
            }
        }
        let may_write = self.session.connected && self.in_flight.is_none() && self.now >= self.retry_at;
        if !may_write || self.deposed.is_some() || !leads {
            return;
        }
        let (successor, successor_reason) = match &self.promotion {
            Some(promotion) => (promotion.successor.clone(), promotion.reason.clone()),
            None if record.successor.is_empty() => match self.relief() {
                Some(relief) => relief,
                None => return,
            },
            // the instance that was asked clears it at once, any other after it has had its time
            None if !given_up && wished_for < self.stale_wish() => return,
            None => (String::new(), String::new()),
        };
        if record.successor != successor {
            let wish = Writing { begins_term: false, failed: None };
            let record = LeaderRecord { successor, successor_reason, ..record };
            self.write(record, wish, effects);
        }
    }

    /// In a paused group that nobody leads: who was asked to. Nobody else would be elected.
    pub(super) fn asked_to_lead(&self) -> Option<&str> {
        let nobody_leads = self.deposed.is_some() || self.leader().is_none();
        let promotion = self.promotion.as_ref().filter(|_| nobody_leads && self.is_paused())?;
        Some(&promotion.successor)
    }

    fn stale_wish(&self) -> Duration {
        self.timing.handover * STALE_WISH_HANDOVERS
    }
}
