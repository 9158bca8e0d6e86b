//! Snapshots through stores that tear, lose and damage what is written.

#![allow(clippy::unwrap_used, reason = "tests; clippy knows it only inside of #[test]")]

use std::io::{Read, Write};
use std::sync::Arc;

use mesh_replication::engine::MachineState;
use mesh_replication::{CommitNumber, Poison, SnapshotPoint, Term};
use mesh_snapshot::{Location, Manifest, SnapshotError, Snapshots};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio_stream::StreamExt;

const MODEL: u64 = 0xabc;

fn point(number: u64) -> SnapshotPoint {
    SnapshotPoint {
        number: CommitNumber(number),
        term: Term(3),
        log_offset: number * 2,
        model_fingerprint: MODEL,
        state: MachineState {
            positions: vec![number * 10],
            clock_us: -5,
            digests: vec![u64::MAX, 1],
            sequences: vec![number],
            next_deadline_us: None,
        },
        poison: Some(Poison { input: Some(0), from: 4, end: 5, blocks: 1, reason: "a \"quoted\" reason".into() }),
    }
}

/// Bytes that compress badly, so that a state has several parts.
fn state(bytes: usize, mut seed: u64) -> Vec<u8> {
    let mut state = Vec::with_capacity(bytes + 8);
    while state.len() < bytes {
        seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23) ^ 0x55;
        state.extend_from_slice(&seed.to_le_bytes());
    }
    state
}

fn open(location: &Location) -> Snapshots {
    Snapshots::open(location, "host_1.sums", MODEL).unwrap()
}

fn publish(snapshots: &Snapshots, number: u64, state: &[u8]) -> (String, Manifest) {
    let mut writer = snapshots.write("a", number, point(number)).unwrap();
    state.chunks(100_000).for_each(|chunk| writer.write_all(chunk).unwrap());
    writer.publish().unwrap()
}

fn load(snapshots: &Snapshots, stem: &str) -> Result<Vec<u8>, SnapshotError> {
    let manifest = snapshots.manifest(stem)?;
    let mut reader = snapshots.read(stem, &manifest)?;
    let mut state = Vec::new();
    let read = reader.read_to_end(&mut state);
    reader.finish()?;
    read.expect("an undamaged state is read whole");
    assert_eq!(state.len() as u64, manifest.state_bytes);
    Ok(state)
}

fn both(check: impl Fn(&Location)) {
    let folder = tempfile::tempdir().unwrap();
    check(&Location::of(Arc::new(InMemory::new()), "memory"));
    check(&Location::parse(&format!("file://{}", folder.path().display())).unwrap());
}

/// Found end to end: a project whose rows leave by the clock always waits for a time, and got no snapshot at all, because
/// the manifest does not say which.
#[test]
fn a_state_that_waits_for_a_time_is_published() {
    both(|location| {
        let snapshots = open(location);
        let mut waiting = point(7);
        waiting.state.next_deadline_us = Some(42);
        let mut writer = snapshots.write("a", 7, waiting).unwrap();
        writer.write_all(b"rows").unwrap();
        let (stem, manifest) = writer.publish().unwrap();
        assert_eq!(manifest.point, point(7), "the time follows from the state");
        assert_eq!(load(&snapshots, &stem).unwrap(), b"rows");
    });
}

#[test]
fn a_state_comes_back_byte_for_byte_with_its_point() {
    both(|location| {
        let snapshots = open(location);
        for (number, bytes) in [(1, 0), (2, 1), (3, 9 << 20)] {
            let state = state(bytes, number);
            let (stem, manifest) = publish(&snapshots, number, &state);
            assert_eq!(manifest.point, point(number));
            assert_eq!(load(&snapshots, &stem).unwrap(), state);
        }
        let listed: Vec<u64> =
            snapshots.list().unwrap().iter().map(|listed| listed.manifest.as_ref().unwrap().point.number.0).collect();
        assert_eq!(listed, [3, 2, 1], "newest first");
        let other = Snapshots::open(location, "host_1.sums", MODEL + 1).unwrap();
        assert!(other.stems().unwrap().is_empty(), "another model has its own");
    });
}

#[test]
fn one_that_is_dropped_or_torn_in_writing_is_never_listed() {
    both(|location| {
        let snapshots = open(location);
        publish(&snapshots, 1, b"whole");
        let mut writer = snapshots.write("a", 2, point(2)).unwrap();
        writer.write_all(&state(9 << 20, 7)).unwrap();
        drop(writer);
        assert_eq!(snapshots.stems().unwrap().len(), 1);
    });
}

/// Names of all objects of the store.
fn objects(store: &dyn ObjectStore) -> Vec<Path> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut names: Vec<Path> = runtime.block_on(async {
        let mut listing = store.list(None);
        let mut names = Vec::new();
        while let Some(object) = listing.next().await {
            names.push(object.unwrap().location);
        }
        names
    });
    names.sort();
    names
}

#[test]
fn every_damage_is_found() {
    let store = Arc::new(InMemory::new());
    let snapshots = open(&Location::of(store.clone(), "memory"));
    let (stem, _) = publish(&snapshots, 1, &state(5000, 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for object in objects(store.as_ref()) {
        let whole = runtime.block_on(async { store.get(&object).await.unwrap().bytes().await.unwrap() });
        let damages = (0..whole.len()).step_by(7).flat_map(|at| {
            let mut flipped = whole.to_vec();
            flipped[at] ^= 0x10;
            [whole[..at].to_vec(), flipped]
        });
        let longer = [whole.to_vec(), vec![0]].concat();
        for damage in damages.chain([longer]) {
            runtime.block_on(store.put(&object, damage.into())).unwrap();
            let error = load(&snapshots, &stem).expect_err("a damaged object is not taken");
            assert!(matches!(error, SnapshotError::Damaged { .. } | SnapshotError::Format { .. }), "{error}");
        }
        runtime.block_on(store.put(&object, whole.into())).unwrap();
        assert_eq!(load(&snapshots, &stem).unwrap(), state(5000, 1));
    }
    let lost = objects(store.as_ref()).into_iter().find(|object| object.as_ref().ends_with(".state")).unwrap();
    runtime.block_on(store.delete(&lost)).unwrap();
    let error = load(&snapshots, &stem).expect_err("a lost state is not taken");
    assert!(error.to_string().contains("its state is not there"), "{error}");
}

#[test]
fn old_ones_are_pruned_and_damaged_ones_do_not_count_as_kept() {
    let store = Arc::new(InMemory::new());
    let snapshots = open(&Location::of(store.clone(), "memory"));
    for number in 1..=5 {
        publish(&snapshots, number, b"state");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let torn = objects(store.as_ref()).into_iter().rfind(|object| object.as_ref().ends_with(".json")).unwrap();
    runtime.block_on(store.put(&torn, "{".into())).unwrap();
    // What an engine that crashed while it wrote leaves: old ones go, one that may be under way stays.
    for (number, name) in [(2, "00000000000000000002-b-9.state"), (9, "00000000000000000009-b-9.state")] {
        let mut parts: Vec<_> = torn.parts().collect();
        parts.pop();
        let object = Path::from_iter(parts).join(name);
        runtime.block_on(store.put(&object, format!("torn {number}").into())).unwrap();
    }
    let kept: Vec<u64> = snapshots.prune(2).unwrap().iter().map(|point| point.number.0).collect();
    assert_eq!(kept, [4, 3]);
    let names: Vec<String> =
        objects(store.as_ref()).iter().filter_map(|object| object.filename().map(str::to_owned)).collect();
    let expected = [
        "00000000000000000003-a-3.json",
        "00000000000000000003-a-3.state",
        "00000000000000000004-a-4.json",
        "00000000000000000004-a-4.state",
        "00000000000000000005-a-5.json",
        "00000000000000000005-a-5.state",
        "00000000000000000009-b-9.state",
    ];
    assert_eq!(names, expected);
    assert_eq!(mesh_replication::snapshot::log_needed_from(&snapshots.prune(2).unwrap()), Some(6));
}

#[test]
fn a_store_that_loses_what_it_confirmed_gets_no_manifest() {
    #[derive(Debug)]
    struct Losing(InMemory);
    impl std::fmt::Display for Losing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("losing")
        }
    }
    #[async_trait::async_trait]
    impl ObjectStore for Losing {
        async fn put_opts(
            &self,
            location: &Path,
            payload: object_store::PutPayload,
            options: object_store::PutOptions,
        ) -> object_store::Result<object_store::PutResult> {
            self.0.put_opts(location, payload, options).await
        }
        async fn put_multipart_opts(
            &self,
            _location: &Path,
            options: object_store::PutMultipartOptions,
        ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
            InMemory::new().put_multipart_opts(&Path::from("elsewhere"), options).await
        }
        async fn get_opts(
            &self,
            location: &Path,
            options: object_store::GetOptions,
        ) -> object_store::Result<object_store::GetResult> {
            self.0.get_opts(location, options).await
        }
        fn delete_stream(
            &self,
            locations: std::pin::Pin<Box<dyn tokio_stream::Stream<Item = object_store::Result<Path>> + Send>>,
        ) -> std::pin::Pin<Box<dyn tokio_stream::Stream<Item = object_store::Result<Path>> + Send>> {
            self.0.delete_stream(locations)
        }
        fn list(
            &self,
            prefix: Option<&Path>,
        ) -> std::pin::Pin<Box<dyn tokio_stream::Stream<Item = object_store::Result<object_store::ObjectMeta>> + Send>>
        {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<object_store::ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(
            &self,
            from: &Path,
            to: &Path,
            options: object_store::CopyOptions,
        ) -> object_store::Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }
    let snapshots = open(&Location::of(Arc::new(Losing(InMemory::new())), "losing"));
    let mut writer = snapshots.write("a", 1, point(1)).unwrap();
    writer.write_all(b"state").unwrap();
    let error = writer.publish().expect_err("what was lost is not published");
    assert!(error.to_string().contains("its state is not there"), "{error}");
    assert!(snapshots.stems().unwrap().is_empty());
}

#[test]
fn urls_are_checked() {
    for (url, why) in [("nowhere", "relative URL"), ("file://host/x", "three slashes"), ("ftp://x/y", "")] {
        let error = Location::parse(url).expect_err("no store").to_string();
        assert!(error.contains(url) && error.contains(why) && error.contains("expected file:///folder"), "{error}");
    }
}
