//! Cases of reading: order, ends, pausing, seeking, retention.

use bytes::Bytes;
use std::time::{Duration, Instant};

use super::*;
use crate::{Header, ReadError};

/// Records come in order, whole, and offsets grow.
pub fn order_and_content(harness: &dyn Harness) {
    let (a, b) = (topic(harness, "order-a"), topic(harness, "order-b"));
    let mut writer = fenced_in(harness, &harness.unique("order"));
    write(&mut *writer, &[(&a, "1"), (&b, "x"), (&a, "2")]);
    writer.begin(LONG).unwrap();
    let sent = OutRecord {
        topic: Arc::clone(&a),
        key: Some(Bytes::from_static(b"key")),
        headers: ["traceparent", "tracestate", "term", "sequence", "content-type"]
            .into_iter()
            .map(|key| Header { key, value: Bytes::copy_from_slice(format!("value of {key}").as_bytes()) })
            .collect(),
        payload: Bytes::from_static(b"3"),
    };
    writer.send(sent.clone(), LONG).unwrap();
    writer.commit(LONG).unwrap();
    writer.settle(LONG).unwrap();

    let mut reader = reader_of(harness, &[(&a, StartAt::Oldest), (&b, StartAt::Oldest)], true);
    let polled = poll_until(&mut *reader, |all| texts(all).len() == 4);
    let of = |topic: &Arc<str>| -> Vec<Record> {
        let records = polled.iter().filter_map(|item| match item {
            Polled::Record(record) if record.topic == *topic => Some(record.clone()),
            _ => None,
        });
        records.collect()
    };
    let (records, others) = (of(&a), of(&b));
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(others.iter().map(text).collect::<Vec<_>>(), ["x"]);
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    // A transaction's control record takes an offset.
    assert_eq!(offsets, [0, 1, 3]);
    let last = &records[2];
    assert_eq!((&last.key, &last.headers), (&sent.key, &sent.headers));
    assert_eq!((&records[0].key, records[0].headers.len()), (&None, 0));
    assert!(records.iter().all(|record| record.timestamp_ms > 1_500_000_000_000));
}

/// `End` comes when everything was delivered, with the offset behind control records, and again after more.
pub fn ends_are_reported(harness: &dyn Harness) {
    let topic = topic(harness, "ends");
    let mut reader = reader(harness, &topic, StartAt::Oldest);
    let end_at = |offset| Polled::End { topic: Arc::clone(&topic), next_offset: offset };
    let polled = poll_until(&mut *reader, |all| !all.is_empty());
    assert_eq!(polled, [end_at(0)]);

    let mut writer = fenced_in(harness, &harness.unique("ends"));
    for round in 1..=3 {
        write(&mut *writer, &[(&topic, "1"), (&topic, "2")]);
        let end = round * 3;
        for kind in [EndOf::Newest, EndOf::Stable] {
            assert_eq!(reader.end(&topic, kind, LONG), Ok(end));
            assert_eq!(harness.bus().end(&topic, kind, LONG), Ok(end));
        }
        assert_eq!(reader.end(&topic, EndOf::Oldest, LONG), Ok(0));
        let polled = poll_until(&mut *reader, |all| all.last() == Some(&end_at(end)));
        assert_eq!(texts(&polled), ["1", "2"], "each record once, before its end");
    }
}

/// A reader from the newest sees only what comes later.
pub fn newest_starts_behind_what_is_there(harness: &dyn Harness) {
    let topic = topic(harness, "newest");
    let mut writer = fenced_in(harness, &harness.unique("newest"));
    write(&mut *writer, &[(&topic, "old")]);
    let mut reader = reader(harness, &topic, StartAt::Newest);
    write(&mut *writer, &[(&topic, "new")]);
    let polled = poll_until(&mut *reader, |all| !texts(all).is_empty());
    assert_eq!(texts(&polled), ["new"]);
}

/// A paused topic is silent, others flow, and it goes on where it stopped.
pub fn pause_and_resume_lose_nothing(harness: &dyn Harness) {
    let (a, b) = (topic(harness, "pause-a"), topic(harness, "pause-b"));
    let mut writer = fenced_in(harness, &harness.unique("pause"));
    let numbers: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    for chunk in numbers.chunks(500) {
        let records: Vec<_> = chunk.iter().map(|n| (&a, n.as_str())).collect();
        write(&mut *writer, &records);
    }
    let mut reader = reader_of(harness, &[(&a, StartAt::Oldest), (&b, StartAt::Oldest)], true);
    let mut seen = Vec::new();
    for round in 0..4 {
        let start = Instant::now();
        let before = texts(&seen).len();
        while texts(&seen).len() < before + 100 {
            assert!(start.elapsed() < LONG, "stuck in round {round} at {before}");
            reader.poll(Duration::from_millis(100), 100, &mut seen).unwrap();
        }
        reader.pause(&a).unwrap();
        let paused_at = texts(&seen).len();
        let marker = format!("marker {round}");
        write(&mut *writer, &[(&b, &marker)]);
        let other = poll_until(&mut *reader, |all| texts(all).contains(&marker.as_str()));
        assert_eq!(texts(&other), [marker.as_str()], "only the topic that is not paused flows");
        assert_eq!(texts(&seen).len(), paused_at);
        reader.resume(&a).unwrap();
    }
    let mut rest = poll_until(&mut *reader, |all| texts(&seen).len() + texts(all).len() >= numbers.len());
    seen.append(&mut rest);
    assert_eq!(texts(&seen), numbers.iter().map(String::as_str).collect::<Vec<_>>());
}

/// After a seek nothing from before comes, wherever it goes.
pub fn seek_goes_on_elsewhere(harness: &dyn Harness) {
    let topic = topic(harness, "seek");
    let mut writer = fenced_in(harness, &harness.unique("seek"));
    let numbers: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    write(&mut *writer, &numbers.iter().map(|n| (&topic, n.as_str())).collect::<Vec<_>>());
    // At once after opening, when nothing was fetched yet; and later.
    let mut reader = reader(harness, &topic, StartAt::Oldest);
    reader.seek(&topic, StartAt::Offset(90)).unwrap();
    let expect_from = |reader: &mut dyn Reader, first: usize| {
        let polled = poll_until(reader, |all| texts(all).contains(&"99"));
        assert_eq!(texts(&polled), numbers[first..].iter().map(String::as_str).collect::<Vec<_>>());
    };
    expect_from(&mut *reader, 90);
    reader.seek(&topic, StartAt::Oldest).unwrap();
    expect_from(&mut *reader, 0);
    reader.seek(&topic, StartAt::Offset(30)).unwrap();
    let mut some = Vec::new();
    poll_one(&mut *reader, &mut some);
    assert_eq!(texts(&some), ["30"]);
    // In the middle, with the rest read ahead.
    reader.seek(&topic, StartAt::Offset(10)).unwrap();
    expect_from(&mut *reader, 10);
    reader.seek(&topic, StartAt::Newest).unwrap();
    write(&mut *writer, &[(&topic, "new")]);
    let polled = poll_until(&mut *reader, |all| !texts(all).is_empty());
    assert_eq!(texts(&polled), ["new"]);
}

fn poll_one(reader: &mut dyn Reader, into: &mut Vec<Polled>) {
    let start = Instant::now();
    while into.is_empty() {
        assert!(start.elapsed() < LONG, "nothing came");
        reader.poll(Duration::from_millis(100), 1, into).unwrap();
    }
}

/// A reader whose next offset is gone is told so, until it seeks to one that is there.
pub fn retention_is_an_error_not_a_jump(harness: &dyn Harness) {
    let topic = topic(harness, "gone");
    let mut writer = fenced_in(harness, &harness.unique("gone"));
    for n in 0..5 {
        write(&mut *writer, &[(&topic, &n.to_string())]);
    }
    let mut early = reader(harness, &topic, StartAt::Offset(8));
    poll_until(&mut *early, |all| texts(all) == ["4"]);
    harness.truncate_before(&topic, 4);
    assert_eq!(harness.bus().end(&topic, EndOf::Oldest, LONG), Ok(4));
    let gone = ReadError::Gone { topic: topic.to_string(), needed: 2, oldest: 4 };
    let expect_gone = |reader: &mut dyn Reader| {
        let (start, mut polled) = (Instant::now(), Vec::new());
        loop {
            assert!(start.elapsed() < LONG, "the loss was not reported");
            match reader.poll(Duration::from_millis(100), 100, &mut polled) {
                Ok(()) => assert!(texts(&polled).is_empty(), "jumped: {polled:?}"),
                Err(error) => break assert_eq!(error, gone),
            }
        }
    };
    let mut reader = reader(harness, &topic, StartAt::Offset(2));
    expect_gone(&mut *reader);
    expect_gone(&mut *reader);
    early.seek(&topic, StartAt::Offset(2)).unwrap();
    expect_gone(&mut *early);
    for mut reader in [reader, early] {
        reader.seek(&topic, StartAt::Oldest).unwrap();
        let polled = poll_until(&mut *reader, |all| texts(all).len() == 3);
        assert_eq!(texts(&polled), ["2", "3", "4"]);
    }
}

/// Every topic gets its turn even when one has far more than a poll takes.
pub fn several_topics_each_get_their_turn(harness: &dyn Harness) {
    let (a, b) = (topic(harness, "turn-a"), topic(harness, "turn-b"));
    let mut writer = fenced_in(harness, &harness.unique("turn"));
    write(&mut *writer, &vec![(&a, "a"); 3000]);
    write(&mut *writer, &[(&b, "b")]);
    let mut reader = reader_of(harness, &[(&a, StartAt::Oldest), (&b, StartAt::Oldest)], true);
    let (start, mut all) = (Instant::now(), Vec::new());
    while texts(&all).len() < 3001 {
        assert!(start.elapsed() < LONG, "{} of 3001 records", texts(&all).len());
        let before = all.len();
        // No faster than a bus fetches the second topic: its turn is what is tested, not its first fetch.
        std::thread::sleep(Duration::from_millis(3));
        reader.poll(Duration::from_millis(100), 10, &mut all).unwrap();
        assert!(all.len() <= before + 10, "a poll took more than it was allowed");
    }
    let place = texts(&all).iter().position(|text| *text == "b").unwrap();
    assert!(place < 3000, "the second topic starved");
}

/// A topic that lost what is needed is reported although another one has enough to fill every poll.
pub fn a_lost_topic_is_reported_while_another_flows(harness: &dyn Harness) {
    let (a, b) = (topic(harness, "flows"), topic(harness, "lost"));
    let mut writer = fenced_in(harness, &harness.unique("flows"));
    write(&mut *writer, &vec![(&a, "a"); 3000]);
    write(&mut *writer, &[(&b, "b"), (&b, "b")]);
    harness.truncate_before(&b, 2);
    let mut reader = reader_of(harness, &[(&a, StartAt::Oldest), (&b, StartAt::Offset(1))], true);
    let (start, mut all) = (Instant::now(), Vec::new());
    let error = loop {
        assert!(start.elapsed() < LONG, "not reported, {} records", all.len());
        if let Err(error) = reader.poll(Duration::from_millis(100), 10, &mut all) {
            break error;
        }
    };
    assert_eq!(error, ReadError::Gone { topic: b.to_string(), needed: 1, oldest: 2 });
    assert!(texts(&all).len() < 3000, "reported only after everything else");
    while texts(&all).len() < 3000 {
        assert!(start.elapsed() < LONG, "the other topic stopped at {}", all.len());
        // The loss is reported again and again; what flows must flow on between.
        drop(reader.poll(Duration::from_millis(100), 100, &mut all));
    }
    assert!(texts(&all).iter().all(|text| *text == "a"));
}

/// A poll that waits is woken by a commit, long before its time is up.
pub fn a_poll_waits_for_a_commit(harness: &dyn Harness) {
    let topic = topic(harness, "wait");
    let mut reader = reader(harness, &topic, StartAt::Oldest);
    poll_until(&mut *reader, |all| !all.is_empty());
    let mut writer = fenced_in(harness, &harness.unique("wait"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let (start, mut polled) = (Instant::now(), Vec::new());
            reader.poll(LONG, 1, &mut polled).unwrap();
            (start.elapsed(), polled)
        });
        write(&mut *writer, &[(&topic, "now")]);
        let (waited, polled) = waiting.join().expect("the reader's thread ends");
        assert_eq!(texts(&polled), ["now"]);
        assert!(waited < LONG / 2, "woken after {waited:?}");
    });
}
