//! Cases of topics: created, listed, deleted, trimmed, missing, of the wrong shape.

use std::collections::BTreeMap;

use super::*;
use crate::{AdminError, ReadError};

/// Topics are created once, listed with their settings, deleted once.
pub fn topics_come_and_go(harness: &dyn Harness) {
    let (bus, prefix) = (harness.bus(), harness.unique("listed"));
    let spec = |n: u32| TopicSpec {
        name: format!("{prefix}.{n}"),
        replication_factor: harness.replication_factor(),
        settings: BTreeMap::from([("retention.ms".to_owned(), format!("{}", 3_600_000 + n))]),
    };
    assert_eq!(bus.topics(&prefix, LONG), Ok(Vec::new()));
    for n in [2, 1] {
        assert_eq!(bus.create_topic(&spec(n), LONG), Ok(true));
        assert_eq!(bus.create_topic(&spec(n), LONG), Ok(false));
    }
    let listed = bus.topics(&prefix, LONG).expect("topics are listed");
    assert_eq!(listed.iter().map(|t| &t.name).collect::<Vec<_>>(), [&spec(1).name, &spec(2).name]);
    for (info, n) in listed.iter().zip([1, 2]) {
        let copies = harness.replication_factor();
        assert_eq!((info.partitions, info.replication_factor, info.in_sync), (1, copies, copies));
        assert_eq!(info.settings, spec(n).settings);
    }
    for n in [1, 2] {
        assert_eq!(bus.delete_topic(&spec(n).name, LONG), Ok(true));
        assert_eq!(bus.delete_topic(&spec(n).name, LONG), Ok(false));
    }
    assert_eq!(bus.topics(&prefix, LONG), Ok(Vec::new()));
}

/// A topic with two partitions is refused, with its name and their number.
pub fn two_partitions_are_refused(harness: &dyn Harness) {
    let name = harness.unique("two");
    harness.create_with_partitions(&name, 2);
    let spec =
        TopicSpec { name: name.clone(), replication_factor: harness.replication_factor(), settings: BTreeMap::new() };
    assert_eq!(harness.bus().create_topic(&spec, LONG), Err(AdminError::Partitions { topic: name.clone(), found: 2 }));
    let listed = harness.bus().topics(&name, LONG).expect("topics are listed");
    assert_eq!(listed.iter().map(|t| t.partitions).collect::<Vec<_>>(), [2]);
}

/// A topic that is not there is an error that names it.
pub fn deleted_or_missing_topics_are_named(harness: &dyn Harness) {
    let missing: Arc<str> = Arc::from(harness.unique("nowhere"));
    let expected = ReadError::NoTopic { topic: missing.to_string() };
    assert_eq!(harness.bus().end(&missing, EndOf::Newest, LONG), Err(expected.clone()));
    let options = ReaderOptions {
        client: "contract".to_owned(),
        buffer_bytes_max: 1024 * 1024,
        committed_only: true,
        end_within: ReaderOptions::SOON,
    };
    let opened = harness.bus().reader(options, &[(Arc::clone(&missing), StartAt::Oldest)]);
    assert_eq!(opened.map(drop), Err(expected));
}

/// Records below an offset are deleted, those from it on stay; again, or below what is gone, changes nothing.
pub fn records_are_deleted_below_an_offset(harness: &dyn Harness) {
    let (bus, topic) = (harness.bus(), topic(harness, "trimmed"));
    let mut writer = fenced_in(harness, &harness.unique("trimmed"));
    for n in 0..4 {
        write(&mut *writer, &[(&topic, &n.to_string())]); // a record and its end take two offsets
    }
    assert_eq!(bus.delete_records(&topic, 4, LONG), Ok(4));
    assert_eq!(bus.end(&topic, EndOf::Oldest, LONG), Ok(4));
    assert_eq!(all_of(harness, &topic), ["2", "3"]);
    for before in [4, 1] {
        assert_eq!(bus.delete_records(&topic, before, LONG), Ok(4));
    }
    let beyond = bus.delete_records(&topic, 100, LONG);
    assert!(matches!(beyond, Err(AdminError::Refused { .. })), "{beyond:?}");
    assert_eq!(all_of(harness, &topic), ["2", "3"]);
    let missing = bus.delete_records(&harness.unique("nowhere"), 0, LONG);
    assert!(matches!(missing, Err(AdminError::Refused { .. } | AdminError::Unavailable { .. })), "{missing:?}");
}
