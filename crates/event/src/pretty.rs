//! Blocks as short texts, so that tests of windows read like tables.
//!
//! One event a line: the opcode's letters, perhaps `/` and the flags' letters, then a word for each field:
//!
//! ```text
//! I   1 4.5 "two words"
//! UB  5 3   .
//! D/R 5 2   x
//! ```
//!
//! `.` is null; text with blanks, quotes, or that is `.` or empty stands in quotes with `\"`, `\\` and `\n`; money is
//! a decimal number; dates and stamps are integers; blobs are base64; arrays are `[1;2]`; `#` starts a comment line.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::csv::{CsvOutOptions, encode_value, parse_value};
use crate::{Block, ColumnBuilder, ColumnData, FieldType, Flags, Opcode, Schema, Value};

impl Block {
    /// Reads the text form; empty lines are skipped.
    ///
    /// # Panics
    /// When a line does not fit the schema, with line, word and what was expected: this is for tests.
    pub fn from_pretty(schema: &Arc<Schema>, text: &str) -> Block {
        let mut builders: Vec<_> = schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, 4)).collect();
        let mut opcodes = Vec::new();
        let mut flags = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = number + 1;
            let mut words = words(line, number);
            let (first, _) = words.remove(0);
            let (opcode, flag) = first.split_once('/').unwrap_or((&first, ""));
            opcodes.push(
                Opcode::parse(opcode.as_bytes()).unwrap_or_else(|| {
                    panic!("line {number} `{line}`: expected I, U, P, D, SD or UB, found `{opcode}`")
                }),
            );
            flags.push(
                Flags::parse(flag.as_bytes())
                    .unwrap_or_else(|| panic!("line {number} `{line}`: expected flags N, P, R, found `{flag}`")),
            );
            assert_eq!(words.len(), builders.len(), "line {number} `{line}`: values, one for each field of {schema}");
            for ((builder, field), (word, quoted)) in builders.iter_mut().zip(schema.fields()).zip(words) {
                let value = value(&word, quoted, field.ty).unwrap_or_else(|expected| {
                    panic!("line {number} `{line}`: field `{}`: expected {expected}, found `{word}`", field.name)
                });
                assert!(builder.push(&value), "a value read as {} is one", field.ty);
            }
        }
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Block::new(schema.clone(), opcodes, flags, columns)
    }

    /// The text form, columns aligned, a line break behind each event.
    pub fn to_pretty(&self) -> String {
        let rows: Vec<Vec<String>> = (0..self.len()).map(|row| self.pretty_row(row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..=self.columns.len()).map(width).collect();
        let mut out = String::new();
        for row in &rows {
            for (i, word) in row.iter().enumerate() {
                let gap = if i == 0 { "" } else { " " };
                // nothing but the word at the end of a line
                let width = if i + 1 == row.len() { 0 } else { widths[i] };
                write!(out, "{gap}{word:width$}").expect("a string takes all that is written");
            }
            out.push('\n');
        }
        out
    }

    fn pretty_row(&self, row: usize) -> Vec<String> {
        let mut first = self.opcodes[row].letters().to_owned();
        if self.flags[row] != Flags::NORMAL {
            first.push('/');
            first.push_str(self.flags[row].letters());
        }
        let values = self.columns.iter().map(|column| match &column.data {
            _ if column.is_null(row) => ".".to_owned(),
            ColumnData::String(_) => pretty_text(column.str(row)),
            ColumnData::Double(v) => v[row].to_string(),
            ColumnData::ArrayDouble(v) => {
                format!("[{}]", v[row].iter().map(f64::to_string).collect::<Vec<_>>().join(";"))
            }
            _ => {
                let mut out = Vec::new();
                encode_value(column, row, &CsvOutOptions::default(), &mut out);
                String::from_utf8(out).expect("numbers, arrays and base64 are ASCII")
            }
        });
        std::iter::once(first).chain(values).collect()
    }
}

fn value(word: &str, quoted: bool, ty: FieldType) -> Result<Value, String> {
    if word == "." && !quoted {
        return Ok(Value::Null);
    }
    parse_value(word.as_bytes(), ty)
}

fn pretty_text(text: &str) -> String {
    let plain = !text.is_empty()
        && text != "."
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\'));
    if plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The words of a line, each with whether it was quoted.
fn words(line: &str, number: usize) -> Vec<(String, bool)> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if first != '"' {
            word.push(first);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
            words.push((word, false));
            continue;
        }
        loop {
            match chars.next().unwrap_or_else(|| panic!("line {number} `{line}`: expected a closing quote")) {
                '"' => break,
                '\\' => match chars.next() {
                    Some('n') => word.push('\n'),
                    Some('r') => word.push('\r'),
                    Some(c) => word.push(c),
                    None => panic!("line {number} `{line}`: expected a character behind the backslash"),
                },
                c => word.push(c),
            }
        }
        words.push((word, true));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_block;
    use proptest::prelude::*;

    fn schema(text: &str) -> Arc<Schema> {
        Arc::new(Schema::parse(text).unwrap())
    }

    #[test]
    fn a_table_of_events() {
        let schema = schema("id*:int64,price:double,name:string,cost:money,parts:array(i32)");
        let block = Block::from_pretty(
            &schema,
            r#"
            # an insert, an update block, a delete by retention
            I 1 4.5 "two words" 1.5 [1;2]
            UB 5 3 . . []
            D 5 2 x 0.0001 .
            d/r 1 4.5 "." 7 .
            "#,
        );
        assert_eq!(block.opcodes, [Opcode::Insert, Opcode::UpdateBlock, Opcode::Delete, Opcode::Delete]);
        assert_eq!(block.flags[3], Flags::RETENTION);
        assert_eq!(block.row(1)[1..4], [Value::Double(3.0), Value::Null, Value::Null]);
        assert_eq!(
            block.to_pretty(),
            "I   1 4.5 \"two words\" 1.50   [1;2]\n\
             UB  5 3   .           .      []\n\
             D   5 2   x           0.0001 .\n\
             D/R 1 4.5 \".\"         7.00   .\n"
        );
    }

    #[test]
    #[should_panic(expected = "line 2 `I x`: field `id`: expected int64, found `x`")]
    fn a_wrong_value_is_located() {
        Block::from_pretty(&schema("id*:int64"), "I 1\nI x");
    }

    #[test]
    #[should_panic(expected = "line 1 `Z 1`: expected I, U, P, D, SD or UB, found `Z`")]
    fn a_wrong_opcode_is_located() {
        Block::from_pretty(&schema("id*:int64"), "Z 1");
    }

    #[test]
    #[should_panic(expected = "line 1 `I 1 2`: values, one for each field of id*:int64")]
    fn a_wrong_number_of_values_is_located() {
        Block::from_pretty(&schema("id*:int64"), "I 1 2");
    }

    proptest! {
        #[test]
        fn blocks_come_back(block in any_block(10)) {
            let mut block = block;
            block.kind = crate::BlockKind::Normal;
            prop_assert_eq!(Block::from_pretty(&block.schema, &block.to_pretty()), block);
        }
    }
}
