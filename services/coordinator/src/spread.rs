//! Which leaders should move so that engines lead about equally many projects. Only when somebody asks: every move is a
//! handover, so leaders never move just because an engine came.

use mesh_proto::election::GroupStatus;
use std::collections::BTreeMap;

/// A leader that should move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) project: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The fewest moves after which no engine leads two more projects than one that could take one of them. Groups that are
/// paused or have no leader stay as they are; a drained engine, or one that is not caught up, takes nothing.
pub(crate) fn plan(groups: &BTreeMap<String, GroupStatus>) -> Vec<Move> {
    let mut leads: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups.values() {
        for candidate in &group.candidates {
            leads.entry(&candidate.candidate).or_default();
        }
        if !group.leader.is_empty() {
            *leads.entry(&group.leader).or_default() += 1;
        }
    }
    let mut leaders: BTreeMap<&str, &str> =
        groups.iter().map(|(project, group)| (project.as_str(), group.leader.as_str())).collect();
    let mut moves = Vec::new();
    // each move makes the difference of two engines smaller, so this ends
    while let Some((project, from, to)) = best(groups, &leads, &leaders) {
        *leads.entry(from).or_default() -= 1;
        *leads.entry(to).or_default() += 1;
        leaders.insert(project, to);
        moves.push(Move { project: project.to_owned(), from: from.to_owned(), to: to.to_owned() });
    }
    moves
}

/// The move that makes the greatest difference smaller; the first by name of several.
fn best<'a>(
    groups: &'a BTreeMap<String, GroupStatus>,
    leads: &BTreeMap<&'a str, usize>,
    leaders: &BTreeMap<&'a str, &'a str>,
) -> Option<(&'a str, &'a str, &'a str)> {
    let mut best: Option<(usize, (&str, &str, &str))> = None;
    for (project, group) in groups {
        let leader = leaders.get(project.as_str()).copied().filter(|leader| !leader.is_empty());
        let Some(leader) = leader.filter(|_| may_move(group)) else { continue };
        for to in takers(group).filter(|to| *to != leader) {
            let difference = leads[leader].saturating_sub(leads[to]);
            if difference >= 2 && best.is_none_or(|(most, _)| difference > most) {
                best = Some((difference, (project, leader, to)));
            }
        }
    }
    best.map(|(_, found)| found)
}

fn may_move(group: &GroupStatus) -> bool {
    group.deposed.is_empty() && group.maintenance.as_ref().is_none_or(|held| held.paused.is_none())
}

fn takers(group: &GroupStatus) -> impl Iterator<Item = &str> {
    let drained = |name: &str| group.maintenance.as_ref().is_some_and(|held| held.drained.contains_key(name));
    group
        .candidates
        .iter()
        .filter(move |candidate| {
            let caught_up = candidate.progress.as_ref().is_some_and(|progress| progress.caught_up);
            caught_up && !drained(&candidate.candidate)
        })
        .map(|candidate| candidate.candidate.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::election::{CandidateStatus, Maintenance, Order, Progress};

    fn group(leader: &str, caught_up: &[&str]) -> GroupStatus {
        let candidate = |name: &&str| CandidateStatus {
            candidate: (*name).to_owned(),
            progress: Some(Progress { caught_up: true, ..Progress::default() }),
            ..CandidateStatus::default()
        };
        let candidates = caught_up.iter().map(candidate).collect();
        GroupStatus { leader: leader.into(), term: 1, candidates, ..GroupStatus::default() }
    }

    fn planned(groups: &BTreeMap<String, GroupStatus>) -> Vec<String> {
        plan(groups).into_iter().map(|it| format!("{} {}->{}", it.project, it.from, it.to)).collect()
    }

    #[test]
    fn leaders_are_spread_with_the_fewest_moves() {
        let all = ["e1", "e2", "e3"];
        let mut groups: BTreeMap<String, GroupStatus> =
            ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), group("e1", &all))).into();
        assert_eq!(planned(&groups), ["a e1->e2", "b e1->e3", "c e1->e2"], "2, 2 and 1 of 5");
        groups.insert("a".into(), group("e2", &all));
        groups.insert("b".into(), group("e3", &all));
        assert_eq!(planned(&groups), ["c e1->e2"], "3, 1, 1 becomes 2, 2, 1");
        groups.insert("c".into(), group("e2", &all));
        assert_eq!(planned(&groups), Vec::<String>::new(), "even enough: nothing moves");
    }

    #[test]
    fn who_is_paused_drained_or_behind_is_left_alone() {
        let mut groups: BTreeMap<String, GroupStatus> =
            ["a", "b", "c", "d"].map(|name| (name.to_owned(), group("e1", &["e1", "e2"]))).into();
        groups.insert("a".into(), group("e1", &["e1"]));
        let paused = Maintenance { paused: Some(Order::default()), ..Maintenance::default() };
        groups.get_mut("b").expect("there").maintenance = Some(paused);
        let drained = Maintenance { drained: [("e2".to_owned(), Order::default())].into(), ..Maintenance::default() };
        groups.get_mut("c").expect("there").maintenance = Some(drained);
        assert_eq!(planned(&groups), ["d e1->e2"]);
        groups.get_mut("d").expect("there").leader.clear();
        assert_eq!(planned(&groups), Vec::<String>::new());
    }
}
