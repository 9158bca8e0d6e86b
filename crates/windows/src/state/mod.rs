//! State as bytes: sections of typed values, the same bytes for the same state whatever its layout in memory.
//!
//! A section is a header (name, kind, version) and frames of at most [`FRAME`] bytes, ended by an empty frame and the
//! hash of everything in it. So a writer needs no length in advance, a reader no memory for more than a frame, and
//! damage is found. Sizes that are read are never trusted: memory grows with the bytes that really come.

mod column;
mod read;
mod value;
mod write;

pub(crate) use column::{RowBatches, save_rows};
pub(crate) use read::{Damage, Reader, read_section};
pub(crate) use write::{Writer, write_section};

/// Largest frame of a section in bytes.
const FRAME: usize = 64 * 1024;
/// Longest name or kind in a section's header, in bytes.
const MAX_NAME: usize = 4096;

/// What comes first.
pub(crate) const MAGIC: [u8; 8] = *b"ESPMSTAT";
/// Layout of everything outside the sections' contents.
pub(crate) const LAYOUT: u16 = 1;

/// Something that can be part of a window's state.
pub(crate) trait State: Sized {
    fn save(&self, to: &mut Writer<'_>);
    fn load(from: &mut Reader<'_>) -> Result<Self, Damage>;
}

/// Why a state could not be restored. The executor that was being restored is gone; nothing half-restored is left.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Reading failed, or ended too early.
    #[error("the state could not be read: {0}; take an older snapshot, or replay the input from its beginning")]
    Read(#[from] std::io::Error),
    /// The bytes are no state of an executor.
    #[error("this is no state of an executor: expected it to begin with `ESPMSTAT`, found {found:?}")]
    Magic {
        /// What stands there.
        found: [u8; 8],
    },
    /// Another layout of the state as a whole.
    #[error("the state has layout {found}, this version reads layout {LAYOUT}; restore with the version that saved it")]
    Layout {
        /// What stands there.
        found: u16,
    },
    /// The state of another project, or of another version of it.
    #[error(
        "the state is of the project with fingerprint {found:016x}, expected {expected:016x}; take a snapshot of this \
         version of the project, or replay the input from its beginning"
    )]
    Fingerprint {
        /// What stands there.
        found: u64,
        /// That of the project to restore.
        expected: u64,
    },
    /// A section stands where another one should.
    #[error(
        "section {position} of the state is {found}, expected {expected}; restore with the version that saved it, or \
         replay the input from its beginning"
    )]
    Section {
        /// Number of the section, from 0.
        position: usize,
        /// Name, kind and version that stand there.
        found: String,
        /// Those of this project.
        expected: String,
    },
    /// The bytes of a section contradict themselves.
    #[error("section `{section}` of the state is damaged: {what}; take an older snapshot")]
    Damaged {
        /// Name of the section.
        section: String,
        /// What is wrong.
        what: &'static str,
    },
}
