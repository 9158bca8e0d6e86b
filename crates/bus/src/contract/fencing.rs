//! Cases of fencing: one writer at a time, the last that fenced.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::*;

/// A writer that was fenced in the middle of a transaction gets nothing through; what it had sent is never seen.
pub fn fenced_writer_is_refused(harness: &dyn Harness) {
    let topic = topic(harness, "zombie");
    let id = harness.unique("zombie");
    let mut old = fenced_in(harness, &id);
    write(&mut *old, &[(&topic, "1")]);
    old.begin(LONG).unwrap();
    old.send(record(&topic, "never"), LONG).unwrap();
    let mut new = opened(harness, &id);
    assert_eq!(new.fence(LONG).map(|fenced| fenced.fallback), Ok(None));
    write(&mut *new, &[(&topic, "2")]);
    let sent = old.send(record(&topic, "nor this"), LONG).and_then(|()| old.commit(LONG));
    assert_fenced(&mut *old, sent);
    write(&mut *new, &[(&topic, "3")]);
    assert_eq!(all_of(harness, &topic), ["1", "2", "3"]);
}

/// A writer that was fenced between two transactions learns of it in the next one.
pub fn an_idle_fenced_writer_is_refused(harness: &dyn Harness) {
    let topic = topic(harness, "idle");
    let id = harness.unique("idle");
    let mut old = fenced_in(harness, &id);
    write(&mut *old, &[(&topic, "1")]);
    let mut new = fenced_in(harness, &id);
    old.begin(LONG).unwrap();
    let sent = old.send(record(&topic, "never"), LONG).and_then(|()| old.commit(LONG));
    assert_fenced(&mut *old, sent);
    write(&mut *new, &[(&topic, "2")]);
    assert_eq!(all_of(harness, &topic), ["1", "2"]);
}

/// Two writers fence at the same time, with a third one's transaction open: exactly one of them can write.
pub fn two_fences_in_a_race(harness: &dyn Harness) {
    let topic = topic(harness, "race");
    let id = harness.unique("race");
    let mut expected = 0;
    for _ in 0..3 {
        let mut dead = fenced_in(harness, &id);
        dead.begin(LONG).unwrap();
        dead.send(record(&topic, "never"), LONG).unwrap();
        let (mut first, mut second) = (opened(harness, &id), opened(harness, &id));
        let barrier = Barrier::new(2);
        let fence = |writer: &mut dyn Writer| {
            barrier.wait();
            writer.fence(LONG).map(drop)
        };
        let fenced = std::thread::scope(|scope| {
            let one = scope.spawn(|| fence(&mut *first));
            let other = scope.spawn(|| fence(&mut *second));
            [one, other].map(|thread| thread.join().expect("fencing does not panic"))
        });
        let mut winners = 0;
        for (writer, fenced) in [&mut first, &mut second].into_iter().zip(fenced) {
            let wrote = fenced
                .and_then(|()| writer.begin(LONG))
                .and_then(|()| writer.send(record(&topic, "winner"), LONG))
                .and_then(|()| writer.commit(LONG));
            match wrote {
                Ok(()) => {
                    winners += 1;
                    assert_eq!(writer.settle(LONG), Ok(true));
                }
                error => assert_fenced(&mut **writer, error),
            }
        }
        assert_eq!(winners, 1, "the last one that fenced writes, and nobody else");
        expected += 1;
        assert_eq!(all_of(harness, &topic), vec!["winner"; expected]);
    }
}

/// A writer that is silent beyond its timeout loses its transaction, so that readers go on, and may not write on.
pub fn a_silent_writer_is_fenced(harness: &dyn Harness) {
    let topic = topic(harness, "silent");
    let mut silent = opened_with(harness, &harness.unique("silent"), Duration::from_secs(1));
    silent.fence(LONG).unwrap();
    let mut other = fenced_in(harness, &harness.unique("other"));
    silent.begin(LONG).unwrap();
    silent.send(record(&topic, "never"), LONG).unwrap();
    let mut uncommitted = reader_of(harness, &[(&topic, StartAt::Oldest)], false);
    poll_until(&mut *uncommitted, |all| texts(all) == ["never"]);
    write(&mut *other, &[(&topic, "seen")]);
    let mut reader = reader(harness, &topic, StartAt::Oldest);
    let (start, mut polled) = (Instant::now(), Vec::new());
    while texts(&polled).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(1) + harness.timeout_slack(), "readers are held back for good");
        reader.poll(Duration::from_millis(200), 10, &mut polled).unwrap();
    }
    assert_eq!(texts(&polled), ["seen"]);
    let committed = silent.commit(LONG);
    assert_fenced(&mut *silent, committed);
    assert_eq!(all_of(harness, &topic), ["seen"]);
}
