//! Desired state in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::registry::{check_put, describe, describe_found};
use crate::{Entry, Error, Expected, Latest, Listing, Registry, check_key};

/// A registry in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    revision: u64,
    entries: BTreeMap<String, (Vec<u8>, u64)>,
    watches: Vec<Watch>,
}

#[derive(Debug)]
struct Watch {
    prefix: String,
    sender: watch::Sender<Option<Arc<Listing>>>,
}

impl State {
    fn listing(&self, prefix: &str) -> Listing {
        let entries = self
            .entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (value, revision))| Entry { key: key.clone(), value: value.clone(), revision: *revision })
            .collect();
        Listing { revision: self.revision, entries }
    }

    fn expect(&self, attempted: String, key: &str, expected: Expected) -> Result<(), Error> {
        let found = self.entries.get(key).map(|(_, revision)| *revision);
        let fits = match expected {
            Expected::Any => true,
            Expected::Absent => found.is_none(),
            Expected::Revision(revision) => found == Some(revision),
        };
        if fits { Ok(()) } else { Err(Error::conflict(attempted, describe(expected), describe_found(found))) }
    }

    /// Tells the watches of the key; forgets those that nobody holds any more.
    fn changed(&mut self, key: &str) {
        self.watches.retain(|watch| !watch.sender.is_closed());
        for watch in self.watches.iter().filter(|watch| key.starts_with(&watch.prefix)) {
            watch.sender.send_replace(Some(Arc::new(self.listing(&watch.prefix))));
        }
    }
}

impl MemoryRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every call fail as if the server were down, or ends that.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    fn up(&self, attempted: &str) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.lock();
        if state.down {
            Err(Error::unavailable(attempted, "the registry in memory is switched off"))
        } else {
            Ok(state)
        }
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        check_key(key)?;
        let state = self.up(&format!("read `{key}`"))?;
        Ok(state.entries.get(key).map(|(value, revision)| Entry {
            key: key.to_owned(),
            value: value.clone(),
            revision: *revision,
        }))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        Ok(self.up(&format!("list `{prefix}`"))?.listing(prefix))
    }

    async fn put(&self, key: &str, value: Vec<u8>, expected: Expected) -> Result<u64, Error> {
        check_put(key, &value)?;
        let attempted = format!("write `{key}`");
        let mut state = self.up(&attempted)?;
        state.expect(attempted, key, expected)?;
        state.revision += 1;
        let revision = state.revision;
        state.entries.insert(key.to_owned(), (value, revision));
        state.changed(key);
        Ok(revision)
    }

    async fn delete(&self, key: &str, expected: Expected) -> Result<bool, Error> {
        check_key(key)?;
        let attempted = format!("delete `{key}`");
        let mut state = self.up(&attempted)?;
        state.expect(attempted, key, expected)?;
        let existed = state.entries.remove(key).is_some();
        if existed {
            state.revision += 1;
            state.changed(key);
        }
        Ok(existed)
    }

    fn watch(&self, prefix: &str, from: Option<u64>) -> Latest<Listing> {
        let mut state = self.lock();
        let listing = state.listing(prefix);
        let first = from.is_none_or(|from| listing.revision > from).then(|| Arc::new(listing));
        let (sender, receiver) = watch::channel(first);
        state.watches.push(Watch { prefix: prefix.to_owned(), sender });
        Latest::new(receiver)
    }
}
