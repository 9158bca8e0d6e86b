//! The rules one by one.

use std::time::Duration;

use super::world::{SESSION, World};
use crate::Term;
use crate::election::{CandidateRole, Message, Note, Refused, Timing};

/// A world in which `a` leads in term 1 and `b` and `c` follow, long enough for a suspicion to count.
fn three(instances: usize) -> (World, usize, usize, usize) {
    let mut world = World::new(instances, 1);
    let a = world.start_candidate("a");
    world.run_ms(20);
    let b = world.start_candidate("b");
    world.run_ms(20);
    let c = world.start_candidate("c");
    world.run_ms(3500);
    assert_eq!(world.leader(), Some(("a", 1)));
    (world, a, b, c)
}

fn grants(world: &World, candidate: usize) -> usize {
    world.candidates[candidate].heard.iter().filter(|message| matches!(message, Message::Grant { .. })).count()
}

fn suspicions(world: &World) -> usize {
    world.notes.iter().filter(|note| matches!(note, Note::Deposed { suspicion: true, .. })).count()
}

#[test]
fn the_first_leader_is_the_oldest_caught_up_candidate_after_a_settling_time() {
    let mut world = World::new(1, 1);
    let a = world.start_candidate("a");
    world.candidates[a].caught_up = false;
    world.run_ms(20);
    let b = world.start_candidate("b");
    world.run_ms(20);
    world.start_candidate("c");
    world.run_ms(100);
    assert_eq!(world.leader(), None, "settling");
    world.run_ms(200);
    assert_eq!(world.leader(), Some(("b", 1)), "a is older, but not caught up");
    assert_eq!(grants(&world, b), 1);
    let heard = &world.candidates[a].heard;
    assert!(matches!(&heard[0], Message::Joined { znode, term: Term(0) } if znode == "/ESP/g/server-n_0000000000"));
    assert!(heard.contains(&Message::Leader { term: Term(1), candidate: "b".into() }));
    assert!(heard.contains(&Message::Watching { znode: "/ESP/g/server-n_0000000001".into() }));
    world.run_ms(20_000);
    assert_eq!(world.leader(), Some(("b", 1)), "E3: a healthy leader stays");
    assert_eq!(grants(&world, b), 1, "E7: told once");
}

#[test]
fn nobody_leads_until_somebody_is_caught_up() {
    let mut world = World::new(1, 1);
    let a = world.start_candidate("a");
    world.candidates[a].caught_up = false;
    world.run_ms(5000);
    assert_eq!(world.leader(), None);
    world.candidates[a].caught_up = true;
    world.run_ms(200);
    assert_eq!(world.leader(), Some(("a", 1)));
}

#[test]
fn a_crash_is_acted_upon_at_once() {
    let (mut world, a, b, _) = three(1);
    world.crash(a);
    world.run_ms(20);
    assert_eq!(world.leader(), Some(("b", 2)));
    assert_eq!(world.candidates[b].role, CandidateRole::Active);
    assert_eq!(world.nodes_of("a"), 0);
    assert_eq!(suspicions(&world), 0, "a refused connect is a certainty");
}

#[test]
fn a_hang_is_acted_upon_after_the_limit_and_the_old_leader_follows() {
    let (mut world, a, _, _) = three(1);
    world.candidates[a].frozen = true;
    world.run_ms(340);
    assert_eq!(world.leader(), Some(("a", 1)));
    world.run_ms(120);
    assert_eq!(world.leader(), Some(("b", 2)));
    world.candidates[a].frozen = false;
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("b", 2)));
    assert_eq!(world.candidates[a].role, CandidateRole::Standby);
}

#[test]
fn a_broken_stream_of_a_living_leader_moves_nothing() {
    let (mut world, a, _, _) = three(1);
    for _ in 0..5 {
        world.break_stream(a);
        world.run_ms(500);
    }
    assert_eq!(world.leader(), Some(("a", 1)));
    assert_eq!(grants(&world, a), 1, "it knows its term and is not granted it again");
    assert_eq!(world.nodes_of("a"), 1);
}

#[test]
fn a_grant_that_was_lost_with_its_stream_is_sent_on_the_next() {
    let (mut world, a, b, _) = three(1);
    world.crash(a);
    // elected while its stream is broken: the message goes nowhere
    world.break_stream(b);
    world.run_ms(500);
    assert_eq!(world.leader().map(|(_, term)| term), Some(2));
    let (leader, _) = world.leader().expect("somebody leads");
    let leader = world.candidates.iter().find(|it| it.name == leader).expect("a candidate leads");
    assert_eq!((leader.role, leader.term), (CandidateRole::Active, Term(2)));
}

#[test]
fn a_leader_that_does_not_come_back_is_replaced_like_one_that_hangs() {
    let (mut world, a, _, _) = three(1);
    world.candidates[a].frozen = true;
    let (_, attachment) = world.candidates[a].attached.take().expect("attached");
    let effects = &mut Vec::new();
    let now = world.now;
    world.instances[0].group.step(crate::election::Input::Detached { attachment }, now, effects);
    world.run_ms(500);
    assert_eq!(world.leader(), Some(("b", 2)));
}

#[test]
fn a_restarted_leader_is_another_process_and_leads_only_if_nobody_else_can() {
    let (mut world, a, _, _) = three(1);
    world.crash(a);
    world.restart(a);
    world.run_ms(100);
    assert_eq!(world.leader(), Some(("b", 2)));

    let mut world = World::new(1, 1);
    let a = world.start_candidate("a");
    world.run_ms(2000);
    assert_eq!(world.leader(), Some(("a", 1)));
    world.crash(a);
    world.candidates[a].caught_up = false;
    world.restart(a);
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("a", 1)), "it recovers; nobody can lead");
    assert!(world.notes.iter().any(|note| matches!(note, Note::NobodyCanLead { .. })));
    world.candidates[a].caught_up = true;
    world.run_ms(1000);
    assert_eq!(world.leader(), Some(("a", 2)));
    assert_eq!(grants(&world, a), 2);
}

#[test]
fn a_leader_that_loses_its_instance_leads_on_at_another() {
    let (mut world, a, b, c) = three(2);
    assert_eq!(world.candidates[a].attached.map(|(instance, _)| instance), Some(0));
    world.kill_instance(0);
    world.run_ms(10_000);
    assert_eq!(world.candidates[a].attached.map(|(instance, _)| instance), Some(1));
    assert_eq!(world.leader(), Some(("a", 1)));
    assert_eq!(world.nodes_of("a"), 1);
    world.crash(a);
    world.run_ms(20);
    assert_eq!(world.leader().map(|(_, term)| term), Some(2));
    assert_eq!(grants(&world, b) + grants(&world, c), 1);
}

#[test]
fn a_leader_that_moves_late_in_its_term_is_not_taken_for_one_that_never_took_over() {
    let (mut world, a, ..) = three(2);
    world.run_ms(30_000);
    for instance in [0, 1, 0, 1] {
        world.kill_instance(instance);
        world.run_ms(5000);
        world.start_instance(instance);
        world.run_ms(5000);
    }
    assert_eq!(world.leader(), Some(("a", 1)));
    assert_eq!(grants(&world, a), 1);
    assert_eq!(suspicions(&world), 0);
}

#[test]
fn a_leader_lost_together_with_its_instance_is_replaced_when_its_node_is_gone() {
    let (mut world, a, _, _) = three(2);
    world.crash(a);
    world.kill_instance(0);
    world.run_ms(700);
    assert_eq!(world.leader(), Some(("a", 1)), "its node is still there");
    world.run(SESSION);
    assert_eq!(world.leader().map(|(_, term)| term), Some(2));
}

#[test]
fn a_standby_at_another_instance_is_granted_there() {
    let mut world = World::new(2, 3);
    let a = world.start_candidate("a");
    world.run_ms(100);
    // paused, so that b attaches to the other
    world.pause_instance(0);
    let b = world.start_candidate("b");
    world.run_ms(10);
    world.resume_instance(0);
    world.run_ms(4000);
    assert_eq!(world.candidates[a].attached.map(|(instance, _)| instance), Some(0));
    assert_eq!(world.candidates[b].attached.map(|(instance, _)| instance), Some(1));
    assert_eq!(world.leader(), Some(("a", 1)));
    world.crash(a);
    world.run_ms(30);
    assert_eq!(world.leader(), Some(("b", 2)));
    assert_eq!(world.candidates[b].role, CandidateRole::Active);
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("b", 2)), "its instance has shown that it was told");
}

#[test]
fn without_a_session_nothing_moves_and_afterwards_the_nodes_are_made_anew() {
    let (mut world, a, _, _) = three(2);
    world.set_server_down(true, true);
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("a", 1)));
    assert!(world.notes.contains(&Note::SessionLost));
    world.set_server_down(false, false);
    world.run_ms(10_000);
    assert_eq!(world.leader(), Some(("a", 1)));
    assert_eq!((world.nodes_of("a"), world.nodes_of("b")), (1, 1));
    assert_eq!(grants(&world, a), 1);

    world.set_server_down(true, false);
    world.crash(a);
    world.run_ms(1000);
    assert_eq!(world.leader(), Some(("a", 1)), "E6");
    world.set_server_down(false, false);
    world.run_ms(300);
    assert_eq!(world.leader().map(|(_, term)| term), Some(2));
}

#[test]
fn a_pause_of_the_instance_itself_is_nobodys_hang() {
    let (mut world, ..) = three(1);
    for _ in 0..5 {
        world.pause_instance(0);
        world.run_ms(900);
        world.resume_instance(0);
        world.run_ms(900);
    }
    assert_eq!(world.leader(), Some(("a", 1)));
    assert_eq!(suspicions(&world), 0);
    assert!(world.notes.iter().any(|note| matches!(note, Note::Stalled { millis } if *millis >= 800)));
}

#[test]
fn a_slow_candidate_is_not_suspected_without_another_to_take_over() {
    let mut world = World::new(1, 1);
    let a = world.start_candidate("a");
    world.run_ms(3000);
    world.candidates[a].frozen = true;
    world.run_ms(1000);
    world.candidates[a].frozen = false;
    world.run_ms(3000);
    assert_eq!(world.leader(), Some(("a", 1)));
    assert!(world.notes.iter().any(|note| matches!(note, Note::Cleared { .. })), "the suspicion was taken back");
}

#[test]
fn a_leader_without_its_bus_is_replaced_only_by_one_that_reaches_it() {
    let (mut world, a, b, c) = three(1);
    for it in [a, b, c] {
        world.candidates[it].caught_up = false;
    }
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("a", 1)), "the bus is down for all");
    world.candidates[c].caught_up = true;
    world.run_ms(200);
    assert_eq!(world.leader(), Some(("a", 1)), "the bus is back: c may only have heard it a moment earlier");
    world.run_ms(400);
    assert_eq!(world.leader(), Some(("c", 2)));
}

#[test]
fn a_leader_that_alone_lost_its_bus_is_replaced_sooner_than_one_that_hangs() {
    let (mut world, a, _, _) = three(1);
    world.run_ms(1500);
    world.candidates[a].caught_up = false;
    world.run_ms(250);
    assert_eq!(world.leader(), Some(("a", 1)), "a moment is no outage");
    world.run_ms(200);
    assert_eq!(world.leader(), Some(("b", 2)));
}

#[test]
fn all_hear_the_bus_again_and_the_leader_stays() {
    let (mut world, a, b, c) = three(1);
    for it in [a, b, c] {
        world.candidates[it].caught_up = false;
    }
    world.run_ms(5000);
    for it in [c, b, a] {
        world.candidates[it].caught_up = true;
        world.run_ms(150);
    }
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("a", 1)));
}

/// Found by the simulator (seed 372): an engine that lost its bus while it took over was waited for as if it were slow.
#[test]
fn one_that_loses_its_bus_while_it_takes_over_is_not_waited_for() {
    let (mut world, a, _, _) = three(1);
    world.candidates[a].role = CandidateRole::TakingOver;
    world.candidates[a].caught_up = false;
    world.run_ms(1600);
    assert_eq!(world.leader(), Some(("b", 2)));
}

#[test]
fn a_handover_goes_to_the_named_candidate_from_any_instance() {
    let (mut world, a, _, c) = three(2);
    let request = world.promote(1, "c");
    world.run_ms(60);
    assert_eq!(world.leader(), Some(("c", 2)));
    let (answered, outcome) = &world.replies[0];
    assert_eq!(*answered, request);
    assert_eq!(outcome.as_ref().map(|promoted| (promoted.leader.as_str(), promoted.term)), Ok(("c", Term(2))));
    assert_eq!(world.candidates[a].role, CandidateRole::Standby);
    assert_eq!(world.candidates[c].role, CandidateRole::Active);
    let record = &world.record.as_ref().expect("there is a leader").0;
    assert_eq!(record.reason, "handed over by `a`: asked");
    world.run_ms(5000);
    assert_eq!(world.leader(), Some(("c", 2)));

    world.promote(0, "");
    world.run_ms(60);
    assert_eq!(world.leader(), Some(("a", 3)), "the next one, by its node; who handed over has not failed");
}

#[test]
fn handovers_that_cannot_be_are_refused_with_the_reason() {
    let (mut world, a, b, c) = three(1);
    world.candidates[b].caught_up = false;
    world.run_ms(200);
    for asked in ["a", "b", "x"] {
        world.promote(0, asked);
    }
    world.run_ms(20);
    let refused: Vec<_> = world.replies.drain(..).map(|(_, outcome)| outcome.expect_err("cannot be")).collect();
    assert_eq!(refused[0], Refused::Leads { candidate: "a".into(), term: Term(1) });
    assert_eq!(refused[1], Refused::NotCaughtUp { candidate: "b".into(), lag_commits: Some(1) });
    let known = ["a", "b", "c"].map(String::from).to_vec();
    assert_eq!(refused[2], Refused::NotACandidate { candidate: "x".into(), known });

    world.candidates[c].caught_up = false;
    world.run_ms(200);
    world.promote(0, "");
    world.run_ms(20);
    assert_eq!(world.replies.remove(0).1, Err(Refused::NobodyElse));

    world.candidates[c].caught_up = true;
    world.candidates[a].obeys = false;
    world.run_ms(200);
    world.promote(0, "c");
    world.run_ms(100);
    world.promote(0, "c");
    world.run_ms(20);
    assert_eq!(world.replies.remove(0).1, Err(Refused::Busy { successor: "c".into() }));
    world.run_ms(6000);
    assert_eq!(world.replies.remove(0).1, Err(Refused::TooLate { leader: "a".into(), term: Term(1) }));
    assert_eq!(world.leader(), Some(("a", 1)));
    assert_eq!(world.record.as_ref().map(|(record, _)| record.successor.as_str()), Some(""), "the wish is taken back");
}

#[test]
fn a_leader_that_dies_during_a_handover_is_followed_by_the_named_successor() {
    let (mut world, a, _, _) = three(1);
    world.candidates[a].obeys = false;
    world.promote(0, "c");
    world.run_ms(50);
    world.crash(a);
    world.run_ms(50);
    assert_eq!(world.leader(), Some(("c", 2)));
    assert!(matches!(&world.replies[0].1, Ok(promoted) if promoted.leader == "c"));
}

#[test]
fn a_leader_that_gives_up_is_replaced_and_one_that_is_alone_does_not_spin() {
    let (mut world, a, _, _) = three(1);
    world.step_down(a, "");
    world.run_ms(20);
    assert_eq!(world.leader(), Some(("b", 2)));

    let mut world = World::new(1, 1);
    let a = world.start_candidate("a");
    world.run_ms(1000);
    for _ in 0..1000 {
        if world.candidates[a].role == CandidateRole::Active {
            world.step_down(a, "");
        }
        world.run_ms(10);
    }
    let told = world.instances[0].group.view().candidates[0].unfit.clone();
    assert!(told.starts_with("held off for another ") && told.contains("failed as leader"), "{told}");
    let terms = world.winners.len();
    assert!((4..=8).contains(&terms), "{terms} terms in 10 s: 250 ms hold-off at first, doubling");
}

#[test]
fn a_leader_that_parked_its_project_is_not_held_off() {
    let mut world = World::new(1, 1);
    let a = world.start_candidate("a");
    world.run_ms(1000);
    for _ in 0..20 {
        assert_eq!(world.candidates[a].role, CandidateRole::Active, "after {} terms", world.winners.len());
        world.give_back(a, "", true);
        world.run_ms(50);
    }
}

#[test]
fn a_candidate_that_keeps_failing_is_passed_over() {
    let (mut world, a, b, c) = three(1);
    // a fails three times, each time restarted as the only one left with b and c behind it in age
    for _ in 0..3 {
        world.crash(a);
        world.run_ms(50);
        world.restart(a);
        world.run_ms(200);
        let leader = world.leader().map(|(name, _)| name.to_owned()).expect("somebody leads");
        assert_ne!(leader, "a");
        let other = if leader == "b" { b } else { c };
        world.crash(other);
        world.run_ms(50);
        world.restart(other);
        world.run_ms(200);
    }
    let leader = world.leader().map(|(name, _)| name.to_owned());
    assert!(leader.is_some());
    world.run_ms(5000);
    assert_eq!(world.leader().map(|(name, _)| name.to_owned()), leader, "it settles");
}

#[test]
fn leaving_hands_the_term_on() {
    let (mut world, a, ..) = three(1);
    world.leave(a);
    world.run_ms(20);
    assert_eq!(world.leader(), Some(("b", 2)));
    assert_eq!(world.nodes_of("a"), 0);
}

#[test]
fn terms_rise_above_what_any_candidate_knows_even_if_the_record_is_lost() {
    let (mut world, a, ..) = three(1);
    world.candidates[a].term = Term(41);
    world.run_ms(200);
    world.record = None;
    world.winners.clear();
    world.kill_instance(0);
    world.start_instance(0);
    world.run_ms(3000);
    assert_eq!(world.leader(), Some(("a", 42)), "whoever leads by its own account goes on, in a new term");
}

#[test]
fn a_wiped_record_is_noticed_by_a_running_instance() {
    let (mut world, a, ..) = three(1);
    world.record = None;
    world.winners.clear();
    world.run_ms(1000);
    world.crash(a);
    world.run_ms(2000);
    assert_eq!(world.leader(), Some(("b", 2)));
}

#[test]
fn a_minimum_term_shields_a_young_leader_from_suspicion_but_not_from_certainty() {
    let timing = Timing { minimum_term: Duration::from_secs(2), ..Timing::default() };
    let mut world = World::with_timing(1, 1, timing);
    let a = world.start_candidate("a");
    world.run_ms(20);
    world.start_candidate("b");
    world.run_ms(400);
    assert_eq!(world.leader(), Some(("a", 1)));
    world.candidates[a].frozen = true;
    world.run_ms(1000);
    assert_eq!(world.leader(), Some(("a", 1)));
    world.run_ms(1200);
    assert_eq!(world.leader(), Some(("b", 2)));
    let b = 1;
    world.candidates[a].frozen = false;
    world.run_ms(200);
    world.crash(b);
    world.run_ms(20);
    assert_eq!(world.leader(), Some(("a", 3)));
}

#[test]
fn two_processes_of_one_name_are_told_apart() {
    let (mut world, a, ..) = three(1);
    let join = crate::election::Join {
        candidate: "a".into(),
        address: "elsewhere:1".into(),
        incarnation: 99,
        known_term: Term(0),
    };
    let attachment = crate::election::AttachmentId(1_000_000);
    let mut effects = Vec::new();
    let now = world.now;
    world.instances[0].group.step(crate::election::Input::Attached { attachment, join }, now, &mut effects);
    let closed = effects.iter().any(|effect| {
        matches!(effect, crate::election::Effect::Close { attachment: closed, reason } if *closed == attachment && reason.contains("another name"))
    });
    assert!(closed, "{effects:?}");
    world.run_ms(2000);
    assert_eq!(world.leader(), Some(("a", 1)));
    assert!(world.candidates[a].attached.is_some());
}
