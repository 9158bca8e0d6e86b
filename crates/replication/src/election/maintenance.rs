//! Maintenance: candidates that shall not lead, and groups in which nobody shall be elected. Both are part of the leader
//! record, so every instance goes by them, and they outlive all of them.
//!
//! A group that never had a leader gets a record of term 0 that names nobody: it can be paused, and candidates can be
//! drained, before anybody leads.

use std::collections::BTreeMap;
use std::time::Duration;

use super::group::{Group, Led, Writing};
use super::judge::{Deposed, Evidence};
use super::{Effect, LeaderRecord, Refused, RequestId};
use crate::Term;

/// Candidates of a group that may be drained at a time; the leader record has a limit.
pub const DRAINED_MAX: usize = 16;
/// Changes that wait to be written, at most.
const WAITING_MAX: usize = 64;

/// Who ordered it, why and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, microseconds since the Unix epoch.
    pub at_us: i64,
}

/// What is held back in a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maintenance {
    /// Nobody is elected, except by a promotion.
    pub paused: Option<Order>,
    /// Candidates that do not lead, by name.
    pub drained: BTreeMap<String, Order>,
}

/// A change of what is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaintenanceChange {
    /// Nobody is elected from now on.
    Pause(Order),
    /// Leaders are elected again.
    Resume,
    /// A candidate shall not lead.
    Drain {
        /// Who; it need not be there.
        candidate: String,
        /// The order.
        order: Order,
    },
    /// It may lead again.
    Undrain {
        /// Who.
        candidate: String,
    },
}

/// A change that is not written yet.
#[derive(Debug)]
pub(super) struct Waiting {
    request: RequestId,
    change: MaintenanceChange,
    deadline: Duration,
}

impl MaintenanceChange {
    /// What it makes of the present state; what holds already keeps its first order.
    fn applied(&self, now: &Maintenance) -> Maintenance {
        let mut next = now.clone();
        match self {
            Self::Pause(order) => {
                next.paused.get_or_insert_with(|| order.clone());
            }
            Self::Resume => next.paused = None,
            Self::Drain { candidate, order } => {
                next.drained.entry(candidate.clone()).or_insert_with(|| order.clone());
            }
            Self::Undrain { candidate } => {
                next.drained.remove(candidate);
            }
        }
        next
    }
}

impl Group {
    /// The record of a leader; that of a group without one names nobody.
    pub(super) fn leader(&self) -> Option<&Led> {
        self.led.as_ref().filter(|led| led.record.term > Term(0))
    }

    pub(super) fn is_paused(&self) -> bool {
        self.led.as_ref().is_some_and(|led| led.record.maintenance.paused.is_some())
    }

    /// Why a candidate shall not lead.
    pub(super) fn drained(&self, candidate: &str) -> Option<&Order> {
        self.led.as_ref().and_then(|led| led.record.maintenance.drained.get(candidate))
    }

    /// What is held back now.
    pub(super) fn maintenance(&self) -> Maintenance {
        self.led.as_ref().map(|led| led.record.maintenance.clone()).unwrap_or_default()
    }

    pub(super) fn maintain(&mut self, request: RequestId, change: MaintenanceChange, effects: &mut Vec<Effect>) {
        let full = matches!(&change, MaintenanceChange::Drain { candidate, .. }
            if self.drained(candidate).is_none() && self.maintenance().drained.len() >= DRAINED_MAX);
        let refused = if !self.session.connected {
            Refused::NoSession
        } else if full || self.waiting.len() >= WAITING_MAX {
            Refused::TooMany { limit: if full { DRAINED_MAX } else { WAITING_MAX } }
        } else {
            let deadline = self.now + self.timing.handover;
            self.waiting.push_back(Waiting { request, change, deadline });
            return;
        };
        effects.push(Effect::Maintained { request, outcome: Err(refused) });
    }

    /// Writes the next change, and answers for those that hold or had their time.
    pub(super) fn care_for_maintenance(&mut self, effects: &mut Vec<Effect>) {
        while let Some(next) = self.waiting.front() {
            let (request, held) = (next.request, self.maintenance());
            let wanted = next.change.applied(&held);
            if self.led.is_some() && wanted == held {
                effects.push(Effect::Maintained { request, outcome: Ok(held) });
            } else if self.now >= next.deadline {
                effects.push(Effect::Maintained { request, outcome: Err(Refused::NotWritten) });
            } else {
                // the record is only known once the watch has shown it
                if self.session.connected
                    && self.in_flight.is_none()
                    && self.now >= self.retry_at
                    && self.seen.is_some()
                {
                    let record = self.led.as_ref().map_or_else(LeaderRecord::of_nobody, |led| led.record.clone());
                    let record = LeaderRecord { maintenance: wanted, ..record };
                    self.write(record, Writing { begins_term: false, failed: None }, effects);
                }
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Who shall take over from a leader that is drained, and why; nobody while the group is paused.
    pub(super) fn relief(&self) -> Option<(String, String)> {
        let led = self.leader().filter(|_| !self.is_paused())?;
        let order = self.drained(&led.record.candidate)?;
        let next = self.eligible().into_iter().find(|candidate| candidate.name != led.record.candidate)?;
        Some((next.name, format!("drained by {}: {}", order.by, order.reason)))
    }

    /// While the group is paused: who may lead all the same. Whom a promotion asked to lead where nobody does, the
    /// successor that the record names (a promotion, or a drain whose handover is under way), and the leader that
    /// handed over to that one and cannot be followed by it.
    pub(super) fn allowed_while_paused(&self, candidate: &str, incarnation: u64) -> bool {
        if self.asked_to_lead() == Some(candidate) {
            return true;
        }
        let Some(record) = self.leader().map(|led| &led.record).filter(|record| !record.successor.is_empty()) else {
            return false;
        };
        let handed_over = matches!(&self.deposed, Some(Deposed { evidence: Evidence::HandedOver { .. }, .. }));
        let leads = candidate == record.candidate && incarnation == record.incarnation;
        candidate == record.successor || handed_over && leads
    }
}
