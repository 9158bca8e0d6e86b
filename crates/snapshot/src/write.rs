//! Writing a state: compressed and uploaded as it comes, read back, then published by its manifest.

use std::io::{self, Write};
use std::sync::Arc;

use mesh_replication::SnapshotPoint;
use object_store::{ObjectStoreExt, PutMode, WriteMultipart};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::Xxh3;

use crate::manifest::FORMAT;
use crate::store::{MANIFEST, STATE};
use crate::{Manifest, SnapshotError, Snapshots};

/// First bytes of a state's object.
pub(crate) const MAGIC: [u8; 8] = *b"ESPMSNAP";
/// How hard zstd tries: its fastest ordinary level, since the state waits for it.
const LEVEL: i32 = 1;
/// Bytes of one part of an upload.
const PART_BYTES: usize = 8 << 20;
/// Parts under way at most.
const PARTS_MAX: usize = 2;

/// A state on its way to the store. Dropped before [`SnapshotWriter::publish`] it leaves nothing that is listed.
pub struct SnapshotWriter<'a> {
    store: &'a Snapshots,
    stem: String,
    manifest: Manifest,
    encoder: zstd::Encoder<'static, Upload>,
}

struct Upload {
    runtime: Arc<Runtime>,
    parts: Option<WriteMultipart>,
    hash: Xxh3,
    bytes: u64,
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let parts = self.parts.as_mut().ok_or_else(|| io::Error::other("the upload has ended"))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        let entered = self.runtime.enter();
        parts.write(bytes);
        drop(entered);
        self.runtime.block_on(parts.wait_for_capacity(PARTS_MAX)).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            // Whether or not the store hears it: without a manifest nobody takes it.
            let _ = self.runtime.block_on(parts.abort());
        }
    }
}

impl<'a> SnapshotWriter<'a> {
    pub(crate) fn open(
        store: &'a Snapshots,
        engine: &str,
        written_ms: u64,
        mut point: SnapshotPoint,
    ) -> Result<SnapshotWriter<'a>, SnapshotError> {
        // It follows from the state, so the manifest does not hold it.
        point.state.next_deadline_us = None;
        let stem = format!("{:020}-{engine}-{written_ms}", point.number.0);
        let object = store.object(&stem, STATE);
        let parts = store
            .runtime
            .block_on(store.store.put_multipart(&object))
            .map_err(|error| store.failed("beginning to write", &object, &error))?;
        let mut upload = Upload {
            runtime: store.runtime.clone(),
            parts: Some(WriteMultipart::new_with_chunk_size(parts, PART_BYTES)),
            hash: Xxh3::new(),
            bytes: 0,
        };
        let begun = upload.write_all(&MAGIC).and_then(|()| upload.write_all(&FORMAT.to_le_bytes()));
        let encoder = begun.and_then(|()| zstd::Encoder::new(upload, LEVEL));
        let encoder = encoder.map_err(|error| SnapshotError::Store {
            attempted: format!("beginning to write `{object}`"),
            reason: error.to_string(),
        })?;
        let manifest = Manifest {
            project: store.project.clone(),
            engine: engine.to_owned(),
            written_ms,
            point,
            state_bytes: 0,
            stored_bytes: 0,
            hash: 0,
        };
        Ok(SnapshotWriter { store, stem, manifest, encoder })
    }

    /// Completes the upload, reads it back, and puts the manifest in its place.
    pub fn publish(self) -> Result<(String, Manifest), SnapshotError> {
        let SnapshotWriter { store, stem, mut manifest, encoder } = self;
        let object = store.object(&stem, STATE);
        let failed = |reason: String| SnapshotError::Store { attempted: format!("writing `{object}`"), reason };
        let mut upload = encoder.finish().map_err(|error| failed(error.to_string()))?;
        let parts = upload.parts.take().expect("only publishing takes it, and that once");
        store.runtime.block_on(parts.finish()).map_err(|error| failed(error.to_string()))?;
        (manifest.stored_bytes, manifest.hash) = (upload.bytes, upload.hash.digest());
        drop(upload);
        // A store may say yes to what it lost. The log is trimmed on the word of this snapshot: look.
        store.read(&stem, &manifest)?.finish()?;
        let location = store.object(&stem, MANIFEST);
        let put = store.store.put_opts(&location, manifest.encode().into(), PutMode::Create.into());
        store.runtime.block_on(put).map_err(|error| store.failed("publishing", &location, &error))?;
        let published = store.manifest(&stem)?;
        if published != manifest {
            let what = "the manifest that was put in place is not the one read back".to_owned();
            return Err(SnapshotError::Damaged { object: location.to_string(), what });
        }
        Ok((stem, manifest))
    }
}

impl Write for SnapshotWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.manifest.state_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}
