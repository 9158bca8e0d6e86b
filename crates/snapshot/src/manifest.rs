//! What is known of a snapshot without reading its state. JSON, so that a person can read it, and its hash.

use mesh_replication::engine::MachineState;
use mesh_replication::{CommitNumber, Poison, SnapshotPoint, Term};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::SnapshotError;

/// Format of manifest and state that this code writes and reads.
pub const FORMAT: u16 = 1;

/// Largest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What is known of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `<host>_<port>.<project>`.
    pub project: String,
    /// Engine that wrote it.
    pub engine: String,
    /// When, milliseconds since the Unix epoch; for people only.
    pub written_ms: u64,
    /// The commit.
    pub point: SnapshotPoint,
    /// Bytes of the state before compression.
    pub state_bytes: u64,
    /// Bytes of the object.
    pub stored_bytes: u64,
    /// Hash (XXH3, 64 bits) of the object.
    pub hash: u64,
}

#[derive(Serialize, Deserialize)]
struct Json {
    format: u16,
    project: String,
    engine: String,
    written_ms: u64,
    model_fingerprint: String,
    commit_number: u64,
    term: u64,
    log_offset: u64,
    positions: Vec<u64>,
    clock_us: i64,
    digests: Vec<u64>,
    sequences: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    poison: Option<JsonPoison>,
    state_bytes: u64,
    stored_bytes: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct JsonPoison {
    input: Option<u32>,
    from: u64,
    end: u64,
    blocks: u32,
    reason: String,
}

impl Manifest {
    /// The bytes of the manifest's object: the JSON text, a newline, the hash of the text.
    pub fn encode(&self) -> Vec<u8> {
        let point = &self.point;
        let poison = point.poison.as_ref().map(|poison| JsonPoison {
            input: poison.input,
            from: poison.from,
            end: poison.end,
            blocks: poison.blocks,
            reason: poison.reason.clone(),
        });
        let json = Json {
            format: FORMAT,
            project: self.project.clone(),
            engine: self.engine.clone(),
            written_ms: self.written_ms,
            model_fingerprint: format!("{:016x}", point.model_fingerprint),
            commit_number: point.number.0,
            term: point.term.0,
            log_offset: point.log_offset,
            positions: point.state.positions.clone(),
            clock_us: point.state.clock_us,
            digests: point.state.digests.clone(),
            sequences: point.state.sequences.clone(),
            poison,
            state_bytes: self.state_bytes,
            stored_bytes: self.stored_bytes,
            hash: format!("{:016x}", self.hash),
        };
        let mut text = serde_json::to_string_pretty(&json).expect("numbers, strings and lists are JSON");
        let check = xxh3_64(text.as_bytes());
        text.push_str(&format!("\n{check:016x}\n"));
        text.into_bytes()
    }

    /// Reads the bytes of the object with this name.
    pub fn decode(object: &str, bytes: &[u8]) -> Result<Manifest, SnapshotError> {
        let damaged = |what: &str| SnapshotError::Damaged { object: object.to_owned(), what: what.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("the manifest is not text"))?;
        let (text, check) = text
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once('\n'))
            .ok_or_else(|| damaged("the manifest has no hash at its end"))?;
        if check != format!("{:016x}", xxh3_64(text.as_bytes())) {
            return Err(damaged("the manifest differs from its hash"));
        }
        #[derive(Deserialize)]
        struct Format {
            format: u16,
        }
        let format: Format = serde_json::from_str(text).map_err(|_| damaged("the manifest names no format"))?;
        if format.format != FORMAT {
            return Err(SnapshotError::Format { object: object.to_owned(), found: format.format, expected: FORMAT });
        }
        let json: Json =
            serde_json::from_str(text).map_err(|error| damaged(&format!("the manifest cannot be read: {error}")))?;
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| damaged("a hash is no number"));
        Ok(Manifest {
            point: SnapshotPoint {
                number: CommitNumber(json.commit_number),
                term: Term(json.term),
                log_offset: json.log_offset,
                model_fingerprint: number(&json.model_fingerprint)?,
                state: MachineState {
                    positions: json.positions,
                    clock_us: json.clock_us,
                    digests: json.digests,
                    sequences: json.sequences,
                    next_deadline_us: None, // follows from the state
                },
                poison: json.poison.map(|poison| Poison {
                    input: poison.input,
                    from: poison.from,
                    end: poison.end,
                    blocks: poison.blocks,
                    reason: poison.reason,
                }),
            },
            project: json.project,
            engine: json.engine,
            written_ms: json.written_ms,
            state_bytes: json.state_bytes,
            stored_bytes: json.stored_bytes,
            hash: number(&json.hash)?,
        })
    }
}
