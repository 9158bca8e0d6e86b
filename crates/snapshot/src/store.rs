//! The snapshots of one project: list, load, publish, prune.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_replication::SnapshotPoint;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;

use crate::manifest::MANIFEST_BYTES_MAX;
use crate::{Location, Manifest, SnapshotError, SnapshotReader, SnapshotWriter};

/// Objects of one project that are looked at; more would mean that nobody prunes.
const OBJECTS_MAX: usize = 10_000;

/// Ends of the objects' names.
pub(crate) const MANIFEST: &str = "json";
pub(crate) const STATE: &str = "state";

/// The snapshots of one version of one project.
pub struct Snapshots {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) folder: Path,
    pub(crate) project: String,
    url: String,
}

/// A snapshot that the store lists: its name, and its manifest or what is wrong with it.
#[derive(Debug)]
pub struct Listed {
    /// Name of both objects, without their ends. Later commits sort higher.
    pub stem: String,
    /// The manifest.
    pub manifest: Result<Manifest, SnapshotError>,
}

impl Snapshots {
    /// The snapshots of a project (`<host>_<port>.<project>`) with this model. Call and drop it on a thread that may
    /// block, not on an async one.
    pub fn open(location: &Location, project: &str, model_fingerprint: u64) -> Result<Snapshots, SnapshotError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| SnapshotError::Store {
            attempted: "starting the runtime of the snapshot store".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Snapshots {
            store: location.store.clone(),
            runtime: Arc::new(runtime),
            folder: location.path.clone().join(project).join(format!("{model_fingerprint:016x}")),
            project: project.to_owned(),
            url: location.url().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn object(&self, stem: &str, end: &str) -> Path {
        self.folder.clone().join(format!("{stem}.{end}"))
    }

    /// How a snapshot is called in messages.
    pub fn name_of(&self, stem: &str) -> String {
        format!("{stem} in {} ({})", self.url, self.folder)
    }

    pub(crate) fn failed(&self, attempted: &str, object: &Path, error: &object_store::Error) -> SnapshotError {
        SnapshotError::Store { attempted: format!("{attempted} `{object}` of {}", self.url), reason: error.to_string() }
    }

    /// Names of all objects, in order.
    fn objects(&self) -> Result<Vec<String>, SnapshotError> {
        self.runtime.block_on(async {
            let mut listing = self.store.list(Some(&self.folder));
            let mut names = Vec::new();
            while let Some(object) = listing.next().await {
                let object = object.map_err(|error| self.failed("listing snapshots in", &self.folder, &error))?;
                names.extend(object.location.filename().map(str::to_owned));
                if names.len() == OBJECTS_MAX {
                    tracing::warn!(folder = %self.folder, OBJECTS_MAX, "more objects than this are not looked at");
                    break;
                }
            }
            names.sort();
            Ok(names)
        })
    }

    /// Names of the published snapshots, newest first.
    pub fn stems(&self) -> Result<Vec<String>, SnapshotError> {
        let objects = self.objects()?;
        let stems = objects.iter().rev().filter_map(|name| name.strip_suffix(".json"));
        Ok(stems.map(str::to_owned).collect())
    }

    /// The published snapshots, newest first, with their manifests.
    pub fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        let stems = self.stems()?.into_iter();
        Ok(stems.map(|stem| Listed { manifest: self.manifest(&stem), stem }).collect())
    }

    /// The manifest of a snapshot.
    pub fn manifest(&self, stem: &str) -> Result<Manifest, SnapshotError> {
        let object = self.object(stem, MANIFEST);
        let bytes = self
            .runtime
            .block_on(async {
                let found = self.store.get(&object).await?;
                if found.meta.size > MANIFEST_BYTES_MAX {
                    return Ok(Default::default());
                }
                found.bytes().await
            })
            .map_err(|error| self.failed("reading", &object, &error))?;
        let manifest = Manifest::decode(object.as_ref(), &bytes)?;
        if !self.folder.as_ref().ends_with(&format!("{}/{:016x}", self.project, manifest.point.model_fingerprint)) {
            let what = "it is of another project or model than its folder".to_owned();
            return Err(SnapshotError::Damaged { object: object.to_string(), what });
        }
        Ok(manifest)
    }

    /// Opens the state of a snapshot.
    pub fn read(&self, stem: &str, manifest: &Manifest) -> Result<SnapshotReader, SnapshotError> {
        SnapshotReader::open(self, stem, manifest)
    }

    /// Begins to write the state of a project at a commit.
    pub fn write(
        &self,
        engine: &str,
        written_ms: u64,
        point: SnapshotPoint,
    ) -> Result<SnapshotWriter<'_>, SnapshotError> {
        SnapshotWriter::open(self, engine, written_ms, point)
    }

    /// Deletes all but the newest `keep` snapshots, damaged ones not counted, and what unfinished ones left. Returns
    /// the points of those that are kept: the commit log is needed from the oldest of them on.
    pub fn prune(&self, keep: usize) -> Result<Vec<SnapshotPoint>, SnapshotError> {
        let mut kept: Vec<(String, SnapshotPoint)> = Vec::new();
        let mut spared = BTreeSet::new();
        for Listed { stem, manifest } in self.list()? {
            match manifest {
                Ok(manifest) if kept.len() < keep => kept.push((stem, manifest.point)),
                Ok(_) => {}
                // One that cannot be read now may be readable again: it goes with those of its age.
                Err(_) if kept.len() < keep => {
                    spared.insert(stem);
                }
                Err(_) => {}
            }
        }
        let Some(oldest) = kept.last().map(|(stem, _)| stem.clone()) else { return Ok(Vec::new()) };
        for name in self.objects()? {
            let Some((stem, end)) = name.rsplit_once('.') else { continue };
            // A newer state without a manifest may be on its way.
            let needed =
                kept.iter().any(|(kept, _)| kept == stem) || spared.contains(stem) || (end == STATE && *stem > *oldest);
            if needed {
                continue;
            }
            // In order of name a manifest goes before its state: what is listed is whole.
            let object = self.folder.clone().join(name.as_str());
            match self.runtime.block_on(self.store.delete(&object)) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {} // another engine prunes as well
                Err(error) => return Err(self.failed("deleting", &object, &error)),
            }
        }
        Ok(kept.into_iter().map(|(_, point)| point).collect())
    }
}
