//! The transport file: `kafka { key = "value" ... } sas { ... }`.
//!
//! Read as tolerantly as the samples are written: `{` on the same or the next line, blanks and quotes optional, `#`
//! comments, an empty `sas { }`. What cannot be read warns with file and line; the rest of the file still counts.

use std::path::Path;

use crate::settings::{Place, Problem, Setting};

/// Largest transport file that is read, in bytes.
pub const CFG_BYTES_MAX: u64 = 1024 * 1024;

/// The settings of a transport file by section, and what could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cfg {
    /// Settings of the `kafka` block.
    pub kafka: Vec<Setting>,
    /// Settings of the `sas` block.
    pub sas: Vec<Setting>,
    /// Lines that could not be read.
    pub warnings: Vec<Problem>,
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Outside,
    Kafka,
    Sas,
    Unknown,
}

/// Takes a transport file apart; `path` is only for the messages.
pub fn parse(text: &str, path: &Path) -> Cfg {
    let mut cfg = Cfg::default();
    let mut section = Section::Outside;
    let mut pending: Option<Section> = None; // a block's name, its `{` not yet seen
    let mut last_line = 0;
    for (i, raw) in text.lines().enumerate() {
        let place = Place::File { path: path.to_owned(), line: i + 1 };
        last_line = i + 1;
        let mut rest = strip_comment(raw.trim_start_matches('\u{feff}')).trim();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('{') {
                match pending.take() {
                    Some(named) => section = named,
                    None => cfg.warn(&place, "`{` without a block name before it, expected `kafka {` or `sas {`"),
                }
                rest = after.trim_start();
            } else if let Some(after) = rest.strip_prefix('}') {
                section = Section::Outside;
                rest = after.trim_start();
            } else if section == Section::Outside && !rest.split('{').next().unwrap_or(rest).contains('=') {
                let (name, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                pending = Some(cfg.section(name.trim(), &place));
                rest = after;
            } else {
                rest = cfg.entry(rest, section, &place);
            }
        }
    }
    if section != Section::Outside {
        let place = Place::File { path: path.to_owned(), line: last_line };
        cfg.warn(&place, "the file ends inside a block, expected `}`; what was read so far counts");
    }
    cfg
}

impl Cfg {
    fn warn(&mut self, place: &Place, message: impl Into<String>) {
        self.warnings.push(Problem { place: place.clone(), message: message.into() });
    }

    fn section(&mut self, name: &str, place: &Place) -> Section {
        match name.to_ascii_lowercase().as_str() {
            "kafka" => Section::Kafka,
            "sas" => Section::Sas,
            _ => {
                self.warn(place, format!("unknown block `{name}` is ignored, expected `kafka` or `sas`"));
                Section::Unknown
            }
        }
    }

    /// Reads one `key = value` and returns what follows it on the line (a `}` or nothing).
    fn entry<'a>(&mut self, text: &'a str, section: Section, place: &Place) -> &'a str {
        let Some((key, value)) = text.split_once('=') else {
            let (word, rest) = text.split_at(text.find('}').unwrap_or(text.len()));
            self.warn(place, format!("`{}` is ignored, expected key = \"value\"", word.trim()));
            return rest;
        };
        let key = key.trim();
        let (value, rest, closed) = take_value(value.trim_start());
        if !closed {
            self.warn(
                place,
                format!("the quote around the value of `{key}` is not closed; taken up to the end of the line"),
            );
        }
        let setting = Setting { key: key.to_ascii_lowercase(), value: value.to_owned(), place: place.clone() };
        match section {
            Section::Kafka => self.kafka.push(setting),
            Section::Sas => self.sas.push(setting),
            Section::Unknown => {}
            Section::Outside => {
                self.warn(
                    place,
                    format!(
                        "`{key}` stands outside of a block and is ignored, expected inside kafka {{ }} or sas {{ }}"
                    ),
                );
            }
        }
        rest
    }
}

/// The value, what follows it, and whether its quote was closed.
fn take_value(text: &str) -> (&str, &str, bool) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return match inner.split_once(quote) {
                Some((value, rest)) => (value, rest.trim_start(), true),
                None => (inner.trim_end(), "", false),
            };
        }
    }
    let end = text.find('}').unwrap_or(text.len());
    (text[..end].trim_end(), &text[end..], true)
}

/// Cuts a `#` comment off, unless the `#` stands inside quotes.
fn strip_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return &line[..at],
            (None, '"' | '\'') if line[..at].trim_end().ends_with('=') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(settings: &[Setting]) -> String {
        settings.iter().map(|s| format!("{}=[{}]", s.key, s.value)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_samples_are_read() {
        let cfg = parse(
            "kafka   \n{\n  # brokers\n  hostport = \"kafka1:9092,kafka2:9092\"\n  globalconfig=\"enable.sparse.connections=false\"\n  \
             partition = 0\n  metatopic=\"ESPAdapterMetapub\" # reply\n}\nsas {\n hotfailover=false\n dateformat=\"%d # %b\"\n}\n",
            Path::new("pub.cfg"),
        );
        assert_eq!(
            text(&cfg.kafka),
            "hostport=[kafka1:9092,kafka2:9092] globalconfig=[enable.sparse.connections=false] partition=[0] metatopic=[ESPAdapterMetapub]"
        );
        assert_eq!(text(&cfg.sas), "hotfailover=[false] dateformat=[%d # %b]");
        assert_eq!(cfg.warnings, []);
        assert_eq!(cfg.kafka[0].place.to_string(), "pub.cfg:4");
    }

    #[test]
    fn one_line_blocks_and_empty_blocks_are_read() {
        let cfg = parse("kafka { hostport=a:1 }\nsas { }", Path::new("x"));
        assert_eq!((text(&cfg.kafka).as_str(), cfg.sas.len(), cfg.warnings.len()), ("hostport=[a:1]", 0, 0));
    }

    #[test]
    fn what_cannot_be_read_warns_with_its_line_and_the_rest_counts() {
        let cfg = parse("x = 1\nrabbit\n{\n a=1\n}\nkafka {\n nonsense\n hostport = \"a:1\n", Path::new("c.cfg"));
        let warnings: Vec<String> = cfg.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "c.cfg:1: `x` stands outside of a block and is ignored, expected inside kafka { } or sas { }",
                "c.cfg:2: unknown block `rabbit` is ignored, expected `kafka` or `sas`",
                "c.cfg:7: `nonsense` is ignored, expected key = \"value\"",
                "c.cfg:8: the quote around the value of `hostport` is not closed; taken up to the end of the line",
                "c.cfg:8: the file ends inside a block, expected `}`; what was read so far counts",
            ]
        );
        assert_eq!(text(&cfg.kafka), "hostport=[a:1]");
    }
}
