//! Requests that were made before: the same id gives the same answer, whichever instance is asked.
//!
//! A caller that lost the answer of a change asks again with the id of the first call. The first instance that sees an id
//! takes it by compare-and-set (`requests/<id>`), does the work, and keeps the answer; a refusal gives the id back, since
//! nothing was done. While the work is under way the same id is refused; an instance that died at it loses the id after
//! [`WORK_LIMIT`]. Every change is safe to be done anew then: it is compare-and-set itself, or says that it is done.

use mesh_coordination::{Error as RegistryError, Expected};
use mesh_service::{Kind, Refusal};
use prost::Message;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::clock::now_us;
use crate::refuse;
use crate::store::{Store, decode, encode};

/// Where requests are kept.
pub(crate) const REQUESTS: &str = "requests/";

/// Requests that are kept; the oldest go first.
const KEPT_MAX: usize = 1000;

/// A request that began this long ago and has no answer was left by an instance that died.
const WORK_LIMIT: Duration = Duration::from_secs(30);

/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 128;

/// Larger answers are not kept: the work is done anew, which gives the same.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// A request as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredRequest {
    at_us: i64,
    /// What was asked, so that another request under the same id is noticed.
    asked: u64,
    /// Encoded; `None` while the work is under way.
    answer: Option<Vec<u8>>,
}

/// Does the work, unless a request with this id was answered before: then it answers the same. No id: it always works.
pub(crate) async fn once<A, F>(
    store: &Store,
    call: &str,
    id: &str,
    message: &[u8],
    work: impl FnOnce() -> F + Send,
) -> Result<A, Refusal>
where
    A: Message + Default,
    F: Future<Output = Result<A, Refusal>> + Send,
{
    if id.is_empty() {
        return work().await;
    }
    check(id)?;
    let what = format!("{call} with request id `{id}`");
    let asked = fingerprint(call, message);
    let key = format!("{REQUESTS}{id}");
    let revision = match take(store, &key, &what, asked).await? {
        Taken::Answered(answer) => {
            return A::decode(answer.as_slice()).map_err(|error| {
                Refusal::new(Kind::Fault, what).found(format!("a kept answer that is none: {error}"))
            });
        }
        Taken::Ours(revision) => revision,
    };
    let done = work().await;
    let kept = match &done {
        Ok(answer) if answer.encoded_len() <= ANSWER_BYTES_MAX => {
            let request = StoredRequest { at_us: now_us(), asked, answer: Some(answer.encode_to_vec()) };
            store.registry().put(&key, encode(&request), Expected::Revision(revision)).await.map(|_| ())
        }
        _ => store.registry().delete(&key, Expected::Revision(revision)).await.map(|_| ()),
    };
    if let Err(error) = kept {
        tracing::warn!(what, %error, "the answer is not kept: the same request would be done anew");
    }
    done
}

enum Taken {
    Answered(Vec<u8>),
    /// With the revision at which it was taken.
    Ours(u64),
}

async fn take(store: &Store, key: &str, what: &str, asked: u64) -> Result<Taken, Refusal> {
    let known = store.registry().get(key).await.map_err(refuse::registry)?;
    let expected = match known.as_ref().map(|entry| (entry.revision, decode::<StoredRequest>(entry))) {
        None => Expected::Absent,
        Some((_, Some(request))) if request.asked != asked => {
            return Err(Refusal::invalid(what)
                .expected("the request that had this id before, or a new id")
                .found("another request")
                .way_out("make an id anew for every request, such as a UUID"));
        }
        Some((_, Some(StoredRequest { answer: Some(answer), .. }))) => return Ok(Taken::Answered(answer)),
        Some((_, Some(request))) if is_under_way(request.at_us) => return Err(under_way(what)),
        // left by an instance that died, or unreadable
        Some((revision, _)) => Expected::Revision(revision),
    };
    let request = StoredRequest { at_us: now_us(), asked, answer: None };
    match store.registry().put(key, encode(&request), expected).await {
        Ok(revision) => Ok(Taken::Ours(revision)),
        Err(RegistryError::Conflict { .. }) => Err(under_way(what)),
        Err(error) => Err(refuse::registry(error)),
    }
}

fn is_under_way(began_us: i64) -> bool {
    let limit = i64::try_from(WORK_LIMIT.as_micros()).unwrap_or(i64::MAX);
    now_us().saturating_sub(began_us) < limit
}

fn under_way(what: &str) -> Refusal {
    Refusal::new(Kind::Unavailable, what)
        .expected("no other call with this id at the same time")
        .found("one that is under way")
        .way_out("ask again with the same id: it answers what the first call did")
}

fn check(id: &str) -> Result<(), Refusal> {
    if id.len() <= ID_BYTES_MAX && id.chars().all(|c| c.is_ascii_graphic() && c != '/') {
        return Ok(());
    }
    Err(Refusal::invalid("field `change.request_id`")
        .expected(format!("at most {ID_BYTES_MAX} visible ASCII characters without a slash, such as a UUID"))
        .found(format!("{} bytes: `{:.64}`", id.len(), id.escape_debug().to_string())))
}

/// FNV-1a: the same in every version of the program.
fn fingerprint(call: &str, message: &[u8]) -> u64 {
    let bytes = call.bytes().chain([0]).chain(message.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Forgets the oldest requests beyond the limit.
pub(crate) async fn prune(store: &Store) -> Result<(), RegistryError> {
    let listing = store.registry().list(REQUESTS).await?;
    let surplus = listing.entries.len().saturating_sub(KEPT_MAX);
    let mut entries = listing.entries;
    entries.sort_by_key(|entry| entry.revision);
    for entry in &entries[..surplus] {
        match store.registry().delete(&entry.key, Expected::Revision(entry.revision)).await {
            Ok(_) | Err(RegistryError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_coordination::MemoryRegistry;
    use mesh_proto::coordinator::UndeployResponse;
    use std::sync::Arc;

    #[test]
    fn ids_that_make_no_key_are_refused_and_requests_are_told_apart() {
        assert!(check("5e0c1c1e-6f5f-4b8e-9d0e-8a3f0d0c7a11").is_ok());
        for wrong in ["a/b", "two words", "x\n", &"x".repeat(ID_BYTES_MAX + 1)] {
            assert!(check(wrong).unwrap_err().to_string().contains("`change.request_id`"), "{wrong:?}");
        }
        assert_ne!(fingerprint("deploy", b"x"), fingerprint("deployx", b""));
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_the_oldest_go_first() {
        let registry = MemoryRegistry::new();
        let store = Store::new(Arc::new(registry.clone()), 10, 10);
        for number in 0..KEPT_MAX + 5 {
            // later ones sort before earlier ones
            let id = format!("{:05}", 99_999 - number);
            let work = || async { Ok(UndeployResponse {}) };
            once(&store, "undeploy", &id, b"", work).await.expect("done");
        }
        prune(&store).await.expect("pruned");
        let kept = store.registry().list(REQUESTS).await.expect("listed").entries;
        assert_eq!(kept.len(), KEPT_MAX);
        assert_eq!(kept.last().map(|entry| entry.key.as_str()), Some("requests/99994"), "the first five are gone");
    }
}
