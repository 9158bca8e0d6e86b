//! Whole listings from etcd's watch streams.
//!
//! A stream ends when its server dies and does not resume; a revision to resume from may have been compacted away.
//! Both are met alike: what changed is not taken from the events, but listed anew; the events only say when.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::WatchOptions;
use tokio::sync::watch;

use super::{EtcdRegistry, MAX_LISTING_BYTES};
use crate::{Error, Latest, Listing};

/// First and longest pause between attempts to watch again.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MOST: Duration = Duration::from_secs(1);

type Sender = watch::Sender<Option<Arc<Listing>>>;

pub(super) fn start(registry: EtcdRegistry, prefix: String, from: Option<u64>) -> Latest<Listing> {
    let (sender, receiver) = watch::channel(None);
    let feeder = tokio::spawn(feed(registry, prefix, from, sender));
    Latest::fed_by(receiver, feeder.abort_handle())
}

async fn feed(registry: EtcdRegistry, prefix: String, mut from: Option<u64>, sender: Sender) {
    let mut pause = RETRY_FIRST;
    loop {
        let before = from;
        let ended = follow(&registry, &prefix, &mut from, &sender).await;
        if let Err(error) = ended {
            tracing::warn!(prefix, %error, "watch on etcd broken; resuming");
        }
        pause = if from == before { (pause * 2).min(RETRY_MOST) } else { RETRY_FIRST };
        tokio::time::sleep(pause).await;
    }
}

/// Lists if something may have changed since `from`, then watches from there; ends when the stream does.
async fn follow(registry: &EtcdRegistry, prefix: &str, from: &mut Option<u64>, sender: &Sender) -> Result<(), Error> {
    let seen = match *from {
        Some(seen) => seen,
        None => list(registry, prefix, from, sender).await?,
    };
    let attempted = format!("watch `{prefix}`");
    // past the end of i64 etcd has no revisions; it answers an error that the caller sees in the log
    let next = i64::try_from(seen).unwrap_or(i64::MAX).saturating_add(1);
    let options = WatchOptions::new().with_prefix().with_start_revision(next);
    let mut client = registry.client.watch_client().max_decoding_message_size(MAX_LISTING_BYTES);
    let begin = client.watch(registry.key(prefix), Some(options));
    let broken = |reason: String| Error::unavailable(attempted.clone(), reason);
    let mut stream = tokio::time::timeout(registry.options.call_timeout, begin)
        .await
        .map_err(|_| broken("etcd did not answer in time".into()))?
        .map_err(|error| broken(error.to_string()))?;
    loop {
        match stream.message().await {
            Err(error) => return Err(broken(error.to_string())),
            Ok(None) => return Err(broken("the server ended the stream".into())),
            Ok(Some(message)) if message.canceled() => {
                // compacted: what happened in between is gone, the present state is not
                list(registry, prefix, from, sender).await?;
                return Ok(());
            }
            Ok(Some(message)) if message.events().is_empty() => {}
            Ok(Some(_)) => {
                list(registry, prefix, from, sender).await?;
            }
        }
    }
}

async fn list(registry: &EtcdRegistry, prefix: &str, from: &mut Option<u64>, sender: &Sender) -> Result<u64, Error> {
    let listing = registry.list_at(prefix).await?;
    let revision = listing.revision;
    *from = Some(revision);
    sender.send_if_modified(|held| {
        let changed = held.as_deref().is_none_or(|held| held.entries != listing.entries);
        *held = Some(Arc::new(listing));
        changed
    });
    Ok(revision)
}
