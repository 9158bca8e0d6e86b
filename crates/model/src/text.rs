//! Text of the file after decoding, substitution and trimming, that still knows where each of its bytes came from.

use std::ops::Range;

/// Decoded text with the place of every byte in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    text: String,
    /// Start and end in the file of what became each byte.
    places: Vec<(usize, usize)>,
    /// Where the text begins in the file; the place of an empty text.
    start: usize,
}

impl Text {
    fn empty(start: usize) -> Text {
        Text { text: String::new(), places: Vec::new(), start }
    }

    /// Decodes the content of an element: character data, CDATA, entities; comments and instructions are left out.
    /// Stops at the first tag.
    pub fn of_content(xml: &str, range: Range<usize>) -> Text {
        let mut text = Text::empty(range.start);
        let mut at = range.start;
        while at < range.end {
            let rest = &xml[at..range.end];
            let length = |end: &str| rest.find(end).map_or(rest.len(), |found| found + end.len());
            if rest.starts_with("<![CDATA[") {
                let length = length("]]>");
                let inner = &rest[9..length.saturating_sub(3).max(9)];
                text.push(inner, |i| (at + 9 + i, at + 10 + i));
                at += length;
            } else if rest.starts_with("<!--") {
                at += length("-->");
            } else if rest.starts_with("<?") {
                at += length("?>");
            } else if rest.starts_with('<') {
                break;
            } else {
                at = text.push_decoded(xml, at);
            }
        }
        text
    }

    /// Decodes the value of an attribute.
    pub fn of_attribute(xml: &str, range: Range<usize>) -> Text {
        let mut text = Text::empty(range.start);
        let mut at = range.start;
        while at < range.end {
            at = text.push_decoded(xml, at);
        }
        text
    }

    fn push(&mut self, part: &str, place: impl Fn(usize) -> (usize, usize)) {
        self.text.push_str(part);
        self.places.extend((0..part.len()).map(place));
    }

    /// Adds one character or entity; gives the offset behind it.
    fn push_decoded(&mut self, xml: &str, at: usize) -> usize {
        let rest = &xml[at..];
        if let Some((entity, _)) = rest.strip_prefix('&').and_then(|rest| rest.split_once(';'))
            && let Some(c) = decoded(entity)
        {
            let end = at + entity.len() + 2;
            self.push(c.encode_utf8(&mut [0; 4]), |_| (at, end));
            return end;
        }
        let Some(c) = rest.chars().next() else { return at + 1 };
        let end = at + c.len_utf8();
        self.push(c.encode_utf8(&mut [0; 4]), |_| (at, end));
        end
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Where a part of the text stands in the file; of an empty part, the place before it.
    pub fn span(&self, part: Range<usize>) -> Range<usize> {
        let after_last = self.places.last().map_or(self.start, |place| place.1);
        let start = self.places.get(part.start).map_or(after_last, |place| place.0);
        match part.end.checked_sub(1).filter(|_| part.end > part.start).and_then(|last| self.places.get(last)) {
            Some(last) => start..last.1.max(start),
            None => start..start,
        }
    }

    /// Where the whole text stands.
    pub fn full_span(&self) -> Range<usize> {
        self.span(0..self.text.len())
    }

    pub fn part(&self, range: Range<usize>) -> Text {
        let start = self.span(range.start..range.start).start;
        Text { text: self.text[range.clone()].to_owned(), places: self.places[range].to_vec(), start }
    }

    /// Without white space at both ends.
    pub fn trimmed(&self) -> Text {
        let start = self.text.len() - self.text.trim_start().len();
        let end = start + self.text.trim().len();
        self.part(start..end)
    }

    /// The words between white space.
    pub fn words(&self) -> Vec<Text> {
        self.parts_between(char::is_whitespace)
    }

    /// The names of a list, between white space and commas.
    pub fn list(&self) -> Vec<Text> {
        self.parts_between(|c| c.is_whitespace() || c == ',')
    }

    fn parts_between(&self, gap: impl Fn(char) -> bool) -> Vec<Text> {
        let mut words = Vec::new();
        let mut start = None;
        for (at, c) in self.text.char_indices().chain([(self.text.len(), ' ')]) {
            match (start, gap(c)) {
                (None, false) => start = Some(at),
                (Some(from), true) => {
                    words.push(self.part(from..at));
                    start = None;
                }
                _ => {}
            }
        }
        words
    }

    /// Replaces `@NAME@`; names for which `lookup` has nothing stay, and are handed to `unknown`.
    pub fn substituted(
        &self,
        lookup: &impl Fn(&str) -> Option<String>,
        unknown: &mut impl FnMut(&str, Range<usize>),
    ) -> Text {
        let mut text = self.clone();
        // A value may hold names again; a value that holds itself ends here.
        for _ in 0..MAX_SUBSTITUTIONS {
            let (next, replaced) = text.substituted_once(lookup);
            text = next;
            if !replaced {
                break;
            }
        }
        for (range, name) in names(&text.text) {
            if lookup(&name).is_none() {
                unknown(&name, text.span(range));
            }
        }
        text
    }

    fn substituted_once(&self, lookup: &impl Fn(&str) -> Option<String>) -> (Text, bool) {
        let mut text = Text::empty(self.start);
        let mut at = 0;
        for (range, name) in names(&self.text) {
            if text.text.len() > MAX_TEXT_BYTES {
                break;
            }
            if let Some(value) = lookup(&name) {
                let span = self.span(range.clone());
                text.push(&self.text[at..range.start], |i| self.places[at + i]);
                text.push(&value, |_| (span.start, span.end));
                at = range.end;
            }
        }
        text.push(&self.text[at..], |i| self.places[at + i]);
        (text, at > 0)
    }
}

/// Deepest nesting of properties within properties.
const MAX_SUBSTITUTIONS: usize = 8;
/// Length beyond which nothing more is replaced in a text.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The `@NAME@` of a text.
fn names(text: &str) -> Vec<(Range<usize>, String)> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('@').map(|found| at + found) {
        let rest = &text[start + 1..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c))).unwrap_or(rest.len());
        if length > 0 && rest[length..].starts_with('@') {
            names.push((start..start + length + 2, rest[..length].to_owned()));
            at = start + length + 2;
        } else {
            at = start + 1;
        }
    }
    names
}

fn decoded(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_knows_its_place() {
        let xml = "<e> a &lt; <![CDATA[b & c]]><!-- no --> d</e>";
        let text = Text::of_content(xml, 3..xml.len() - 4);
        assert_eq!(text.as_str(), " a < b & c d");
        let at = |part: &str| text.as_str().find(part).unwrap();
        assert_eq!(&xml[text.span(at("<")..at("<") + 1)], "&lt;");
        assert_eq!(&xml[text.span(at("b")..at("b") + 1)], "b");
        assert_eq!(&xml[text.span(at("c")..at("c") + 1)], "c");
        assert_eq!(text.trimmed().words().len(), 6);
        assert_eq!(&xml[text.trimmed().span(0..1)], "a");
    }

    #[test]
    fn properties_are_replaced_and_unknown_ones_stay() {
        let xml = "@HOST@:@PORT@ a@b @X@";
        let lookup = |name: &str| match name {
            "HOST" => Some("@H@.example".to_owned()),
            "H" => Some("h".to_owned()),
            "PORT" => Some("9092".to_owned()),
            _ => None,
        };
        let mut unknown = Vec::new();
        let text = Text::of_attribute(xml, 0..xml.len())
            .substituted(&lookup, &mut |name, span| unknown.push((name.to_owned(), span)));
        assert_eq!(text.as_str(), "h.example:9092 a@b @X@");
        assert_eq!(unknown, [("X".to_owned(), 18..21)]);
        let endless = Text::of_attribute("@A@", 0..3).substituted(&|_| Some("@A@@A@".into()), &mut |_, _| {});
        assert!(endless.as_str().len() < 3000);
    }
}
