//! Which store, from a URL.

use std::fmt;
use std::sync::{Arc, OnceLock};

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use crate::SnapshotError;

/// `memory:` URLs of one process name one store, as `file:` URLs of one machine do.
static MEMORY: OnceLock<Arc<InMemory>> = OnceLock::new();

/// A place for snapshots. Cheap to clone.
#[derive(Clone)]
pub struct Location {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    url: String,
}

impl Location {
    /// The place that a URL names.
    pub fn parse(text: &str) -> Result<Location, SnapshotError> {
        let wrong = |reason: String| SnapshotError::Url { url: text.to_owned(), reason };
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "file" | "memory") {
            let (store, path) = object_store::parse_url(&url).map_err(|error| wrong(error.to_string()))?;
            return Ok(Location { store: Arc::from(store), path, url: text.to_owned() });
        }
        if url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(wrong(format!("{0} takes no host: write {0}:///path with three slashes", url.scheme())));
        }
        let path = Path::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
        let store: Arc<dyn ObjectStore> = if url.scheme() == "memory" {
            MEMORY.get_or_init(|| Arc::new(InMemory::new())).clone()
        } else {
            // A snapshot whose log is trimmed must outlive the machine's cache.
            Arc::new(LocalFileSystem::new().with_fsync(true))
        };
        Ok(Location { store, path, url: text.to_owned() })
    }

    /// A store that the caller made, for tests.
    pub fn of(store: Arc<dyn ObjectStore>, name: &str) -> Location {
        Location { store, path: Path::default(), url: name.to_owned() }
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Location").field(&self.url).finish()
    }
}
