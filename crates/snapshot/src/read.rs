//! Reading a state: downloaded, hashed and decompressed as it is asked for.

use std::io::{self, BufReader, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use object_store::ObjectStoreExt;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt};
use xxhash_rust::xxh3::Xxh3;

use crate::manifest::FORMAT;
use crate::store::STATE;
use crate::write::MAGIC;
use crate::{Manifest, SnapshotError, Snapshots};

/// A state being read. What it gave is worth nothing until [`SnapshotReader::finish`] says so.
pub struct SnapshotReader {
    object: String,
    expected: (u64, u64),
    decoder: zstd::Decoder<'static, BufReader<Download>>,
}

struct Download {
    runtime: Arc<Runtime>,
    stream: Pin<Box<dyn Stream<Item = object_store::Result<Bytes>> + Send>>,
    chunk: Bytes,
    hash: Xxh3,
    bytes: Arc<AtomicU64>,
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(into.len());
        self.chunk.copy_to_slice(&mut into[..count]);
        self.hash.update(&into[..count]);
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl SnapshotReader {
    pub(crate) fn open(store: &Snapshots, stem: &str, manifest: &Manifest) -> Result<SnapshotReader, SnapshotError> {
        let object = store.object(stem, STATE);
        let damaged = |what: String| SnapshotError::Damaged { object: object.to_string(), what };
        let found = match store.runtime.block_on(store.store.get(&object)) {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(damaged("its state is not there".to_owned())),
            Err(error) => return Err(store.failed("reading", &object, &error)),
        };
        if found.meta.size != manifest.stored_bytes {
            let what = format!("it has {} bytes, expected {}", found.meta.size, manifest.stored_bytes);
            return Err(damaged(what));
        }
        let mut download = Download {
            runtime: store.runtime.clone(),
            stream: Box::pin(found.into_stream()),
            chunk: Bytes::new(),
            hash: Xxh3::new(),
            bytes: Arc::default(),
        };
        let mut head = [0; 10];
        download.read_exact(&mut head).map_err(|error| damaged(error.to_string()))?;
        let format = u16::from_le_bytes([head[8], head[9]]);
        if head[..8] != MAGIC {
            return Err(damaged("it does not begin as a state does".to_owned()));
        }
        if format != FORMAT {
            return Err(SnapshotError::Format { object: object.to_string(), found: format, expected: FORMAT });
        }
        let decoder = zstd::Decoder::new(download).map_err(|error| damaged(error.to_string()))?;
        Ok(SnapshotReader { object: object.to_string(), expected: (manifest.stored_bytes, manifest.hash), decoder })
    }

    /// Counts the bytes of the object that were read.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.decoder.get_ref().get_ref().bytes.clone()
    }

    /// Reads what is left and says whether all of it is what was written.
    pub fn finish(self) -> Result<(), SnapshotError> {
        let damaged = |what: String| SnapshotError::Damaged { object: self.object.clone(), what };
        let mut rest = self.decoder.finish();
        io::copy(&mut rest, &mut io::sink()).map_err(|error| damaged(error.to_string()))?;
        let download = rest.into_inner();
        let found = (download.bytes.load(Ordering::Relaxed), download.hash.digest());
        if found != self.expected {
            return Err(damaged("its bytes differ from its hash".to_owned()));
        }
        Ok(())
    }
}

impl Read for SnapshotReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(into)
    }
}
