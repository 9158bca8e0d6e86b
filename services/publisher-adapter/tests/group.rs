//! A failover group: publishers that lose their process or are asked to hand over, of one file and of one that is rotated.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;
#[path = "common/group.rs"]
mod group;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use group::{Group, Member, wait_until};
use mesh_bus::MemoryBus;
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_publisher_adapter::service::run;

const LINES: usize = 3000;

fn member(group: &Group, name: &str, bus: &MemoryBus, path: &Path, more: &str) -> Member {
    let line = format!(
        "type=pub,url=dfESP://h:1/p/q/w,fsname={},blocksize=5,transportconfigfile={}{more}",
        path.display(),
        group.cfg.display()
    );
    let config = PublisherConfig { line, elections: vec![group.election.clone()], ..PublisherConfig::default() };
    Member::start(name, |place, scope| run(config, Arc::new(bus.clone()), place, scope))
}

/// `a`, which publishes, and `b`, which stands by.
fn two(member: impl Fn(&str) -> Member, bus: &MemoryBus) -> (Member, Member) {
    let first = member("a");
    wait_until("a publishes", || first.is("running") && published(bus).len() > 100);
    let second = member("b");
    wait_until("b stands by", || second.is("standby"));
    (first, second)
}

#[test]
fn a_group_survives_the_loss_of_its_writer_and_hands_over_when_asked() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let (group, path) = (Group::start(dir.path()), source(dir.path(), "in.csv", LINES));
    let member = |name: &str| member(&group, name, &bus, &path, ",rate=1500");
    let (first, second) = two(member, &bus);

    first.kill();
    wait_until("b takes over", || second.is("running"));
    let before = published(&bus).len();
    wait_until("b publishes", || published(&bus).len() > before + 100);

    let third = member("c");
    wait_until("c stands by", || third.is("standby"));
    group.promote("adapters", "c");
    wait_until("c publishes", || third.is("running"));
    wait_until("b stands by", || second.is("standby"));

    // a member that is stopped while it stands by ends well
    second.stop();
    third.finish().unwrap();
    assert_eq!(published(&bus), (0..LINES as i64).collect::<Vec<_>>());
}

#[test]
fn a_member_that_loses_its_turn_while_the_bus_is_away_stands_by() {
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let (group, path) = (Group::start(dir.path()), source(dir.path(), "in.csv", LINES));
    let member = |name: &str| member(&group, name, &bus, &path, ",rate=1500");
    let (first, second) = two(member, &bus);
    bus.set_unavailable(true);
    group.promote("adapters", "b");
    wait_until("b takes over", || second.is("starting"));
    wait_until("a stands by again", || first.is("standby"));
    bus.set_unavailable(false);
    second.finish().unwrap();
    first.stop();
    assert_eq!(published(&bus), (0..LINES as i64).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_rotated_between_and_during_turns_is_published_once() {
    const MORE: usize = 2000;
    let (bus, dir) = (mesh(), tempfile::tempdir().unwrap());
    let (group, path) = (Group::start(dir.path()), source(dir.path(), "in.csv", 10));
    let member = |name: &str| member(&group, name, &bus, &path, ",growinginputfile=true");
    let first = member("a");
    wait_until("a publishes", || published(&bus).len() == 10);
    let second = member("b");
    wait_until("b stands by", || second.is("standby"));
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            for i in 10..10 + MORE {
                writeln!(file, "{}", line(i)).unwrap();
                if i % 100 == 0 {
                    std::fs::rename(&path, format!("{}-{i:06}", path.display())).unwrap();
                    file = std::fs::File::create(&path).unwrap();
                    std::thread::sleep(Duration::from_millis(60)); // a rotation each minute, so to say
                }
            }
        })
    };
    wait_until("some is published", || published(&bus).len() > 300);
    first.kill();
    wait_until("b takes over", || second.is("running"));
    let third = member("c");
    wait_until("c stands by", || third.is("standby"));
    group.promote("adapters", "c");
    writer.join().unwrap();
    wait_until("all is published", || published(&bus).len() >= 10 + MORE);
    second.stop();
    third.stop();
    assert_eq!(published(&bus), (0..(10 + MORE) as i64).collect::<Vec<_>>());
}
