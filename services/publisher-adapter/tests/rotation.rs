//! Several files, files that come, and files that are rotated: every line once and in order, whatever happens when.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::*;
use mesh_bus::{Bus, MemoryBus};
use mesh_event::decode_header;
use mesh_publisher_adapter::{PublishError, Publisher, Summary};

/// A publisher on a thread of its own.
struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Summary, PublishError>>,
}

impl Running {
    fn start(bus: &(impl Bus + Clone), path: &Path, more: &str) -> Running {
        let publisher = Publisher::new(options(path, more), Arc::new(bus.clone()), 0.0);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Running { stop, thread: std::thread::spawn(move || publisher.run(&told)) }
    }

    /// Waits for its end by itself.
    fn error(self) -> PublishError {
        let started = Instant::now();
        while !self.thread.is_finished() {
            assert!(started.elapsed() < Duration::from_secs(20), "it goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
        self.thread.join().unwrap().unwrap_err()
    }

    /// Stops it, unless it has been killed.
    fn stop(self) -> Option<Result<Summary, PublishError>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()
    }
}

fn wait_for(bus: &MemoryBus, events: usize) {
    let started = Instant::now();
    while published(bus).len() < events {
        assert!(started.elapsed() < Duration::from_secs(20), "only {} of {events} events", published(bus).len());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What writes a file and rotates it, numbering its lines.
struct Log {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Log {
    fn new(path: PathBuf) -> Log {
        Log { file: File::create(&path).unwrap(), path, lines: 0 }
    }

    fn write(&mut self, lines: usize) {
        let text: String = (self.lines..self.lines + lines).map(|i| line(i) + "\n").collect();
        self.file.write_all(text.as_bytes()).unwrap();
        self.lines += lines;
    }

    fn named(&self, suffix: impl std::fmt::Display) -> PathBuf {
        format!("{}{suffix}", self.path.display()).into()
    }

    /// As logrotate does: the older ones get the next number, the file becomes `.1`, a new one is made. `late` lines are
    /// written to the old one after that, as by a writer that has not been told yet.
    fn rotate(&mut self, late: usize) {
        for number in (1..20).rev() {
            for packed in ["", ".gz"] {
                let _ = fs::rename(
                    self.named(format_args!(".{number}{packed}")),
                    self.named(format_args!(".{}{packed}", number + 1)),
                );
            }
        }
        fs::rename(&self.path, self.named(".1")).unwrap();
        let new = File::create(&self.path).unwrap();
        self.write(late);
        self.file = new;
    }

    /// Packs the file of a number, as logrotate does with older ones.
    fn pack(&self, number: usize) {
        let (plain, packed) = (self.named(format_args!(".{number}")), self.named(format_args!(".{number}.gz")));
        if plain.exists() {
            let changed = fs::metadata(&plain).unwrap().modified().unwrap();
            let mut encoder =
                flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
            encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
            encoder.finish().unwrap().set_modified(changed).unwrap();
            fs::remove_file(plain).unwrap();
        }
    }
}

const GROWING: &str = ",growinginputfile=true,blocksize=3";

#[test]
fn a_file_that_is_rotated_at_any_time_is_published_once_and_in_order() {
    for seed in 0..12 {
        let (bus, dir, mut random) = (mesh(), tempfile::tempdir().unwrap(), Seeded(seed));
        let mut log = Log::new(dir.path().join("in.csv"));
        log.write(1);
        let mut running = Some(Running::start(&bus, &log.path, GROWING));
        wait_for(&bus, 1); // what was never published is not known by another name
        for _ in 0..25 {
            match random.below(9) {
                0..=2 => log.write(1 + random.below(8) as usize),
                3 => log.rotate(0),
                4 => {
                    log.rotate(2);
                    log.write(1);
                }
                5 => log.pack(2 + random.below(3) as usize),
                6 => {
                    if let Some(Err(error)) = running.take().and_then(Running::stop) {
                        panic!("seed {seed}: {error}");
                    }
                }
                7 if running.is_none() => running = Some(Running::start(&bus, &log.path, GROWING)),
                7 => {
                    // one that dies in the middle of its work
                    running.take().and_then(Running::stop);
                    let dying = FaultyBus::on(&bus, Fault::Kill, 1 + random.below(6) as i64);
                    running = Some(Running::start(&dying, &log.path, GROWING));
                }
                _ => std::thread::sleep(Duration::from_millis(random.below(60))),
            }
        }
        running.take().and_then(Running::stop);
        log.rotate(1); // also the last lines, and while nobody looks
        log.write(2);
        running = Some(Running::start(&bus, &log.path, GROWING));
        wait_for(&bus, log.lines);
        running.and_then(Running::stop).unwrap().unwrap();
        assert_eq!(published(&bus), (0..log.lines as i64).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_publisher_that_begins_while_files_are_renamed_finds_its_own() {
    for round in 0..4 {
        let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
        let mut log = Log::new(dir.path().join("in.csv"));
        let path = log.path.clone();
        log.write(1);
        let running = Running::start(&bus, &path, GROWING);
        wait_for(&bus, 1);
        running.stop().unwrap().unwrap();
        let writer = std::thread::spawn(move || {
            // each moves up to 19 files, so that some folder is always read in the middle of it
            for _ in 0..18 {
                log.write(3);
                log.rotate(1);
                std::thread::sleep(Duration::from_millis(3));
            }
            log.write(1);
            log
        });
        while !writer.is_finished() {
            let running = Running::start(&bus, &path, GROWING);
            std::thread::sleep(Duration::from_millis(2)); // so short that it begins as often as it can
            running.stop().unwrap().unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        let log = writer.join().unwrap();
        let running = Running::start(&bus, &path, GROWING);
        wait_for(&bus, log.lines);
        running.stop().unwrap().unwrap();
        assert_eq!(published(&bus), (0..log.lines as i64).collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn a_file_that_is_copied_and_cut_is_followed_in_its_copy() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let mut log = Log::new(dir.path().join("in.csv"));
    log.file = OpenOptions::new().append(true).open(&log.path).unwrap();
    log.write(40);
    let running = Running::start(&bus, &log.path, GROWING);
    wait_for(&bus, 40);
    log.write(5);
    fs::copy(&log.path, log.named(".1")).unwrap();
    OpenOptions::new().write(true).open(&log.path).unwrap().set_len(0).unwrap();
    wait_for(&bus, 45);
    log.write(3);
    wait_for(&bus, 48);
    running.stop().unwrap().unwrap();
    assert_eq!(published(&bus), (0..48).collect::<Vec<_>>());
}

/// Files `name` with lines from..to behind a header line.
fn with_header(dir: &Path, name: &str, lines: std::ops::Range<usize>) {
    let text: String = lines.map(|i| line(i) + "\n").collect();
    fs::write(dir.join(name), format!("opcode,flags,id,place,temp\n{text}")).unwrap();
}

#[test]
fn files_of_a_pattern_come_by_name_and_files_of_a_list_as_listed() {
    for (fsname, names) in [("*.csv", ["1.csv", "2.csv", "3.csv"]), ("b.csv|c.csv|a.csv", ["b.csv", "c.csv", "a.csv"])]
    {
        let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
        for (name, lines) in names.into_iter().zip([0..7, 7..8, 8..20]) {
            with_header(dir.path(), name, lines);
        }
        fs::write(dir.path().join("other.txt"), "not read").unwrap();
        let paths: Vec<String> = fsname.split('|').map(|name| dir.path().join(name).display().to_string()).collect();
        let path = PathBuf::from(paths.join("|"));
        // each run goes a little further, as after a stop at any line
        for upto in 1..=20 {
            let summary = run(&bus, &path, &format!(",header=1,blocksize=4,maxevents={upto}")).unwrap();
            assert_eq!(summary.events, 1, "{fsname} {upto}");
        }
        assert_eq!(run(&bus, &path, ",header=1").unwrap().events, 0);
        assert_eq!(published(&bus), (0..20).collect::<Vec<_>>());
        let last = records(&bus, INPUT).pop().unwrap();
        let position = decode_header(&last.payload).unwrap().source.unwrap();
        assert_eq!(position.source, path.display().to_string());
        assert_eq!(position.file.unwrap().path, dir.path().join(names[2]).display().to_string());
        assert_eq!((position.lines, position.events), (13, 20));
    }
}

#[test]
fn a_pattern_that_grows_waits_for_the_next_name() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    with_header(dir.path(), "in-01.csv", 0..5);
    let running = Running::start(&bus, &dir.path().join("in-*.csv"), ",header=1,growinginputfile=true");
    wait_for(&bus, 5);
    let mut first = OpenOptions::new().append(true).open(dir.path().join("in-01.csv")).unwrap();
    File::create(dir.path().join("in-02.csv")).unwrap(); // it is there, but has no data: the first may go on
    std::thread::sleep(Duration::from_millis(150)); // longer than it takes to be seen
    writeln!(first, "{}", line(5)).unwrap();
    wait_for(&bus, 6);
    with_header(dir.path(), "in-03.csv", 6..9);
    wait_for(&bus, 9);
    running.stop().unwrap().unwrap();
    assert_eq!(published(&bus), (0..9).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_gone_is_asked_for_and_two_that_are_alike_are_not_guessed_between() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let mut log = Log::new(dir.path().join("in.csv"));
    log.write(9);
    let running = Running::start(&bus, &log.path, GROWING);
    wait_for(&bus, 9);
    running.stop().unwrap().unwrap();
    log.rotate(0);
    log.write(2);
    fs::rename(log.named(".1"), dir.path().join("away")).unwrap();
    let kept = fs::read(dir.path().join("away")).unwrap();
    let lost = Running::start(&bus, &log.path, GROWING).error();
    assert!(matches!(&lost, PublishError::FileLost { bytes, .. } if *bytes == kept.len() as u64), "{lost}");
    assert!(lost.to_string().contains("bring it back"), "{lost}");
    for number in [1, 2] {
        fs::write(log.named(format_args!(".{number}")), &kept).unwrap();
    }
    let twice = Running::start(&bus, &log.path, GROWING).error();
    assert!(twice.to_string().contains("in.csv.1") && twice.to_string().contains("move the copies away"), "{twice}");
    fs::remove_file(log.named(".2")).unwrap();
    let running = Running::start(&bus, &log.path, GROWING);
    wait_for(&bus, 11);
    running.stop().unwrap().unwrap();
    assert_eq!(published(&bus), (0..11).collect::<Vec<_>>());
}
