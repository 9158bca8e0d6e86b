//! How the lines of a source are to be read.

use crate::settings::Values;

/// How the lines of a source are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvIn {
    /// Lines to skip at the start of each round.
    pub header_lines: u64,
    /// Byte between fields.
    pub delimiter: u8,
    /// strftime format; `None`: integers since 1970.
    pub dateformat: Option<String>,
    /// The lines have no opcode.
    pub add_opcode: bool,
    /// The lines have no flags: `Some(true)` marks each event a partial update.
    pub add_flags: Option<bool>,
    /// The lines lack the key that the window makes.
    pub no_autogen_field: bool,
    /// Upsert where an opcode is added.
    pub upsert: bool,
    /// The text `NA` is null.
    pub na_is_null: bool,
    /// Drop what cannot be read.
    pub ignore_errors: bool,
}

/// Reads the keys; `dateformat` is the transport file's.
pub(crate) fn read(line: &mut Values<'_>, dateformat: Option<String>) -> CsvIn {
    let add_flags = line.choice("addcsvflags", None, &[("normal", Some(false)), ("partialupdate", Some(true))]);
    CsvIn {
        header_lines: header_lines(line),
        delimiter: delimiter(line),
        dateformat: line.text("dateformat").or(dateformat),
        add_opcode: line.flag("addcsvopcode", false),
        add_flags,
        no_autogen_field: line.flag("noautogenfield", false),
        upsert: line.flag("publishwithupsert", false),
        na_is_null: line.flag("naisnull", false),
        ignore_errors: line.flag("ignorecsvparseerrors", false),
    }
}

fn delimiter(line: &mut Values<'_>) -> u8 {
    let Some(setting) = line.setting("csvfielddelimiter").cloned() else {
        return b',';
    };
    match setting.value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
        b"\\t" => b'\t',
        _ => {
            let message = format!("`csvfielddelimiter` is `{}`, expected one character such as `;`", setting.value);
            line.refuse(&setting.place, message);
            b','
        }
    }
}

/// A number of lines; `true` is one.
fn header_lines(line: &mut Values<'_>) -> u64 {
    match line.setting("header").map(|setting| setting.value.to_ascii_lowercase()).as_deref() {
        Some("true") => 1,
        Some("false") => 0,
        _ => line.number("header", 0, 0..=1_000_000),
    }
}
