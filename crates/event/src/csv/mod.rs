//! Events as lines of text: `I,N,17,abc,1.5`, read at memory speed and written as other tools expect it.
//!
//! Read [`CsvDecoder`] first: bytes go in as they come from a file or socket, blocks come out with the exact position
//! after them, so that a reader can go on there after a restart.
//!
//! Code map:
//! - `decode`: lines over chunk borders, headers, block borders, bad lines; `row`: one line into the columns
//! - `token`: quotes and escapes; `number`: digits eight at a time; `field`: text to values, the careful way
//! - `columns`: the block under construction; `date`: strftime formats both ways; `base64`: blobs
//! - `encode`: blocks to lines; `float`: doubles as `%.6f`
//!
//! **Invariant:** a block never separates an update block (`UB`) from the delete that belongs to it, unless the input
//! ends there.

mod base64;
mod columns;
mod date;
mod decode;
mod encode;
mod error;
mod field;
mod float;
mod number;
mod row;
#[cfg(test)]
mod tests;
mod token;

pub use date::{DateFormat, DateFormatError};
pub use decode::{CsvBlock, CsvDecoder, CsvPosition, CsvProgress};
pub(crate) use encode::encode_value;
pub use encode::{CsvEncoder, CsvHeader, CsvOutOptions, encode_csv};
pub use error::{CsvError, CsvSetupError};
pub(crate) use field::parse_value;
pub use float::push_double;

use crate::Flags;

/// Longest line, quoted line breaks included, that is read.
pub const MAX_ROW_BYTES: usize = 4 << 20;

/// A block is closed early when its lines have this many bytes.
pub const MAX_BLOCK_TEXT_BYTES: u64 = 64 << 20;

/// Bad lines whose errors are kept until they are taken; further ones are only counted.
pub const MAX_KEPT_ERRORS: usize = 100;

/// How the lines look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// What separates fields (`csvfielddelimiter`).
    pub delimiter: u8,
    /// Lines to skip at the start of the source (`header`).
    pub header_lines: u64,
    /// The lines have no opcode (`addcsvopcode`): they are inserts, or upserts with [`CsvOptions::upsert`].
    pub add_opcode: bool,
    /// The lines have no flags (`addcsvflags`): they get these.
    pub add_flags: Option<Flags>,
    /// The lines lack the key field, which the source window generates (`noautogenfield`): it is null in the block.
    pub no_autogen_field: bool,
    /// strftime format of dates and stamps (`dateformat`); without it they are integers since the epoch.
    pub date_format: Option<String>,
    /// An unquoted `NA` is null.
    pub na_is_null: bool,
    /// Lines that cannot be read are counted and skipped (`ignorecsvparseerrors`).
    pub ignore_errors: bool,
    /// Inserts become upserts (`publishwithupsert`).
    pub upsert: bool,
    /// Name of the source, for errors.
    pub file: String,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            delimiter: b',',
            header_lines: 0,
            add_opcode: false,
            add_flags: None,
            no_autogen_field: false,
            date_format: None,
            na_is_null: false,
            ignore_errors: false,
            upsert: false,
            file: "csv".to_owned(),
        }
    }
}
