//! Takes the condition of a pattern's event apart: terms that need the event alone, and terms with variables.

use std::ops::Range;

use mesh_event::Schema;

/// A term of a condition: its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Term {
    /// Nothing but fields of the event.
    Plain(Range<usize>),
    /// `variable == expression`.
    Bind { variable: String, value: Range<usize> },
    /// Anything else with variables.
    Test(Range<usize>),
}

/// Words that are no variables.
const WORDS: [&str; 22] = [
    "and",
    "or",
    "not",
    "true",
    "false",
    "null",
    "if",
    "then",
    "else",
    "begin",
    "end",
    "return",
    "integer",
    "real",
    "string",
    "boolean",
    "date",
    "static",
    "private",
    "public",
    "esp_opcode",
    "esp_flags",
];

/// The terms of a condition over the fields of `schema`.
pub(crate) fn terms(text: &str, schema: &Schema) -> Vec<Term> {
    let mut terms = Vec::new();
    split(text, 0..text.len(), schema, &mut terms);
    terms
}

fn split(text: &str, range: Range<usize>, schema: &Schema, into: &mut Vec<Term>) {
    let range = unwrapped(text, range);
    let tokens = tokens(text, range.clone());
    if free(text, &tokens, schema).is_empty() {
        into.push(Term::Plain(range));
        return;
    }
    let at_top = |token: &&Token| token.depth == 0;
    let word = |token: &Token| text[token.range.clone()].to_ascii_lowercase();
    let ands: Vec<&Token> = tokens.iter().filter(at_top).filter(|token| word(token) == "and").collect();
    let ors = tokens.iter().filter(at_top).any(|token| word(token) == "or");
    if !ands.is_empty() && !ors {
        let mut start = range.start;
        for and in ands {
            split(text, start..and.range.start, schema, into);
            start = and.range.end;
        }
        split(text, start..range.end, schema, into);
        return;
    }
    let comparisons: Vec<&Token> = tokens.iter().filter(at_top).filter(|token| is_comparison(&word(token))).collect();
    if let [equal] = comparisons.as_slice()
        && word(equal) == "=="
    {
        let left = unwrapped(text, range.start..equal.range.start);
        let value = unwrapped(text, equal.range.end..range.end);
        let variable = &text[left.clone()];
        let one = variable.chars().all(|c| c.is_alphanumeric() || c == '_');
        let left_free = !free(text, &self::tokens(text, left), schema).is_empty();
        if one && left_free && free(text, &self::tokens(text, value.clone()), schema).is_empty() {
            into.push(Term::Bind { variable: variable.to_owned(), value });
            return;
        }
    }
    into.push(Term::Test(range));
}

fn is_comparison(word: &str) -> bool {
    matches!(word, "==" | "!=" | "<>" | "<" | ">" | "<=" | ">=")
}

struct Token {
    range: Range<usize>,
    depth: usize,
    /// A name that is not called.
    name: bool,
}

/// Words and comparisons, outside texts.
fn tokens(text: &str, range: Range<usize>) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut tokens, mut depth, mut at) = (Vec::new(), 0_usize, range.start);
    let is_word =
        |at: usize| at < range.end && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || bytes[at] > 127);
    while at < range.end {
        let start = at;
        match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < range.end && bytes[at] != quote {
                    at += 1;
                }
                at += 1;
            }
            b'(' => {
                depth += 1;
                at += 1;
            }
            b')' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'=' | b'!' | b'<' | b'>' => {
                at += 1;
                while at < range.end && matches!(bytes[at], b'=' | b'>') {
                    at += 1;
                }
                tokens.push(Token { range: start..at, depth, name: false });
            }
            _ if is_word(at) => {
                while is_word(at) {
                    at += 1;
                }
                let called = text[at..range.end].trim_start().starts_with('(');
                let number = bytes[start].is_ascii_digit();
                tokens.push(Token { range: start..at, depth, name: !called && !number });
            }
            _ => at += 1,
        }
    }
    tokens
}

/// Names that are neither fields nor words of the language.
fn free<'t>(text: &'t str, tokens: &[Token], schema: &Schema) -> Vec<&'t str> {
    let names = tokens.iter().filter(|token| token.name).map(|token| &text[token.range.clone()]);
    names
        .filter(|name| schema.index_of(name).is_none() && !WORDS.iter().any(|word| name.eq_ignore_ascii_case(word)))
        .collect()
}

/// Without white space and parentheses around the whole.
fn unwrapped(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    let range = start..start + part.trim().len();
    let part = &text[range.clone()];
    if !part.starts_with('(') || !part.ends_with(')') || part.len() < 2 {
        return range;
    }
    // The parenthesis that opens first must close last.
    let (mut depth, mut quote) = (0, None);
    for (at, byte) in part.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            _ => {}
        }
        if depth == 0 && quote.is_none() && at + 1 < part.len() {
            return range;
        }
    }
    unwrapped(text, range.start + 1..range.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_falls_into_terms() {
        let schema = Schema::parse("id*:int64,flag:int32,symbol:string,price:double,buyer:int64").unwrap();
        let text =
            "((flag==1) and (s == symbol) and ((b==buyer) and price > 3) and (p < price) and (flag==2 or x==price))";
        let found: Vec<String> = terms(text, &schema)
            .into_iter()
            .map(|term| match term {
                Term::Plain(range) => format!("plain {}", &text[range]),
                Term::Bind { variable, value } => format!("bind {variable} {}", &text[value]),
                Term::Test(range) => format!("test {}", &text[range]),
            })
            .collect();
        let want = [
            "plain flag==1",
            "bind s symbol",
            "bind b buyer",
            "plain price > 3",
            "test p < price",
            "test flag==2 or x==price",
        ];
        assert_eq!(found, want);
        assert_eq!(terms("flag == 1 and 'and x' == symbol", &schema).len(), 1);
    }
}
