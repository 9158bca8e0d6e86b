//! Whatever happens to the subscriber, the file holds each block once and in order.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::*;
use mesh_bus::{Bus, OutRecord, WriterOptions};
use mesh_subscriber_adapter::{Seen, Subscriber};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn restarts_add_what_is_missing_and_nothing_twice() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    let mut written = 0;
    for upto in [7, 8, 30] {
        fill(&bus, written + 1..=upto);
        written = upto;
        let summary = run_to(&bus, &path, "", upto).unwrap();
        assert_eq!(summary.sequence, upto);
        assert_eq!(read(&path), lines(1..=upto));
    }
    // nothing new, nothing changes
    assert_eq!(run_to(&bus, &path, "", 30).unwrap().events, 0);
    assert_eq!(read(&path), lines(1..=30));
}

#[test]
fn a_crash_between_data_and_position_at_any_byte_is_repaired() {
    for seed in 0..30 {
        let (bus, dir, mut random) = (mesh(), tempfile::tempdir().unwrap(), Seeded(seed));
        let path = dir.path().join("out.csv");
        let position = dir.path().join("out.csv.position");
        fill(&bus, 1..=60);
        let mut at = 0;
        let mut old = None;
        while at < 60 {
            at = (at + 1 + random.below(20)).min(60);
            run_to(&bus, &path, &format!(",fsync=false,flushbytes={},maxevents={at}", 1 + random.below(200)), at)
                .unwrap();
            // as if it had died after writing a part of the next data, its position not yet renamed ...
            let mut bytes = std::fs::read(&path).unwrap();
            if let Some((length, text)) = old.replace((bytes.len(), read(&position)))
                && random.below(2) == 0
            {
                // ... or with the data of a whole flush and the position before it
                std::fs::write(&position, text).unwrap();
                bytes.truncate(length + random.below((bytes.len() - length + 1) as u64) as usize);
            } else {
                bytes.extend_from_slice(&b"I,N, 999,garb"[..random.below(13) as usize]);
            }
            std::fs::write(&path, bytes).unwrap();
            std::fs::write(dir.path().join("out.csv.position.new"), "half a posit").unwrap();
        }
        run_to(&bus, &path, "", 60).unwrap();
        assert_eq!(read(&path), lines(1..=60), "seed {seed}");
    }
}

#[test]
fn aborted_records_are_not_seen() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    fill(&bus, 1..=3);
    let options = WriterOptions {
        client: "x".into(),
        transactional_id: "x".into(),
        two_lanes: false,
        transaction_timeout: WAIT,
        buffer_bytes_max: 1 << 20,
    };
    let mut writer = bus.writer(options, WAIT).unwrap();
    writer.fence(WAIT).unwrap();
    writer.begin(WAIT).unwrap();
    let record = OutRecord { topic: OUTPUT.into(), key: None, headers: vec![], payload: payload(&block(4), 4).into() };
    writer.send(record, WAIT).unwrap();
    writer.abort(WAIT).unwrap();
    fill(&bus, 4..=6);
    let path = dir.path().join("out.csv");
    run_to(&bus, &path, "", 6).unwrap();
    assert_eq!(read(&path), lines(1..=6));
}

#[test]
fn headers_are_written_once() {
    for (header, expected) in [("true", "id,place\n"), ("full", "opcode,flags,id,place\n\n")] {
        let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
        let path = dir.path().join("out.csv");
        fill(&bus, 1..=2);
        run_to(&bus, &path, &format!(",header={header}"), 2).unwrap();
        fill(&bus, 3..=4);
        run_to(&bus, &path, &format!(",header={header}"), 4).unwrap();
        assert_eq!(read(&path), format!("{expected}{}", lines(1..=4)));
    }
}

#[test]
fn an_outage_of_the_bus_costs_nothing_but_time() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    fill(&bus, 1..=10);
    let outage = {
        let bus = bus.clone();
        std::thread::spawn(move || {
            for _ in 0..5 {
                bus.set_unavailable(true);
                std::thread::sleep(Duration::from_millis(40)); // the length of the outage is the point here
                bus.set_unavailable(false);
                std::thread::sleep(Duration::from_millis(20));
            }
            fill(&bus, 11..=20);
        })
    };
    run_to(&bus, &path, "", 20).unwrap();
    outage.join().unwrap();
    assert_eq!(read(&path), lines(1..=20));
}

#[test]
fn who_watches_sees_every_block() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    fill(&bus, 1..=9);
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let told = Arc::clone(&seen);
    let events: u64 = (1..=9).map(|sequence| block(sequence).len() as u64).sum();
    let path = dir.path().join("out.csv");
    let subscriber = Subscriber::new(options(&path, &format!(",maxevents={events}")), Arc::new(bus.clone()))
        .observed(Box::new(move |seen| told.lock().unwrap().push(seen.clone())));
    let summary = subscriber.run(&AtomicBool::new(false)).unwrap();
    assert_eq!((summary.events, summary.blocks, summary.sequence), (events, 9, 9));
    let sequences: Vec<u64> = seen.lock().unwrap().iter().map(|seen| seen.sequence).collect();
    assert_eq!(sequences, (1..=9).collect::<Vec<_>>());
}

#[test]
fn the_newest_end_is_a_start_if_asked_for() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    fill(&bus, 1..=5);
    let cfg = dir.path().join("kafka.cfg");
    std::fs::write(&cfg, "kafka {\n initialoffset=\"largest\"\n}\nsas { }\n").unwrap();
    let path = dir.path().join("out.csv");
    let subscriber = Subscriber::new(
        options(&path, &format!(",transportconfigfile={},maxevents=1", cfg.display())),
        Arc::new(bus.clone()),
    );
    let progress = subscriber.progress();
    let thread = std::thread::spawn(move || subscriber.run(&AtomicBool::new(false)));
    // blocks before its start must not come; which one it starts with depends on when it is there
    let mut next = 6;
    while !thread.is_finished() {
        fill(&bus, [next]);
        next += 1;
        std::thread::sleep(Duration::from_millis(5));
        assert!(next < 4000, "{:?}", progress.snapshot());
    }
    thread.join().unwrap().unwrap();
    let first = progress.snapshot().sequence;
    assert!(first > 5);
    assert_eq!(read(&path), lines([first]));
    // from then on it knows where it is
    run_to(&bus, &path, &format!(",transportconfigfile={}", cfg.display()), next - 1).unwrap();
    assert_eq!(read(&path), lines(first..next));
}
