//! The candidates' nodes: ours are made, kept true and removed; those of others are read.

use std::time::Duration;

use super::group::{Group, Local};
use super::timing::{GHOST_AGE, RETRY_PAUSE, UPDATE_PAUSE};
use super::{CandidateRole, Effect, NodeData, Note, Seen, Znode};
use crate::Term;

/// The node of a candidate that is held here.
#[derive(Debug)]
pub(super) enum Node {
    /// There is none.
    Wanted { not_before: Duration },
    /// It is being made.
    Asked { session: u64, data: NodeData },
    /// There is one.
    Made {
        znode: Znode,
        written: NodeData,
        /// True once the watch has shown it.
        seen: bool,
        updating: bool,
        not_before: Duration,
    },
}

impl Node {
    pub fn made(&self) -> Option<&Znode> {
        match self {
            Self::Made { znode, .. } => Some(znode),
            Self::Wanted { .. } | Self::Asked { .. } => None,
        }
    }

    /// Its session is over. One that is being made answers for itself.
    pub fn lost_with_session(&mut self) {
        if matches!(self, Self::Made { .. }) {
            *self = Self::Wanted { not_before: Duration::ZERO };
        }
    }
}

impl Local {
    /// True when it could lead, by what it says.
    pub fn says_caught_up(&self) -> bool {
        self.progress.is_some_and(|progress| {
            progress.caught_up && !matches!(progress.role, CandidateRole::Quarantined | CandidateRole::Recovering)
        })
    }
}

impl Group {
    fn data_of(&self, local: &Local) -> NodeData {
        let leads = self.led.as_ref().filter(|led| led.is(&local.join.candidate, local.join.incarnation));
        // the leader's node says the term that it was told of: elsewhere that shows that the grant has arrived
        let told = leads.map_or(Term(0), |_| local.told.term);
        NodeData {
            candidate: local.join.candidate.clone(),
            address: local.join.address.clone(),
            instance: self.instance.clone(),
            incarnation: local.join.incarnation,
            term: local.join.known_term.max(told),
            caught_up: self.could_lead(local),
        }
    }

    /// Makes nodes that are missing and updates those that are not true any more.
    pub(super) fn care_for_nodes(&mut self, effects: &mut Vec<Effect>) {
        if !self.session.connected {
            return;
        }
        let now = self.now;
        let data: Vec<NodeData> = self.locals.values().map(|local| self.data_of(local)).collect();
        for (local, data) in self.locals.values_mut().zip(data) {
            match &mut local.node {
                Node::Wanted { not_before } if *not_before <= now && local.attachment.is_some() => {
                    let session = self.session.number;
                    local.node = Node::Asked { session, data: data.clone() };
                    effects.push(Effect::MakeNode { data, session });
                }
                Node::Made { znode, written, updating, not_before, .. }
                    if *written != data && !*updating && (data.term > written.term || *not_before <= now) =>
                {
                    *updating = true;
                    effects.push(Effect::UpdateNode { znode: znode.clone(), data });
                }
                _ => {}
            }
        }
        self.remove_ghosts(effects);
    }

    pub(super) fn node_made(
        &mut self,
        candidate: &str,
        incarnation: u64,
        session: u64,
        znode: Option<Znode>,
        effects: &mut Vec<Effect>,
    ) {
        let asked =
            self.locals.get_mut(candidate).filter(|local| local.join.incarnation == incarnation).and_then(|local| {
                match &local.node {
                    Node::Asked { session: asked, data } if *asked == session => Some((data.clone(), local)),
                    _ => None,
                }
            });
        let Some((written, local)) = asked else {
            effects.extend(znode.map(|znode| Effect::RemoveNode { znode }));
            return;
        };
        match znode {
            Some(znode) if session == self.session.number => {
                local.node = Node::Made { znode, written, seen: false, updating: false, not_before: Duration::ZERO };
            }
            late => {
                effects.extend(late.map(|znode| Effect::RemoveNode { znode }));
                local.node = Node::Wanted { not_before: self.now + RETRY_PAUSE };
            }
        }
    }

    pub(super) fn node_updated(&mut self, updated: &Znode, new: Option<NodeData>, missing: bool) {
        let now = self.now;
        for local in self.locals.values_mut() {
            let Node::Made { znode, written, updating, not_before, .. } = &mut local.node else { continue };
            if znode != updated {
                continue;
            }
            *updating = false;
            *not_before = now + if new.is_some() { UPDATE_PAUSE } else { RETRY_PAUSE };
            if let Some(new) = new {
                *written = new;
            } else if missing {
                local.node = Node::Wanted { not_before: now };
            }
            return;
        }
    }

    /// Takes in the nodes as the watch shows them.
    pub(super) fn see_nodes(&mut self, shown: Vec<Seen>, effects: &mut Vec<Effect>) {
        let mut nodes = shown;
        if planted!(StaleNodeTrusted) {
            let gone = self.seen.iter().flatten().filter(|old| !nodes.iter().any(|node| node.znode == old.znode));
            nodes.extend(gone.cloned().collect::<Vec<_>>());
        }
        for local in self.locals.values_mut() {
            if let Node::Made { znode, seen, .. } = &mut local.node {
                let there = nodes.iter().any(|node| node.znode == *znode);
                if *seen && !there {
                    local.node = Node::Wanted { not_before: self.now };
                } else {
                    *seen |= there;
                }
            }
        }
        for node in &nodes {
            self.compare(node, effects);
        }
        self.ghosts.retain(|path, _| nodes.iter().any(|node| node.znode.path == *path));
        for node in nodes.iter().filter(|node| node.data.instance == self.instance) {
            let ours = self.locals.get(&node.data.candidate).is_some_and(|local| match local.node.made() {
                Some(znode) => *znode == node.znode,
                None => true,
            });
            if ours {
                self.ghosts.remove(&node.znode.path);
            } else {
                self.ghosts.entry(node.znode.path.clone()).or_insert(self.now);
            }
        }
        self.seen = Some(nodes);
    }

    /// A newer node of a candidate of ours at another instance: it has moved there, and ours is over.
    fn compare(&mut self, node: &Seen, effects: &mut Vec<Effect>) {
        let Some(local) = self.locals.get(&node.data.candidate) else { return };
        let Some(znode) = local.node.made().cloned() else { return };
        if node.znode.sequence <= znode.sequence || node.data.instance == self.instance {
            return;
        }
        let reason = format!("attached to instance `{}`", node.data.instance);
        if let Some(attachment) = local.attachment {
            effects.push(Effect::Close { attachment, reason: reason.clone() });
        }
        self.locals.remove(&node.data.candidate);
        effects.push(Effect::RemoveNode { znode });
        effects.push(Effect::Note(Note::Gone { candidate: node.data.candidate.clone(), reason }));
    }

    fn remove_ghosts(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        let old: Vec<String> = self
            .ghosts
            .iter()
            .filter(|(_, since)| now.saturating_sub(**since) >= GHOST_AGE)
            .map(|(path, _)| path.clone())
            .collect();
        for path in old {
            // noted again if it is still shown later on
            self.ghosts.remove(&path);
            let node = self.seen.iter().flatten().find(|node| node.znode.path == path);
            effects.extend(node.map(|node| Effect::RemoveNode { znode: node.znode.clone() }));
        }
    }

    /// The newest node of a candidate among those that are not ours.
    pub(super) fn newest_of(&self, candidate: &str) -> Option<&Seen> {
        self.seen
            .iter()
            .flatten()
            .filter(|node| node.data.candidate == candidate)
            .max_by_key(|node| node.znode.sequence)
    }

    /// Path of the leader's node, if it has one.
    pub(super) fn leader_path(&self) -> Option<String> {
        let record = &self.led.as_ref()?.record;
        let local = self.locals.get(&record.candidate).filter(|local| local.join.incarnation == record.incarnation);
        let own = local.and_then(|local| local.node.made()).map(|znode| znode.path.clone());
        own.or_else(|| {
            let node = self.newest_of(&record.candidate)?;
            (node.data.incarnation == record.incarnation).then(|| node.znode.path.clone())
        })
    }
}
