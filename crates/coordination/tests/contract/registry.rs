//! The contract of [`Registry`].

use std::sync::Arc;

use mesh_coordination::{Error, Expected, Latest, Listing, MAX_VALUE_BYTES, Registry};

use super::{soon, unique};

/// Every clause of the contract.
pub async fn all(registry: &dyn Registry) {
    what_was_written_is_read(registry).await;
    changes_are_made_only_on_what_is_expected(registry).await;
    a_listing_has_the_prefix_and_is_sorted(registry).await;
    a_watch_shows_the_whole_listing_at_each_change(registry).await;
    a_watch_from_a_revision_stays_quiet_until_something_changed(registry).await;
    hostile_keys_and_sizes_are_refused(registry).await;
}

fn keys(listing: &Listing) -> Vec<String> {
    listing.entries.iter().map(|entry| entry.key.rsplit('/').next().unwrap().to_owned()).collect()
}

/// Waits until the watch shows what is asked for.
pub async fn until(watch: &mut Latest<Listing>, what: &str, fits: impl Fn(&Listing) -> bool) -> Arc<Listing> {
    soon(what, async {
        loop {
            let listing = watch.next().await.expect("the watch goes on");
            if fits(&listing) {
                return listing;
            }
        }
    })
    .await
}

async fn what_was_written_is_read(registry: &dyn Registry) {
    let key = unique("read/key");
    assert_eq!(registry.get(&key).await.unwrap(), None);
    let revision = registry.put(&key, b"one".to_vec(), Expected::Any).await.unwrap();
    let entry = registry.get(&key).await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.value.as_slice(), entry.revision), (key.as_str(), &b"one"[..], revision));
    let later = registry.put(&key, vec![0, 255, 10], Expected::Any).await.unwrap();
    assert!(later > revision);
    assert_eq!(registry.get(&key).await.unwrap().unwrap().value, [0, 255, 10]);
    assert!(registry.delete(&key, Expected::Any).await.unwrap());
    assert!(!registry.delete(&key, Expected::Any).await.unwrap(), "there is nothing any more");
    assert_eq!(registry.get(&key).await.unwrap(), None);
}

async fn changes_are_made_only_on_what_is_expected(registry: &dyn Registry) {
    let key = unique("cas/key");
    let conflict = |result: Result<u64, Error>| match result.unwrap_err() {
        error @ Error::Conflict { .. } => error.to_string(),
        other => panic!("{other}"),
    };
    assert!(conflict(registry.put(&key, b"x".to_vec(), Expected::Revision(1)).await).contains("found no value"));
    let first = registry.put(&key, b"1".to_vec(), Expected::Absent).await.unwrap();
    let text = conflict(registry.put(&key, b"2".to_vec(), Expected::Absent).await);
    assert!(text.contains(&key) && text.contains(&format!("found revision {first}")), "{text}");
    let second = registry.put(&key, b"2".to_vec(), Expected::Revision(first)).await.unwrap();
    conflict(registry.put(&key, b"3".to_vec(), Expected::Revision(first)).await);
    assert!(matches!(registry.delete(&key, Expected::Revision(first)).await, Err(Error::Conflict { .. })));
    assert!(matches!(registry.delete(&key, Expected::Absent).await, Err(Error::Conflict { .. })));
    assert_eq!(registry.get(&key).await.unwrap().unwrap().value, b"2");
    assert!(registry.delete(&key, Expected::Revision(second)).await.unwrap());
}

async fn a_listing_has_the_prefix_and_is_sorted(registry: &dyn Registry) {
    let prefix = unique("list/");
    for name in ["b", "a", "c/d"] {
        registry.put(&format!("{prefix}/{name}"), name.as_bytes().to_vec(), Expected::Any).await.unwrap();
    }
    registry.put(&format!("{prefix}0"), b"behind the prefix".to_vec(), Expected::Any).await.unwrap();
    let listing = registry.list(&format!("{prefix}/")).await.unwrap();
    let found: Vec<_> = listing.entries.iter().map(|entry| entry.key.clone()).collect();
    assert_eq!(found, ["a", "b", "c/d"].map(|name| format!("{prefix}/{name}")));
    assert!(listing.entries.iter().all(|entry| entry.revision <= listing.revision));
}

async fn a_watch_shows_the_whole_listing_at_each_change(registry: &dyn Registry) {
    let prefix = unique("watch/");
    let key = |name: &str| format!("{prefix}/{name}");
    registry.put(&key("a"), b"1".to_vec(), Expected::Any).await.unwrap();
    let mut watch = registry.watch(&format!("{prefix}/"), None);
    until(&mut watch, "what is there already", |listing| keys(listing) == ["a"]).await;
    registry.put(&key("b"), b"1".to_vec(), Expected::Any).await.unwrap();
    until(&mut watch, "a new key, and the old one", |listing| keys(listing) == ["a", "b"]).await;
    let revision = registry.put(&key("a"), b"2".to_vec(), Expected::Any).await.unwrap();
    let listing = until(&mut watch, "a new value", |listing| listing.entries[0].value == b"2").await;
    assert_eq!(listing.entries[0].revision, revision);
    assert!(listing.revision >= revision);
    registry.delete(&key("a"), Expected::Any).await.unwrap();
    registry.delete(&key("b"), Expected::Any).await.unwrap();
    until(&mut watch, "nothing left", |listing| listing.entries.is_empty()).await;
}

async fn a_watch_from_a_revision_stays_quiet_until_something_changed(registry: &dyn Registry) {
    let prefix = unique("from/");
    let key = format!("{prefix}/a");
    registry.put(&key, b"1".to_vec(), Expected::Any).await.unwrap();
    let seen = registry.list(&prefix).await.unwrap();
    let mut watch = registry.watch(&prefix, Some(seen.revision));
    assert!(watch.now().is_none(), "nothing has changed since");
    registry.put(&key, b"2".to_vec(), Expected::Any).await.unwrap();
    until(&mut watch, "the change", |listing| listing.entries[0].value == b"2").await;

    // one that happened before the watch began must not be missed either
    let mut watch = registry.watch(&prefix, Some(seen.revision));
    until(&mut watch, "the change of before", |listing| listing.entries[0].value == b"2").await;
}

async fn hostile_keys_and_sizes_are_refused(registry: &dyn Registry) {
    for key in ["", "a\0b", &"x".repeat(1025)] {
        let error = registry.put(key, Vec::new(), Expected::Any).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{key:?}: {error}");
    }
    let error = registry.put(&unique("huge"), vec![0; MAX_VALUE_BYTES + 1], Expected::Any).await.unwrap_err();
    assert!(error.to_string().contains("value of 1048577 bytes, expected at most 1048576"), "{error}");
    let key = unique("largest");
    registry.put(&key, vec![1; MAX_VALUE_BYTES], Expected::Any).await.expect("the limit itself fits");
    assert_eq!(registry.get(&key).await.unwrap().unwrap().value.len(), MAX_VALUE_BYTES);
    registry.delete(&key, Expected::Any).await.unwrap();
}
