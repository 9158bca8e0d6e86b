//! Tokenization, TFIDF, TextVectorization: the words of texts, how telling each is, where each stands in a space.

use std::collections::BTreeMap;

use std::sync::Arc;

use mesh_event::Value;
use mesh_model::{Settings, WordVectors};

use super::event::{Event, list};
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct Tokenization;

/// A word with the numbers of its first and last letter.
struct Word {
    text: String,
    start: usize,
    end: usize,
}

/// Letters and digits, with apostrophes between letters.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut letters = text.chars().enumerate().peekable();
    let mut inside = false;
    while let Some((at, letter)) = letters.next() {
        let joins = matches!(letter, '\'' | '\u{2019}')
            && inside
            && letters.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if !letter.is_alphanumeric() && !joins {
            inside = false;
            continue;
        }
        match words.last_mut() {
            Some(word) if inside => {
                word.text.push(letter);
                word.end = at;
            }
            _ => words.push(Word { text: letter.to_string(), start: at, end: at }),
        }
        inside = true;
    }
    words
}

impl Method for Tokenization {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Value::String(text) = event.value(1) else { return };
        out.extend(words(&text).into_iter().enumerate().map(|(token, word)| {
            let number = |number: usize| Value::Int64(number as i64);
            let text = Value::String(word.text.as_str().into());
            vec![Value::Null, number(token), text, number(word.start), number(word.end)]
        }));
    }

    fn save(&self, _to: &mut Writer<'_>) {}

    fn restore(&mut self, _from: &mut Reader<'_>) -> Result<(), Damage> {
        Ok(())
    }
}

pub(crate) struct Tfidf {
    documents: u64,
    /// Documents with a token.
    of_token: BTreeMap<String, u64>,
    /// The document under way, how often it has each token, and its tokens in all.
    document: Value,
    counts: BTreeMap<String, u64>,
    tokens: u64,
    /// Letters of the keys of `of_token`.
    letters: usize,
}

impl Default for Tfidf {
    fn default() -> Tfidf {
        Tfidf {
            documents: 0,
            of_token: BTreeMap::new(),
            document: Value::Null,
            counts: BTreeMap::new(),
            tokens: 0,
            letters: 0,
        }
    }
}

impl Method for Tfidf {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let (document, Value::String(token)) = (event.value(0), event.value(2)) else { return };
        if document.is_null() {
            return;
        }
        if document != self.document || self.documents == 0 {
            self.documents += 1;
            self.document = document;
            self.counts.clear();
            self.tokens = 0;
        }
        self.tokens += 1;
        let count = self.counts.entry(token.to_string()).or_insert(0);
        *count += 1;
        let documents = match self.of_token.get_mut(&*token) {
            Some(documents) => {
                *documents += u64::from(*count == 1);
                *documents
            }
            None => {
                self.letters += token.len();
                self.of_token.insert(token.to_string(), 1);
                1
            }
        };
        let tf = *count as f64 / self.tokens as f64;
        let idf = libm::log(self.documents as f64 / documents as f64);
        let values = [tf, idf, tf * idf].map(Value::Double);
        let mut results = vec![Value::Null, Value::Null, Value::String(token)];
        results.extend(values.iter().cloned());
        results.extend(values);
        out.push(results);
    }

    fn bytes(&self) -> usize {
        self.letters + (self.of_token.len() + self.counts.len()) * size_of::<(String, u64)>()
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.documents);
        to.put(&self.of_token);
        to.put(&self.document);
        to.put(&self.counts);
        to.put(&self.tokens);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.documents = from.get()?;
        self.of_token = from.get()?;
        self.document = from.get()?;
        self.counts = from.get()?;
        self.tokens = from.get()?;
        self.letters = self.of_token.keys().map(String::len).sum();
        // No engine lives long enough to count so far; adding one must not overflow.
        let counts = self.of_token.values().chain(self.counts.values()).chain([&self.documents, &self.tokens]);
        if counts.copied().any(|count| count > u64::MAX / 2) {
            return Err(Damage::Broken("a count is beyond all documents"));
        }
        Ok(())
    }
}

/// The vectors of words, or the mean of those of a document so far.
pub(crate) struct Vectorization {
    words: Arc<WordVectors>,
    of_documents: bool,
    /// The document under way, the sums of its components, and how many of its words have each.
    document: Value,
    sums: Vec<f64>,
    counts: Vec<u64>,
}

impl Vectorization {
    pub(crate) fn new(settings: &Settings) -> Vectorization {
        Vectorization {
            words: Arc::clone(settings.vectors("wordVec")),
            of_documents: settings.flag("outputDocVec"),
            document: Value::Null,
            sums: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// Adds a word of a document; the mean of its words so far, none before a known one.
    fn mean(&mut self, document: Value, vector: Option<&[f64]>) -> Option<Vec<f64>> {
        if document != self.document {
            self.document = document;
            self.sums.clear();
            self.counts.clear();
        }
        let vector = vector.unwrap_or_default();
        let length = self.sums.len().max(vector.len());
        self.sums.resize(length, 0.0);
        self.counts.resize(length, 0);
        for ((sum, count), x) in self.sums.iter_mut().zip(&mut self.counts).zip(vector) {
            *sum += x;
            *count += 1;
        }
        let mean = self.sums.iter().zip(&self.counts).map(|(sum, count)| sum / *count as f64);
        (length > 0).then(|| mean.collect())
    }
}

impl Method for Vectorization {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Value::String(token) = event.value(2) else { return };
        let words = Arc::clone(&self.words);
        let vector = words.of(&token);
        let vector = if self.of_documents { self.mean(event.value(0), vector) } else { vector.map(<[f64]>::to_vec) };
        out.push(vec![Value::Null, Value::Null, Value::String(token), vector.map_or(Value::Null, list)]);
    }

    fn bytes(&self) -> usize {
        self.sums.len() * size_of::<(f64, u64)>()
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.document);
        to.put(&self.sums);
        to.put(&self.counts);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.document = from.get()?;
        self.sums = from.get()?;
        self.counts = from.get()?;
        if self.sums.len() != self.counts.len() || self.counts.iter().any(|count| *count > u64::MAX / 2) {
            return Err(Damage::Broken("the sums of a document are not those of its words"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_their_places() {
        let found: Vec<(String, usize, usize)> =
            words("Don't  'quote' 3.5 Straße-x").into_iter().map(|word| (word.text, word.start, word.end)).collect();
        let want = [("Don't", 0, 4), ("quote", 8, 12), ("3", 15, 15), ("5", 17, 17), ("Straße", 19, 24), ("x", 26, 26)];
        assert_eq!(found, want.map(|(text, start, end)| (text.to_owned(), start, end)));
    }
}
