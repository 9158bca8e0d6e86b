//! One file after the other, by size and by time: together they hold each block once and in order, whatever happens.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use mesh_bus::MemoryBus;
use mesh_subscriber_adapter::SubscribeError;

/// The files that were made of `out.csv`, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|item| item.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("out-"));
    found.sort();
    found
}

/// What is in all of them, one behind the other.
fn read_all(dir: &Path) -> String {
    files(dir).iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    files(dir).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn files_are_as_large_as_they_may_be_and_begin_with_a_header() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    fill(&bus, 1..=60);
    // restarts, and other sizes of writes, make no other files
    for upto in [1, 17, 18, 60] {
        let more = format!(",header=true,maxfilesize=200,fsync=false,flushbytes={}", 1 + upto * 7);
        run_to(&bus, &path, &more, upto).unwrap();
    }
    let texts: Vec<String> = files(dir.path()).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut next = 1;
    for (name, text) in names(dir.path()).iter().zip(&texts) {
        let rows = text.strip_prefix("id,place\n").unwrap();
        let mut held = 0;
        while lines(next..next + held).len() < rows.len() {
            held += 1;
        }
        assert_eq!(rows, lines(next..next + held), "whole blocks");
        assert!(name.starts_with(&format!("out-{next:012}-")), "{name} begins with block {next}");
        let full = next + held > 60 || text.len() + lines(next + held..=next + held).len() > 200;
        assert!(text.len() <= 200 && full, "{name} has {} bytes", text.len());
        next += held;
    }
    assert_eq!(next, 61);
    assert!(!path.exists());
}

#[test]
fn a_file_is_of_one_period_by_the_time_of_the_blocks() {
    let now = Arc::new(AtomicU64::new(1_706_696_640_000)); // 2024-01-31T10:24:00Z
    let bus = {
        let now = Arc::clone(&now);
        MemoryBus::with_clock(Arc::new(move || Duration::from_millis(now.load(Ordering::Relaxed))))
    };
    make(&bus);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    // a minute each; then a clock that goes back, and one that skips minutes
    for (sequence, seconds) in [(1, 10), (2, 50), (3, 20), (4, -60_i64), (5, 30), (6, 200)] {
        now.fetch_add((seconds * 1000) as u64, Ordering::Relaxed); // wraps: back for a negative one
        fill(&bus, [sequence]);
        run_to(&bus, &path, ",periodicity=60", sequence).unwrap();
    }
    assert_eq!(
        names(dir.path()),
        [
            "out-000000000001-20240131T102410Z.csv",
            "out-000000000002-20240131T102500Z.csv",
            "out-000000000006-20240131T102810Z.csv"
        ]
    );
    let texts: Vec<String> = files(dir.path()).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(texts, [lines(1..=1), lines(2..=5), lines(6..=6)]);
}

#[test]
fn a_crash_at_any_byte_of_either_file_is_repaired() {
    for seed in 0..12 {
        let (bus, dir, mut random) = (mesh(), tempfile::tempdir().unwrap(), Seeded(seed));
        let path = dir.path().join("out.csv");
        let position = dir.path().join("out.csv.position");
        fill(&bus, 1..=60);
        let mut at = 0;
        while at < 60 {
            at = (at + 1 + random.below(9)).min(60);
            let size = 60 + random.below(200); // also with other options than before
            let before = fs::read_to_string(&position).ok().zip(files(dir.path()).pop());
            let flush = 1 + random.below(200);
            run_to(&bus, &path, &format!(",fsync=false,maxfilesize={size},flushbytes={flush}"), at).unwrap();
            let last = files(dir.path()).pop().unwrap();
            match (random.below(3), before) {
                // as if it had died with the data of several writes, in several files, and the position before them
                (0, Some((text, _))) => fs::write(&position, text).unwrap(),
                // or in the middle of a write, the position not yet renamed
                _ => {
                    let mut bytes = fs::read(&last).unwrap();
                    bytes.extend_from_slice(&b"I,N, 999,garb"[..random.below(13) as usize]);
                    fs::write(&last, bytes).unwrap();
                    fs::write(dir.path().join("out.csv.position.new"), "half a posit").unwrap();
                }
            }
        }
        run_to(&bus, &path, ",maxfilesize=100", 60).unwrap();
        assert_eq!(read_all(dir.path()), lines(1..=60), "seed {seed}");
    }
}

#[test]
fn complete_files_may_be_taken_away_and_what_does_not_belong_together_is_refused() {
    let (bus, dir, away) = (mesh(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("out.csv");
    fill(&bus, 1..=20);
    run_to(&bus, &path, ",maxfilesize=100", 20).unwrap();
    for file in files(dir.path()) {
        fs::rename(&file, away.path().join(file.file_name().unwrap())).unwrap();
    }
    fill(&bus, 21..=40);
    run_to(&bus, &path, ",maxfilesize=100", 40).unwrap();
    assert_eq!(read_all(away.path()) + &read_all(dir.path()), lines(1..=40));

    let refused = run_to_error(&bus, &path, "").to_string();
    assert!(refused.contains("`maxfilesize`") && refused.contains("one file after the other"), "{refused}");
    let position = dir.path().join("out.csv.position");
    let kept = fs::read(&position).unwrap();
    fs::remove_file(&position).unwrap();
    let refused = run_to_error(&bus, &path, ",maxfilesize=100");
    assert!(matches!(&refused, SubscribeError::Conflict { name, .. } if name.contains("out-0000")), "{refused}");
    fs::write(&position, kept).unwrap();
    // a new start with an empty folder
    run_to(&bus, &path, ",maxfilesize=100,fresh=true", 40).unwrap();
    assert_eq!(read_all(dir.path()), lines(1..=40));
}
