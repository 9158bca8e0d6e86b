//! A failover group: subscribers that lose their process or are asked to hand over, of one file and of one after the other.
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;
#[path = "../../publisher-adapter/tests/common/group.rs"]
mod group;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use group::{Group, Member, wait_until};
use mesh_bus::MemoryBus;
use mesh_subscriber_adapter::config::SubscriberConfig;
use mesh_subscriber_adapter::service::run;

const BLOCKS: u64 = 2400;

fn member(group: &Group, name: &str, bus: &MemoryBus, path: &Path, more: &str) -> Member {
    let line = format!(
        "type=sub,url=dfESP://h:1/p/q/w?snapshot=false,fsname={},flushms=1,fsync=false,transportconfigfile={}{more}",
        path.display(),
        group.cfg.display()
    );
    let config = SubscriberConfig { line, elections: vec![group.election.clone()], ..SubscriberConfig::default() };
    Member::start(name, |place, scope| run(config, Arc::new(bus.clone()), place, scope))
}

/// Writes while members come and go: one dies and goes on as a zombie, one hands over.
fn survives(path: &Path, more: &str) {
    let (bus, dir) = (mesh(), path.parent().unwrap());
    let group = Group::start(dir);
    let member = |name: &str| member(&group, name, &bus, path, more);
    let first = member("a");
    wait_until("a writes", || first.is("running"));
    let second = member("b");
    wait_until("b stands by", || second.is("standby"));

    let feed = {
        let bus = bus.clone();
        std::thread::spawn(move || {
            for from in (1..=BLOCKS).step_by(8) {
                fill(&bus, from..from + 8);
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    };
    wait_until("a has written some", || first.status().sequence > 100);
    first.kill(); // its thread goes on writing beside the next one, to the end of the test
    wait_until("b takes over", || second.is("running"));
    let before = second.status().sequence;
    wait_until("b has written some", || second.status().sequence > before + 100);

    let third = member("c");
    wait_until("c stands by", || third.is("standby"));
    group.promote("subscribers", "c");
    wait_until("c writes", || third.is("running"));
    wait_until("b stands by", || second.is("standby"));
    feed.join().unwrap();
    wait_until("c has written all", || third.status().sequence == BLOCKS);
    second.stop();
    third.stop();
}

#[test]
fn a_group_survives_the_loss_of_its_writer_beside_its_zombie_and_hands_over_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    survives(&path, "");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(1..=BLOCKS));
}

#[test]
fn a_group_that_writes_one_file_after_the_other_makes_the_files_of_one_that_never_failed() {
    let dir = tempfile::tempdir().unwrap();
    survives(&dir.path().join("out.csv"), ",maxfilesize=3000,periodicity=5");
    let mut files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|item| item.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("out-"));
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    let mut all = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.len() <= 3000, "{} has {} bytes", file.display(), text.len());
        all += &text;
    }
    assert_eq!(all, lines(1..=BLOCKS));
}
