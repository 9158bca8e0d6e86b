//! Word vectors: a line for each word, the word first, then numbers.

use std::collections::BTreeMap;

/// The vectors of words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WordVectors(BTreeMap<Box<str>, Box<[f64]>>);

/// Names of delimiters.
const NAMED: [(&str, char); 7] =
    [("COMMA", ','), ("TAB", '\t'), ("SPACE", ' '), ("BLANK", ' '), ("SEMICOLON", ';'), ("COLON", ':'), ("PIPE", '|')];

impl WordVectors {
    /// Reads lines; `delimiter`: a name, a character, or nothing for the first of tab, comma and blank that the first line
    /// has. Lines may have different lengths; of a word that stands twice the last line holds.
    pub(crate) fn parse(text: &str, delimiter: &str) -> Result<WordVectors, String> {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let named =
            NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(delimiter)).map(|(_, delimiter)| *delimiter);
        let mut letters = delimiter.chars();
        let delimiter = match (named, letters.next(), letters.next()) {
            (Some(named), ..) => named,
            (None, None, _) => ['\t', ',', ' '].into_iter().find(|known| first.contains(*known)).unwrap_or(' '),
            (None, Some(letter), None) => letter,
            _ => {
                return Err(
                    "wordVecDelimiter is one character, or COMMA, TAB, SPACE, SEMICOLON, COLON, PIPE".to_owned()
                );
            }
        };
        let mut vectors = BTreeMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let mut parts = line.trim_end_matches(['\r', '\n']).split(delimiter);
            let word = parts.next().unwrap_or_default().trim();
            // several blanks in a row, and one at the end, are common where a blank separates
            let parts = parts.map(str::trim).filter(|part| delimiter != ' ' || !part.is_empty());
            let number =
                |part: &str| part.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(part.to_owned());
            let numbers: Box<[f64]> = parts.map(number).collect::<Result<_, String>>().map_err(|part| {
                format!("line {}: expected numbers behind the word `{word}`, found `{part}`", at + 1)
            })?;
            vectors.insert(word.into(), numbers);
        }
        if vectors.is_empty() { Err("it holds no word".to_owned()) } else { Ok(WordVectors(vectors)) }
    }

    /// The vector of a word.
    pub fn of(&self, word: &str) -> Option<&[f64]> {
        self.0.get(word).map(|vector| &**vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_each_delimiter() {
        for (text, delimiter) in [
            ("a,1,2.5\n\nb,-3e2\n", "comma"),
            ("a 1  2.5 \r\nb -3e2", ""),
            ("a\t1\t2.5\nb\t-3e2", ""),
            ("a,1,2.5\nb,-3e2", ""),
            ("a|9\na|1|2.5\nb|-3e2", "|"),
        ] {
            let vectors = WordVectors::parse(text, delimiter).expect(text);
            assert_eq!(vectors.of("a"), Some(&[1.0, 2.5][..]), "{text}");
            assert_eq!(vectors.of("b"), Some(&[-300.0][..]), "{text}");
            assert_eq!(vectors.of("A"), None);
        }
    }

    #[test]
    fn what_is_no_vector_is_named() {
        let wrong = |text: &str, delimiter: &str| WordVectors::parse(text, delimiter).err();
        assert_eq!(wrong("a,1\nb,x", ",").as_deref(), Some("line 2: expected numbers behind the word `b`, found `x`"));
        assert_eq!(wrong(" \n", "").as_deref(), Some("it holds no word"));
        assert!(wrong("a,1", "and").is_some_and(|text| text.contains("one character")));
    }
}
