//! Texts and regular expressions. Positions count characters from 0.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};

use super::{Call, Entry, MANY, entry, integer, text};
use crate::object::{groups, replace_all};
use crate::scalar::{Outcome, Scalar};

const fn string(
    name: &'static str,
    usage: &'static str,
    count: (usize, usize),
    code: fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>,
) -> Entry {
    entry("string", (name, usage), count, code)
}

const FROM_0: &str = "positions count characters from 0; -1 when there is none";
const RGX: &str = "text first; a constant beside a field is taken as the expression, whichever comes first";

pub(super) const FUNCTIONS: &[Entry] = &[
    string("string", "string(value, ...)", (1, MANY), |_, args| match args {
        [Scalar::Null] => Ok(Scalar::Null),
        _ => made(args.iter().map(text).collect::<String>()),
    })
    .nulls()
    .note("several values become one text, in which null is empty"),
    string("stringV", "stringV(value)", (1, 1), |_, args| made(text(&args[0]))).note("as string"),
    string("outstr", "outstr(value, ...)", (1, MANY), |call, args| {
        let line: String = args.iter().map(text).collect();
        call.state.message(&line);
        made(line)
    })
    .nulls()
    .note("a line in the log; gives the line"),
    string("concat", "concat(value, ...)", (1, MANY), |_, args| made(args.iter().map(text).collect::<String>()))
        .nulls()
        .note("null counts as an empty text"),
    string("concatDelim", "concatDelim(delimiter, value, ...)", (2, MANY), |_, args| {
        let parts: Vec<_> = args[1..].iter().map(text).collect();
        made(parts.join(&text(&args[0])))
    })
    .nulls()
    .note("null counts as an empty text"),
    string("length", "length(text)", (1, 1), |_, args| count(&text(&args[0]))),
    string("stringLength", "stringLength(text)", (1, 1), |_, args| count(&text(&args[0]))),
    string("toLower", "toLower(text)", (1, 1), |_, args| made(text(&args[0]).to_lowercase())),
    string("toUpper", "toUpper(text)", (1, 1), |_, args| made(text(&args[0]).to_uppercase())),
    string("trim", "trim(text)", (1, 1), |_, args| made(text(&args[0]).trim())),
    string("normalizeSpace", "normalizeSpace(text)", (1, 1), |_, args| {
        made(text(&args[0]).split_whitespace().collect::<Vec<_>>().join(" "))
    }),
    string("translate", "translate(text, from, to)", (3, 3), |_, args| {
        let (from, to) = (text(&args[1]), text(&args[2]));
        let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
        let each = |c: char| match from.iter().position(|known| *known == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        };
        made(text(&args[0]).chars().filter_map(each).collect::<String>())
    })
    .note("as in XPath: characters of `from` become those of `to`; those without a partner go"),
    string("replace", "replace(text, part, by)", (3, 3), |_, args| {
        let part = text(&args[1]);
        let (whole, by) = (text(&args[0]), text(&args[2]));
        if part.is_empty() { made(whole) } else { made(whole.replace(&*part, &by)) }
    })
    .note("every occurrence"),
    string("substring", "substring(text, start [, count])", (2, 3), |_, args| {
        let start = usize::try_from(integer(&args[1])?).unwrap_or(0);
        let most = match args.get(2) {
            Some(most) => usize::try_from(integer(most)?).unwrap_or(0),
            None => usize::MAX,
        };
        made(text(&args[0]).chars().skip(start).take(most).collect::<String>())
    })
    .note("the start counts characters from 0"),
    string("substringAfter", "substringAfter(text, part)", (2, 2), |_, args| {
        let (whole, part) = (text(&args[0]), text(&args[1]));
        made(whole.split_once(&*part).map_or("", |(_, after)| after))
    }),
    string("substringBefore", "substringBefore(text, part)", (2, 2), |_, args| {
        let (whole, part) = (text(&args[0]), text(&args[1]));
        made(whole.split_once(&*part).map_or("", |(before, _)| before))
    }),
    string("index", "index(text, part)", (2, 2), |_, args| {
        let whole = text(&args[0]);
        place(&whole, whole.find(&*text(&args[1])))
    })
    .note(FROM_0),
    string("lastIndexOf", "lastIndexOf(text, part)", (2, 2), |_, args| {
        let whole = text(&args[0]);
        place(&whole, whole.rfind(&*text(&args[1])))
    })
    .note(FROM_0),
    string("contains", "contains(text, part)", (2, 2), |_, args| {
        Ok(Scalar::Boolean(text(&args[0]).contains(&*text(&args[1]))))
    }),
    string("startsWith", "startsWith(text, part)", (2, 2), |_, args| {
        Ok(Scalar::Boolean(text(&args[0]).starts_with(&*text(&args[1]))))
    }),
    string("endsWith", "endsWith(text, part)", (2, 2), |_, args| {
        Ok(Scalar::Boolean(text(&args[0]).ends_with(&*text(&args[1]))))
    }),
    string("base64Encode", "base64Encode(text)", (1, 1), |_, args| made(BASE64.encode(text(&args[0]).as_bytes()))),
    string("base64Decode", "base64Decode(text)", (1, 1), |_, args| {
        let packed: String = text(&args[0]).split_whitespace().collect();
        let bytes = BASE64.decode(packed).map_err(|_| "the text is not base64")?;
        made(String::from_utf8_lossy(&bytes).into_owned())
    })
    .note("bytes that are no UTF-8 become U+FFFD"),
    string("urlEncode", "urlEncode(text)", (1, 1), |_, args| made(url_encoded(&text(&args[0])))),
    string("urlDecode", "urlDecode(text)", (1, 1), |_, args| made(url_decoded(&text(&args[0])))),
    string("rgx", "rgx(text, expression [, group])", (2, 3), found).note(RGX),
    string("rgxV", "rgxV(text, expression [, group])", (2, 3), found).note("as rgx"),
    string("rgxMatch", "rgxMatch(text, expression)", (2, 2), |call, args| {
        Ok(Scalar::Boolean(first(call, args)?.is_some()))
    })
    .note(RGX),
    string("rgxIndex", "rgxIndex(text, expression)", (2, 2), |call, args| {
        let at = first(call, args)?.and_then(|found| found[0]).map(|(start, _)| start);
        place(&text(&args[0]), at)
    })
    .note("position of the first match, from 0; -1 when there is none"),
    string("rgxReplace", "rgxReplace(text, expression, by)", (3, 3), |call, args| replaced(call, args, 1))
        .note("the first match; groups are $1, $2, ..."),
    string("rgxReplaceAll", "rgxReplaceAll(text, expression, by)", (3, 3), |call, args| replaced(call, args, 0))
        .note("every match; groups are $1, $2, ..."),
    string("rgxToken", "rgxToken(text, expression, index)", (3, 3), |call, args| {
        let at = usize::try_from(integer(&args[2])?).unwrap_or(usize::MAX);
        Ok(tokens(call, args)?.into_iter().nth(at).map_or(Scalar::Null, Scalar::text))
    })
    .note("the parts between matches, from 0; null when there is none"),
    string("rgxFirstToken", "rgxFirstToken(text, expression)", (2, 2), |call, args| {
        Ok(tokens(call, args)?.into_iter().next().map_or(Scalar::Null, Scalar::text))
    }),
    string("rgxLastToken", "rgxLastToken(text, expression)", (2, 2), |call, args| {
        Ok(tokens(call, args)?.pop().map_or(Scalar::Null, Scalar::text))
    }),
];

fn made<'t>(text: impl Into<std::borrow::Cow<'t, str>>) -> Outcome<'static> {
    Ok(Scalar::text(text.into().into_owned()))
}

fn count(text: &str) -> Outcome<'static> {
    Ok(Scalar::Integer(text.chars().count() as i64))
}

/// A byte position as one in characters.
fn place(text: &str, at: Option<usize>) -> Outcome<'static> {
    Ok(Scalar::Integer(at.map_or(-1, |at| text[..at].chars().count() as i64)))
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn url_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const BAD_EXPRESSION: &str = "the regular expression is wrong";

fn first(call: &mut Call<'_>, args: &[Scalar<'_>]) -> Result<Option<crate::object::Groups>, &'static str> {
    let regex = call.state.patterns.get(&text(&args[1])).ok_or(BAD_EXPRESSION)?;
    groups(&regex, &text(&args[0]), 0)
}

fn found(call: &mut Call<'_>, args: &[Scalar<'_>]) -> Outcome<'static> {
    let group = match args.get(2) {
        Some(group) => usize::try_from(integer(group)?).unwrap_or(usize::MAX),
        None => 0,
    };
    let range = first(call, args)?.and_then(|found| found.get(group).copied().flatten());
    Ok(range.map_or(Scalar::Null, |(start, end)| Scalar::text(text(&args[0])[start..end].to_owned())))
}

fn replaced(call: &mut Call<'_>, args: &[Scalar<'_>], limit: usize) -> Outcome<'static> {
    let regex = call.state.patterns.get(&text(&args[1])).ok_or(BAD_EXPRESSION)?;
    replace_all(&regex, &text(&args[0]), &text(&args[2]), limit).map(Scalar::text)
}

/// The parts between matches.
fn tokens(call: &mut Call<'_>, args: &[Scalar<'_>]) -> Result<Vec<String>, &'static str> {
    let regex = call.state.patterns.get(&text(&args[1])).ok_or(BAD_EXPRESSION)?;
    let whole = text(&args[0]);
    let mut parts = Vec::new();
    let (mut start, mut from) = (0, 0);
    while from <= whole.len() {
        let Some(Some((open, close))) = groups(&regex, &whole, from)?.map(|found| found[0]) else { break };
        if close > open {
            parts.push(whole[start..open].to_owned());
            start = close;
            from = close;
        } else {
            from = close + whole[close..].chars().next().map_or(1, char::len_utf8);
        }
    }
    parts.push(whole[start..].to_owned());
    Ok(parts)
}
