//! Cases of transactions: all or nothing, held back while open, unknown outcomes.

use std::time::{Duration, Instant};

use super::*;

/// Records of an aborted transaction are seen by no committed reader; the writer goes on.
pub fn aborted_records_are_never_seen(harness: &dyn Harness) {
    let topic = topic(harness, "aborted");
    let mut writer = fenced_in(harness, &harness.unique("aborted"));
    write(&mut *writer, &[(&topic, "1")]);
    writer.begin(LONG).unwrap();
    writer.send(record(&topic, "never"), LONG).unwrap();
    writer.abort(LONG).unwrap();
    write(&mut *writer, &[(&topic, "2")]);
    assert_eq!(all_of(harness, &topic), ["1", "2"]);
}

/// An open transaction hides what others committed behind it, until it ends.
pub fn open_transactions_hold_readers_back(harness: &dyn Harness) {
    let topic = topic(harness, "open");
    let mut first = fenced_in(harness, &harness.unique("open-first"));
    let mut second = fenced_in(harness, &harness.unique("open-second"));
    let mut committed = reader(harness, &topic, StartAt::Oldest);
    let mut uncommitted = reader_of(harness, &[(&topic, StartAt::Oldest)], false);
    first.begin(LONG).unwrap();
    first.send(record(&topic, "open"), LONG).unwrap();
    // Until it is in the log: then it surely lies before the other one's.
    poll_until(&mut *uncommitted, |all| texts(all) == ["open"]);
    write(&mut *second, &[(&topic, "behind")]);
    assert_eq!(harness.bus().end(&topic, EndOf::Stable, LONG), Ok(0));
    assert_eq!(harness.bus().end(&topic, EndOf::Newest, LONG), Ok(3));
    assert_eq!(committed.end(&topic, EndOf::Newest, LONG), Ok(3));
    poll_until(&mut *uncommitted, |all| texts(all) == ["behind"]);
    let mut early = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(200) {
        committed.poll(Duration::from_millis(50), 100, &mut early).unwrap();
    }
    assert!(texts(&early).is_empty(), "seen before its time: {early:?}");
    first.commit(LONG).unwrap();
    let polled = poll_until(&mut *committed, |all| texts(all).len() == 2);
    assert_eq!(texts(&polled), ["open", "behind"]);
}

/// 20,000 records over two topics: none before the commit, all after.
pub fn a_large_transaction_is_atomic(harness: &dyn Harness) {
    const EACH: usize = 10_000;
    let (a, b) = (topic(harness, "large-a"), topic(harness, "large-b"));
    let mut writer = fenced_in(harness, &harness.unique("large"));
    let text = "x".repeat(100);
    writer.begin(LONG).unwrap();
    for _ in 0..EACH {
        writer.send(record(&a, &text), LONG).unwrap();
        writer.send(record(&b, &text), LONG).unwrap();
    }
    assert_eq!(all_of(harness, &a).len() + all_of(harness, &b).len(), 0);
    writer.commit(LONG).unwrap();
    assert_eq!(writer.settle(LONG), Ok(true));
    assert_eq!((all_of(harness, &a).len(), all_of(harness, &b).len()), (EACH, EACH));
}

/// A record to a topic that is not there makes the transaction abort; the writer is good for another one.
pub fn a_missing_topic_aborts(harness: &dyn Harness) {
    let there = topic(harness, "there");
    let missing: Arc<str> = Arc::from(harness.unique("missing"));
    let mut writer = fenced_in(harness, &harness.unique("missing"));
    writer.begin(LONG).unwrap();
    writer.send(record(&there, "lost"), LONG).unwrap();
    let result = writer.send(record(&missing, "lost"), LONG).and_then(|()| writer.commit(LONG));
    assert!(matches!(result, Err(WriteError::Aborted { .. })), "found {result:?}");
    writer.abort(LONG).unwrap();
    write(&mut *writer, &[(&there, "kept")]);
    assert_eq!(all_of(harness, &there), ["kept"]);
}

/// After an unknown outcome, a fence and the log decide: all or nothing, and for good.
pub fn unknown_commit_outcome(harness: &dyn Harness) {
    let (a, b) = (topic(harness, "unknown-a"), topic(harness, "unknown-b"));
    let id = harness.unique("unknown");
    let mut writer = fenced_in(harness, &id);
    let mut expected: Vec<String> = Vec::new();
    for committed in [true, false] {
        let mut tries = 0;
        let text = loop {
            tries += 1;
            assert!(tries <= 200, "every answer arrived");
            let text = format!("{committed} {tries}");
            writer.begin(LONG).unwrap();
            writer.send(record(&a, &text), LONG).unwrap();
            writer.send(record(&b, &text), LONG).unwrap();
            match harness.lose_commit(&mut *writer, &id, committed) {
                Ok(()) => {
                    assert_eq!(writer.settle(LONG), Ok(true));
                    expected.push(text);
                }
                Err(WriteError::Unknown { .. }) => break text,
                // Known: nothing was committed, since not even the records were acknowledged.
                Err(WriteError::Unavailable { .. }) => writer = fenced_in(harness, &id),
                Err(other) => panic!("expected Unknown, found {other:?}"),
            }
        };
        assert!(writer.begin(LONG).is_err(), "a writer goes on after an unknown outcome");
        writer = fenced_in(harness, &id);
        let found = all_of(harness, &a);
        if found.contains(&text) {
            expected.push(text);
        }
        assert_eq!(found, expected);
        assert_eq!(all_of(harness, &b), expected, "half a transaction");
        let later = format!("after {committed}");
        write(&mut *writer, &[(&a, &later), (&b, &later)]);
        expected.push(later);
        assert_eq!((all_of(harness, &a), all_of(harness, &b)), (expected.clone(), expected.clone()));
    }
}

/// Calls that make no sense are refused, and harm nothing.
pub fn calls_out_of_order_are_refused(harness: &dyn Harness) {
    let topic = topic(harness, "order-of-calls");
    let mut writer = opened(harness, &harness.unique("order-of-calls"));
    let refused = |result: Result<(), WriteError>| {
        assert!(matches!(result, Err(WriteError::Unavailable { .. })), "found {result:?}");
    };
    refused(writer.begin(LONG));
    refused(writer.send(record(&topic, "no"), LONG));
    writer.fence(LONG).unwrap();
    refused(writer.fence(LONG).map(drop));
    refused(writer.send(record(&topic, "no"), LONG));
    refused(writer.commit(LONG));
    refused(writer.abort(LONG));
    writer.begin(LONG).unwrap();
    refused(writer.begin(LONG));
    writer.send(record(&topic, "yes"), LONG).unwrap();
    writer.commit(LONG).unwrap();
    writer.settle(LONG).unwrap();
    assert_eq!(all_of(harness, &topic), ["yes"]);
}

/// A transaction without records commits and aborts.
pub fn empty_transactions_pass(harness: &dyn Harness) {
    let topic = topic(harness, "empty");
    let mut writer = fenced_in(harness, &harness.unique("empty"));
    for _ in 0..2 {
        writer.begin(LONG).unwrap();
        writer.commit(LONG).unwrap();
        writer.begin(LONG).unwrap();
        writer.abort(LONG).unwrap();
    }
    write(&mut *writer, &[(&topic, "1")]);
    assert_eq!(all_of(harness, &topic), ["1"]);
}
