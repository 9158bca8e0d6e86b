//! One field of a line: where it ends, what its quotes and escapes mean.

use memchr::{memchr2, memchr3};

/// The text of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// A part of the line.
    Raw(usize, usize),
    /// In the scratch buffer, since escapes were removed.
    Scratch,
}

/// A field found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// Its text, without quotes.
    pub text: Text,
    /// It was quoted, so that an empty text is not null.
    pub quoted: bool,
    /// Position behind its delimiter or line break.
    pub next: usize,
    /// A line break ended it.
    pub ends_line: bool,
    /// Line breaks inside its quotes.
    pub line_breaks: u64,
}

/// Why there is no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoToken {
    /// The quotes are open at the end of the bytes.
    Open,
    /// Something stands between the closing quote and the delimiter.
    Junk(usize),
}

/// Finds the field that starts at `at`. The bytes end with a line break.
pub(super) fn scan(bytes: &[u8], at: usize, delimiter: u8, scratch: &mut Vec<u8>) -> Result<Token, NoToken> {
    let mut start = at;
    while matches!(bytes.get(start), Some(b' ' | b'\t')) && bytes[start] != delimiter {
        start += 1;
    }
    if bytes.get(start) == Some(&b'"') {
        return scan_quoted(bytes, start + 1, delimiter, scratch);
    }
    let mut is_copied = false;
    let mut from = at;
    let mut search = at;
    loop {
        let Some(found) = memchr3(delimiter, b'\n', b'\\', &bytes[search..]).map(|i| search + i) else {
            return Err(NoToken::Open);
        };
        if bytes[found] == b'\\' {
            search = found + 1;
            if bytes.get(search) == Some(&delimiter) {
                if !is_copied {
                    scratch.clear();
                    is_copied = true;
                }
                scratch.extend_from_slice(&bytes[from..found]);
                from = search;
                search += 1;
            }
            continue;
        }
        let ends_line = bytes[found] == b'\n';
        let end = if ends_line && found > from && bytes[found - 1] == b'\r' { found - 1 } else { found };
        let text = if is_copied {
            scratch.extend_from_slice(&bytes[from..end]);
            Text::Scratch
        } else {
            Text::Raw(from, end)
        };
        return Ok(Token { text, quoted: false, next: found + 1, ends_line, line_breaks: 0 });
    }
}

/// The rest of a quoted field, `at` behind the opening quote.
fn scan_quoted(bytes: &[u8], at: usize, delimiter: u8, scratch: &mut Vec<u8>) -> Result<Token, NoToken> {
    scratch.clear();
    let mut escaped = false;
    let mut from = at;
    let mut search = at;
    let end = loop {
        let found = memchr2(b'"', b'\\', bytes.get(search..).unwrap_or_default()).ok_or(NoToken::Open)?;
        let found = search + found;
        let next = bytes.get(found + 1).copied();
        let is_escape = match bytes[found] {
            b'"' if next == Some(b'"') => true,
            b'"' => break found,
            _ => next.is_some_and(|next| next == b'"' || next == b'\\' || next == delimiter),
        };
        if is_escape {
            scratch.extend_from_slice(&bytes[from..found]);
            escaped = true;
            from = found + 1;
            search = found + 2;
        } else {
            search = found + 1;
        }
    };
    let text = if escaped {
        scratch.extend_from_slice(&bytes[from..end]);
        Text::Scratch
    } else {
        Text::Raw(from, end)
    };
    let line_breaks = memchr::memchr_iter(b'\n', &bytes[at..end]).count() as u64;
    let mut next = end + 1;
    loop {
        match bytes.get(next) {
            Some(&byte) if byte == delimiter => {
                return Ok(Token { text, quoted: true, next: next + 1, ends_line: false, line_breaks });
            }
            Some(b'\n') => return Ok(Token { text, quoted: true, next: next + 1, ends_line: true, line_breaks }),
            Some(b' ' | b'\t' | b'\r') => next += 1,
            Some(_) => return Err(NoToken::Junk(next)),
            None => return Err(NoToken::Open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(String, bool, bool, usize), NoToken> {
        let mut scratch = b"old".to_vec();
        let token = scan(line.as_bytes(), 0, b',', &mut scratch)?;
        let text = match token.text {
            Text::Raw(start, end) => &line.as_bytes()[start..end],
            Text::Scratch => &scratch,
        };
        Ok((String::from_utf8(text.to_vec()).unwrap(), token.quoted, token.ends_line, token.next))
    }

    #[test]
    fn quotes_and_escapes() {
        let plain = |text: &str, ends: bool, next| Ok((text.to_owned(), false, ends, next));
        let quoted = |text: &str, ends: bool, next| Ok((text.to_owned(), true, ends, next));
        assert_eq!(read("abc,d\n"), plain("abc", false, 4));
        assert_eq!(read(" abc\r\n"), plain(" abc", true, 6));
        assert_eq!(read("\r\n"), plain("", true, 2));
        assert_eq!(read("a\\,b\\,c,\n"), plain("a,b,c", false, 8));
        assert_eq!(read("a\\,\r\n"), plain("a,", true, 5));
        assert_eq!(read("C:\\temp\\,\n"), plain("C:\\temp,", true, 10));
        assert_eq!(read("say \"hi\",\n"), plain("say \"hi\"", false, 9));
        assert_eq!(read("\"a,b\",c\n"), quoted("a,b", false, 6));
        assert_eq!(read("\"a\"\"b\"\n"), quoted("a\"b", true, 7));
        assert_eq!(read("\"a\\\"b\" \r\n"), quoted("a\"b", true, 9));
        assert_eq!(read("\"\\\\\"\n"), quoted("\\", true, 5));
        assert_eq!(read("\"a\\tb\"\n"), quoted("a\\tb", true, 7));
        assert_eq!(read("  \"\",x\n"), quoted("", false, 5));
        assert_eq!(read("\"two\nlines\"\n"), quoted("two\nlines", true, 12));
        assert_eq!(read("\"open\n"), Err(NoToken::Open));
        assert_eq!(read("\"open\\"), Err(NoToken::Open));
        assert_eq!(read("\"a\"b,\n"), Err(NoToken::Junk(3)));
    }
}
