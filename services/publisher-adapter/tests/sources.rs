//! Growing files and sockets.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::*;
use mesh_publisher_adapter::Publisher;

fn wait_for(bus: &mesh_bus::MemoryBus, events: usize) {
    let started = Instant::now();
    while published(bus).len() < events {
        assert!(started.elapsed() < Duration::from_secs(20), "only {} of {events} events", published(bus).len());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_growing_file_is_followed_and_resumed() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let path = source(dir.path(), "in.csv", 5);
    for end in [8, 11] {
        let stop = Arc::new(AtomicBool::new(false));
        let publisher =
            Publisher::new(options(&path, ",growinginputfile=true,blocksize=4"), Arc::new(bus.clone()), 0.0);
        let thread = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || publisher.run(&stop))
        };
        wait_for(&bus, end - 3);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        for i in end - 3..end {
            // a line that comes in two parts is one line
            let text = line(i);
            write!(file, "{}", &text[..5]).unwrap();
            std::thread::sleep(Duration::from_millis(30)); // long enough for the reader to see the half line
            writeln!(file, "{}", &text[5..]).unwrap();
        }
        wait_for(&bus, end);
        stop.store(true, Ordering::Relaxed);
        assert!(!thread.join().unwrap().unwrap().finished);
    }
    assert_eq!(published(&bus), (0..11).collect::<Vec<_>>());
}

#[test]
fn a_sender_is_connected_to_and_read_to_its_end() {
    let bus = mesh();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sender = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for i in 0..10 {
            writeln!(stream, "{}", line(i)).unwrap();
        }
    });
    let summary = run(&bus, Path::new(&address), ",blocksize=3").unwrap();
    sender.join().unwrap();
    assert_eq!((summary.events, summary.finished), (10, true));
    assert_eq!(published(&bus), (0..10).collect::<Vec<_>>());
}

#[test]
fn senders_are_waited_for_one_after_the_other() {
    let bus = mesh();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = Publisher::new(options(Path::new(&format!(":{port}")), ""), Arc::new(bus.clone()), 0.0);
    let thread = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || publisher.run(&stop))
    };
    for (first, last, end) in [(0, 3, ""), (3, 6, "\n")] {
        let started = Instant::now();
        let mut stream = loop {
            match std::net::TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        // the first sender goes without ending its last line
        let lines: Vec<String> = (first..last).map(line).collect();
        write!(stream, "{}{end}", lines.join("\n")).unwrap();
        drop(stream);
        wait_for(&bus, last);
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap().unwrap();
    assert_eq!(published(&bus), (0..6).collect::<Vec<_>>());
}
