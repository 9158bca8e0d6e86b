//! The words of a Lua text and where they stand; texts and comments are passed over.

use std::ops::Range;

/// A word or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub text: &'a str,
    pub range: Range<usize>,
    pub line: u32,
    /// True for a quoted text.
    pub quoted: bool,
}

/// The tokens of a text. What is no Lua gives some tokens: the compiler says what is wrong.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let start = at;
        let (mut kept, mut quoted) = (true, false);
        match bytes[at] {
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                kept = false;
                at = long_end(bytes, at + 2).unwrap_or_else(|| {
                    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| at + end)
                });
            }
            b'[' if long_end(bytes, at).is_some() => {
                quoted = true;
                at = long_end(bytes, at).unwrap_or(bytes.len());
            }
            quote @ (b'"' | b'\'') => {
                quoted = true;
                at += 1;
                while at < bytes.len() && bytes[at] != quote && bytes[at] != b'\n' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
            }
            byte if byte.is_ascii_whitespace() => {
                kept = false;
                at += 1;
            }
            byte if is_word(byte) => {
                while at < bytes.len() && is_word(bytes[at]) {
                    at += 1;
                }
            }
            b'=' | b'<' | b'>' | b'~' if bytes.get(at + 1) == Some(&b'=') => at += 2,
            _ => {
                at += 1;
                while !text.is_char_boundary(at) {
                    at += 1;
                }
            }
        }
        if kept {
            found.push(Token { text: &text[start..at], range: start..at, line, quoted });
        }
        line += bytes[start..at].iter().filter(|byte| **byte == b'\n').count() as u32;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The end of a long bracket `[==[ ... ]==]` that opens at `at`.
fn long_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let level = bytes[at + 1..].iter().take_while(|byte| **byte == b'=').count();
    if bytes.get(at + 1 + level) != Some(&b'[') {
        return None;
    }
    let close: Vec<u8> = [&b"]"[..], &vec![b'='; level], b"]"].concat();
    let from = at + level + 2;
    let end = bytes[from..].windows(close.len()).position(|window| window == close);
    Some(end.map_or(bytes.len(), |end| from + end + close.len()))
}
