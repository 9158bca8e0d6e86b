//! Finds the aggregate functions in the text of an expression.

use std::ops::Range;

/// A call `ESP_aName(arg, arg)` in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The name without `ESP_a`, and where it stands.
    pub name: String,
    pub name_range: Range<usize>,
    /// The whole call.
    pub range: Range<usize>,
    /// Where the arguments stand, without white space around them.
    pub args: Vec<Range<usize>>,
}

/// Beginning of the name of every aggregate function.
const PREFIX: &str = "ESP_a";

/// The calls of a text in order; the position of one without a closing parenthesis as error.
pub(crate) fn calls(text: &str) -> Result<Vec<Call>, Range<usize>> {
    let bytes = text.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (mut calls, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if matches!(bytes[at], b'"' | b'\'') {
            at = text_end(bytes, at);
            continue;
        }
        if !word(at) {
            at += 1;
            continue;
        }
        let start = at;
        while word(at) {
            at += 1;
        }
        let is_call = text[start..at].get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX));
        let open = at + text[at..].len() - text[at..].trim_start().len();
        if !is_call || bytes.get(open) != Some(&b'(') {
            continue;
        }
        let name = text[start + PREFIX.len()..at].to_owned();
        let (args, end) = arguments(text, open).ok_or(start..at)?;
        calls.push(Call { name, name_range: start..at, range: start..end, args });
        at = end;
    }
    Ok(calls)
}

/// The arguments between the parentheses that open at `open`, and the end of the call.
fn arguments(text: &str, open: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let bytes = text.as_bytes();
    let (mut args, mut depth, mut start, mut at) = (Vec::new(), 1, open + 1, open + 1);
    let trimmed = |range: Range<usize>| {
        let part = &text[range.clone()];
        let start = range.start + part.len() - part.trim_start().len();
        start..start + part.trim().len()
    };
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = text_end(bytes, at);
                continue;
            }
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 1 => {
                args.push(trimmed(start..at));
                start = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            let last = trimmed(start..at);
            if !last.is_empty() || !args.is_empty() {
                args.push(last);
            }
            return Some((args, at + 1));
        }
        at += 1;
    }
    None
}

/// The end of a text literal that starts at `at`.
fn text_end(bytes: &[u8], at: usize) -> usize {
    let close = bytes[at + 1..].iter().position(|byte| *byte == bytes[at]);
    close.map_or(bytes.len(), |close| at + 2 + close)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_with_their_arguments() {
        let text = "'ESP_aSum(' & ESP_aSum( qty ) / ESP_aCount() + esp_alag(f(a,b), 2) + ESP_aCat(s,', )')";
        let found = calls(text).expect("every call is closed");
        let texts: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|call| (call.name.as_str(), call.args.iter().map(|arg| &text[arg.clone()]).collect()))
            .collect();
        let want =
            vec![("Sum", vec!["qty"]), ("Count", vec![]), ("lag", vec!["f(a,b)", "2"]), ("Cat", vec!["s", "', )'"])];
        assert_eq!(texts, want);
        assert_eq!(&text[found[1].range.clone()], "ESP_aCount()");
        assert_eq!(calls("1 + ESP_aSum(x"), Err(4..12));
    }
}
