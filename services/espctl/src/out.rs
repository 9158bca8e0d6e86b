//! Printing: data to stdout, everything else to stderr; colour only where somebody sees it; tables and times.

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::io::{IsTerminal, Write};

/// Something is wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Something needs attention.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// All is well.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Decides about colour once, before anything is printed. `None`: what terminal and environment say.
pub fn set_colour(wanted: Option<bool>) {
    match wanted {
        Some(true) => anstream::ColorChoice::Always.write_global(),
        Some(false) => anstream::ColorChoice::Never.write_global(),
        None => {}
    }
}

/// Prints to stdout.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints a line to stdout.
pub fn line(text: &str) -> std::io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints bytes to stdout as they are.
pub fn bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Prints a value as indented JSON.
pub fn json(value: &impl serde::Serialize) -> std::io::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a line to stderr; nobody reading it is no reason to stop.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints a warning to stderr.
pub fn warning(text: &str) {
    note(&format!("{}: {text}", styled(WARNING, "warning")));
}

/// Text in a style; printing takes the style away where it cannot be shown.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// True when people look at stdout.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    /// Text, on the left.
    Text(&'static str),
    /// Numbers, on the right.
    Number(&'static str),
}

/// A table with one line per row and no rules, so that it can be cut with `awk`.
pub fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| {
        let (Column::Text(name) | Column::Number(name)) = column;
        Cell::new(name)
    }));
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(shape) = table.column_mut(index) {
            shape.set_padding((0, 2));
            if matches!(column, Column::Number(_)) {
                shape.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Microseconds since the Unix epoch as `2026-11-24T16:03:31.123Z`.
pub fn time(us: i64) -> String {
    match jiff::Timestamp::from_microsecond(us) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => format!("{us}us"),
    }
}

/// A duration in a word: `3.2 s`, `450 ms`, `12 min`.
pub fn age(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// `1 topic`, `3 topics`.
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
