//! The values of an algorithm's parameters.

use std::collections::BTreeMap;

use std::sync::Arc;

use super::{Domain, Parameter, WordVectors};

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// A whole number.
    Count(i64),
    /// A number.
    Real(f64),
    /// Yes or no.
    Flag(bool),
    /// A text, or one of several names.
    Text(String),
    /// Numbers.
    Numbers(Vec<f64>),
    /// The vectors of words.
    Vectors(Arc<WordVectors>),
}

/// A value for each parameter of an algorithm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// What holds where nothing is given.
    pub fn defaults(parameters: &'static [Parameter]) -> Settings {
        let setting = |domain: &Domain| match domain {
            Domain::Count { default, .. } => Setting::Count(*default),
            Domain::Real { default, .. } => Setting::Real(*default),
            Domain::Flag { default } => Setting::Flag(*default),
            Domain::Choice { default, .. } | Domain::Text { default } => Setting::Text((*default).to_owned()),
            Domain::Shares { default } => Setting::Numbers(default.to_vec()),
            Domain::Vectors => Setting::Vectors(Arc::default()),
        };
        Settings(parameters.iter().map(|parameter| (parameter.name, setting(&parameter.domain))).collect())
    }

    /// Reads a value; what is expected when the text is none.
    pub(crate) fn set(&mut self, parameter: &'static Parameter, text: &str) -> Result<(), String> {
        let value = match &parameter.domain {
            // Public models write whole numbers as `10.0` too.
            Domain::Count { min, max, .. } => {
                let number = text.parse::<i64>().ok().or_else(|| whole(text));
                match number.filter(|number| (min..=max).contains(&number)) {
                    Some(number) => Setting::Count(number),
                    None => return Err(format!("a whole number from {min} to {max}")),
                }
            }
            Domain::Real { min, max, .. } => {
                match text.parse::<f64>().ok().filter(|number| (min..=max).contains(&number)) {
                    Some(number) => Setting::Real(number),
                    None => return Err(format!("a number from {min} to {max}")),
                }
            }
            Domain::Flag { .. } => match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" => Setting::Flag(true),
                "0" | "false" | "no" | "" => Setting::Flag(false),
                _ => return Err("1 or 0".to_owned()),
            },
            Domain::Choice { names, .. } => match names.iter().find(|name| name.eq_ignore_ascii_case(text)) {
                Some(name) => Setting::Text((*name).to_owned()),
                None => return Err(format!("one of {}", names.join(", "))),
            },
            Domain::Text { .. } => Setting::Text(text.to_owned()),
            // What the file holds is looked up when all parameters are known.
            Domain::Vectors => return Ok(()),
            Domain::Shares { .. } => {
                let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
                let numbers: Option<Vec<f64>> =
                    parts.map(|part| part.parse().ok().filter(|part| (0.0..=1.0).contains(part))).collect();
                match numbers {
                    Some(numbers) => Setting::Numbers(numbers),
                    None => return Err("numbers from 0 to 1 with commas between them".to_owned()),
                }
            }
        };
        self.0.insert(parameter.name, value);
        Ok(())
    }

    /// Puts in what a file of word vectors holds.
    pub(crate) fn put_vectors(&mut self, name: &'static str, vectors: WordVectors) {
        self.0.insert(name, Setting::Vectors(Arc::new(vectors)));
    }

    fn get(&self, name: &str) -> &Setting {
        self.0.get(name).expect("an algorithm asks for the parameters of its table only")
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> i64 {
        match self.get(name) {
            Setting::Count(number) => *number,
            other => unreachable!("parameter `{name}` of the table is {other:?}"),
        }
    }

    /// A whole number that is not negative.
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).expect("the table gives counts a minimum of 0 or more")
    }

    /// A number.
    pub fn real(&self, name: &str) -> f64 {
        match self.get(name) {
            Setting::Real(number) => *number,
            other => unreachable!("parameter `{name}` of the table is {other:?}"),
        }
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Setting::Flag(flag) => *flag,
            other => unreachable!("parameter `{name}` of the table is {other:?}"),
        }
    }

    /// A text or a name.
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Setting::Text(text) => text,
            other => unreachable!("parameter `{name}` of the table is {other:?}"),
        }
    }

    /// Numbers.
    pub fn numbers(&self, name: &str) -> &[f64] {
        match self.get(name) {
            Setting::Numbers(numbers) => numbers,
            other => unreachable!("parameter `{name}` of the table is {other:?}"),
        }
    }
    /// The vectors of words.
    pub fn vectors(&self, name: &str) -> &Arc<WordVectors> {
        match self.get(name) {
            Setting::Vectors(vectors) => vectors,
            other => unreachable!("parameter `{name}` of the table is {other:?}"),
        }
    }
}

fn whole(text: &str) -> Option<i64> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}
