//! Names of topics, and the `dfESP://` URLs that name the same things for adapters.
//!
//! `<host>_<port>.<project>.<query>.<window>.I` for a window's input, `.O` for its output, `<host>_<port>.M` for
//! metadata, `<host>_<port>.<project>.C` for a project's commit log. The host may contain dots: names are split from
//! the right. The `host:port` of a URL is never connected to; it is the first part of the topic's name.

use std::fmt;

/// Longest name Kafka accepts.
pub const MAX_TOPIC_CHARS: usize = 249;

/// Direction of a window's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicKind {
    /// From publishers to the window, `.I`.
    Input,
    /// From the window to subscribers, `.O`.
    Output,
}

impl TopicKind {
    /// The last part of the topic's name.
    pub fn letter(self) -> &'static str {
        match self {
            TopicKind::Input => "I",
            TopicKind::Output => "O",
        }
    }
}

/// The topic of a window's events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName {
    /// First part, such as `host_31415` (`urlhostport`).
    pub host_port: String,
    /// The project.
    pub project: String,
    /// The continuous query.
    pub query: String,
    /// The window.
    pub window: String,
    /// Direction.
    pub kind: TopicKind,
}

/// Why a text is no topic name or no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// A topic name does not have the form.
    #[error("topic `{found}` is not `{expected}`: {reason}")]
    Form {
        /// The name.
        found: String,
        /// The form.
        expected: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A part has a character that Kafka refuses in topic names.
    #[error(
        "{part} `{text}` has the character `{found}`, expected only letters, digits, `_`, `-`{dot}: it is a part of a Kafka topic's name; rename it"
    )]
    Char {
        /// Which part.
        part: &'static str,
        /// The part's text.
        text: String,
        /// The character, escaped.
        found: String,
        /// Whether dots are fine.
        dot: &'static str,
    },
    /// A part has a dot, which separates the parts.
    #[error(
        "{part} `{text}` has a dot, which separates the parts of a topic's name; only the host may have dots, rename the {part}"
    )]
    Dot {
        /// Which part.
        part: &'static str,
        /// The part's text.
        text: String,
    },
    /// A part is empty.
    #[error("the {part} is empty, expected a name of letters, digits, `_` and `-`")]
    Empty {
        /// Which part.
        part: &'static str,
    },
    /// The name is too long.
    #[error(
        "topic `{found}` has {length} characters, Kafka accepts at most {MAX_TOPIC_CHARS}: shorten the names of project, query or window"
    )]
    Long {
        /// The name.
        found: String,
        /// Its length.
        length: usize,
    },
    /// A URL does not have the form.
    #[error("URL `{found}` is not `dfESP://host:port/project/query/window?key=value`: {reason}")]
    Url {
        /// The URL.
        found: String,
        /// What is wrong.
        reason: String,
    },
}

const WINDOW_FORM: &str = "<host>_<port>.<project>.<query>.<window>.I` or `...O";

impl TopicName {
    /// Reads `<host>_<port>.<project>.<query>.<window>.I` or `.O`.
    pub fn parse(text: &str) -> Result<TopicName, TopicError> {
        let error = |reason| TopicError::Form { found: text.to_owned(), expected: WINDOW_FORM, reason };
        let mut parts = text.rsplitn(5, '.');
        let kind = match parts.next() {
            Some("I") => TopicKind::Input,
            Some("O") => TopicKind::Output,
            _ => return Err(error("the last part must be I or O")),
        };
        let (Some(window), Some(query), Some(project), Some(host_port)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(error("it has fewer than five parts"));
        };
        TopicName {
            host_port: host_port.to_owned(),
            project: project.to_owned(),
            query: query.to_owned(),
            window: window.to_owned(),
            kind,
        }
        .checked()
    }

    /// Checks every part, and the length of the whole.
    pub fn checked(self) -> Result<TopicName, TopicError> {
        check_host_port(&self.host_port)?;
        check_part("project", &self.project)?;
        check_part("query", &self.query)?;
        check_part("window", &self.window)?;
        check_length(self.to_string())?;
        Ok(self)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicName { host_port, project, query, window, kind } = self;
        write!(f, "{host_port}.{project}.{query}.{window}.{}", kind.letter())
    }
}

/// The metadata topic `<host>_<port>.M`.
pub fn metadata_topic(host_port: &str) -> Result<String, TopicError> {
    check_host_port(host_port)?;
    check_length(format!("{host_port}.M"))
}

/// The commit log `<host>_<port>.<project>.C`.
pub fn commit_log_topic(host_port: &str, project: &str) -> Result<String, TopicError> {
    check_host_port(host_port)?;
    check_part("project", project)?;
    check_length(format!("{host_port}.{project}.C"))
}

/// Reads `<host>_<port>.M`; gives the part in front of `.M`.
pub fn parse_metadata_topic(text: &str) -> Result<String, TopicError> {
    let host_port = text.strip_suffix(".M").ok_or_else(|| TopicError::Form {
        found: text.to_owned(),
        expected: "<host>_<port>.M",
        reason: "the last part must be M",
    })?;
    check_host_port(host_port)?;
    check_length(text.to_owned())?;
    Ok(host_port.to_owned())
}

/// Reads `<host>_<port>.<project>.C`; gives the first part and the project.
pub fn parse_commit_log_topic(text: &str) -> Result<(String, String), TopicError> {
    let error = |reason| TopicError::Form { found: text.to_owned(), expected: "<host>_<port>.<project>.C", reason };
    let front = text.strip_suffix(".C").ok_or_else(|| error("the last part must be C"))?;
    let (host_port, project) = front.rsplit_once('.').ok_or_else(|| error("it has fewer than three parts"))?;
    check_host_port(host_port)?;
    check_part("project", project)?;
    check_length(text.to_owned())?;
    Ok((host_port.to_owned(), project.to_owned()))
}

fn check_chars(part: &'static str, text: &str, dot: &'static str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty { part });
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text.chars().find(|&c| !legal(c)) {
        None => Ok(()),
        Some(found) => {
            Err(TopicError::Char { part, text: text.to_owned(), found: found.escape_debug().to_string(), dot })
        }
    }
}

fn check_host_port(text: &str) -> Result<(), TopicError> {
    check_chars("host and port", text, " and `.`")
}

fn check_part(part: &'static str, text: &str) -> Result<(), TopicError> {
    check_chars(part, text, "")?;
    if text.contains('.') {
        return Err(TopicError::Dot { part, text: text.to_owned() });
    }
    Ok(())
}

fn check_length(name: String) -> Result<String, TopicError> {
    if name.len() > MAX_TOPIC_CHARS {
        return Err(TopicError::Long { length: name.len(), found: name });
    }
    Ok(name)
}

/// A URL `dfESP://host:port/project/query/window?snapshot=false`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DfespUrl {
    /// Host; only a part of topic names.
    pub host: String,
    /// Port; only a part of topic names.
    pub port: u16,
    /// The project.
    pub project: String,
    /// The continuous query.
    pub query: String,
    /// The window.
    pub window: String,
    /// `key=value` pairs behind the question mark, in order, such as `snapshot=false` or `get=schema`.
    pub options: Vec<(String, String)>,
}

impl DfespUrl {
    /// Reads a URL, also one wrapped in quotes or as `url="..."`.
    pub fn parse(text: &str) -> Result<DfespUrl, TopicError> {
        let error = |reason: &str| TopicError::Url { found: text.to_owned(), reason: reason.to_owned() };
        let url = unwrap(text);
        let scheme = url.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("dfESP://"));
        let Some(rest) = scheme.and_then(|_| url.get(8..)) else {
            return Err(error("it does not start with `dfESP://`"));
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let parts: Vec<&str> = place.trim_end_matches('/').split('/').collect();
        let &[authority, project, query, window] = &parts[..] else {
            let reason = format!("it has {} parts behind `dfESP://`, expected 4", parts.len());
            return Err(error(&reason));
        };
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| error("there is no `:port` behind the host"))?;
        let port = port.parse().ok().filter(|&port| port != 0);
        let port = port.ok_or_else(|| error("the port is not a number from 1 to 65535"))?;
        let mut pairs = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| error(&format!("`{option}` behind the question mark is not `key=value`")))?;
            pairs.push((key.to_owned(), value.to_owned()));
        }
        let url = DfespUrl {
            host: host.to_owned(),
            port,
            project: project.to_owned(),
            query: query.to_owned(),
            window: window.to_owned(),
            options: pairs,
        };
        url.topic(TopicKind::Output)?;
        Ok(url)
    }

    /// The value of an option.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The first part of topic names: `host_port`.
    pub fn host_port(&self) -> String {
        format!("{}_{}", self.host, self.port)
    }

    /// The topic of the window: publishers write [`TopicKind::Input`], subscribers read [`TopicKind::Output`].
    pub fn topic(&self, kind: TopicKind) -> Result<TopicName, TopicError> {
        TopicName {
            host_port: self.host_port(),
            project: self.project.clone(),
            query: self.query.clone(),
            window: self.window.clone(),
            kind,
        }
        .checked()
    }
}

impl fmt::Display for DfespUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DfespUrl { host, port, project, query, window, options } = self;
        write!(f, "dfESP://{host}:{port}/{project}/{query}/{window}")?;
        for (i, (key, value)) in options.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// The URL within `url="..."`, quotes of both kinds, and blanks.
fn unwrap(text: &str) -> &str {
    let quotes = ['"', '\''];
    let text = text.trim().trim_matches(quotes).trim();
    let is_wrapped = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("url="));
    let text = if is_wrapped { text.get(4..).unwrap_or_default() } else { text };
    text.trim().trim_matches(quotes).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_split_from_the_right() {
        let name = TopicName::parse("esp.example.com_31415.trades.cq1.big-ones.O").unwrap();
        assert_eq!(name.host_port, "esp.example.com_31415");
        assert_eq!((&*name.project, &*name.query, &*name.window), ("trades", "cq1", "big-ones"));
        assert_eq!(name.kind, TopicKind::Output);
        assert_eq!(metadata_topic("h_1").unwrap(), "h_1.M");
        assert_eq!(parse_metadata_topic("a.b_1.M").unwrap(), "a.b_1");
        assert_eq!(commit_log_topic("a.b_1", "p").unwrap(), "a.b_1.p.C");
        assert_eq!(parse_commit_log_topic("a.b_1.p.C").unwrap(), ("a.b_1".to_owned(), "p".to_owned()));
    }

    #[test]
    fn names_that_are_refused() {
        let long = format!("h_1.p.q.{}.I", "w".repeat(MAX_TOPIC_CHARS));
        for (name, expected) in [
            (
                "h_1.p.q.w.X",
                "topic `h_1.p.q.w.X` is not `<host>_<port>.<project>.<query>.<window>.I` or `...O`: the last part must be I or O",
            ),
            (
                "h_1.q.w.I",
                "topic `h_1.q.w.I` is not `<host>_<port>.<project>.<query>.<window>.I` or `...O`: it has fewer than five parts",
            ),
            (
                "h_1.my project.q.w.I",
                "project `my project` has the character ` `, expected only letters, digits, `_`, `-`: it is a part of a Kafka topic's name; rename it",
            ),
            (
                "h:1.p.q.w.I",
                "host and port `h:1` has the character `:`, expected only letters, digits, `_`, `-` and `.`: it is a part of a Kafka topic's name; rename it",
            ),
            ("h_1.p..w.I", "the query is empty, expected a name of letters, digits, `_` and `-`"),
        ] {
            assert_eq!(TopicName::parse(name).unwrap_err().to_string(), expected);
        }
        assert!(
            TopicName::parse(&long).unwrap_err().to_string().contains("has 259 characters, Kafka accepts at most 249")
        );
        let dot = commit_log_topic("h_1", "a.b").unwrap_err().to_string();
        assert!(dot.starts_with("project `a.b` has a dot"), "{dot}");
        assert!(parse_metadata_topic("h_1.C").unwrap_err().to_string().ends_with("the last part must be M"));
        assert!(parse_commit_log_topic("h_1.C").unwrap_err().to_string().ends_with("fewer than three parts"));
        assert!(parse_commit_log_topic("h_1.p.M").unwrap_err().to_string().ends_with("must be C"));
    }

    #[test]
    fn urls_in_the_forms_that_samples_use() {
        for text in [
            "dfESP://HAtopic1:31415/trades/cq1/big?snapshot=false",
            " \"dfesp://HAtopic1:31415/trades/cq1/big?snapshot=false\"",
            "url=\"dfESP://HAtopic1:31415/trades/cq1/big?snapshot=false\"",
            "'url=dfESP://HAtopic1:31415/trades/cq1/big/?snapshot=false'",
        ] {
            let url = DfespUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), "dfESP://HAtopic1:31415/trades/cq1/big?snapshot=false");
            assert_eq!(url.option("snapshot"), Some("false"));
            assert_eq!(url.option("get"), None);
            assert_eq!(url.topic(TopicKind::Input).unwrap().to_string(), "HAtopic1_31415.trades.cq1.big.I");
        }
        let schema = DfespUrl::parse("dfESP://a.b:1/p/q/w?get=schema").unwrap();
        assert_eq!((schema.option("get"), &*schema.host_port()), (Some("schema"), "a.b_1"));
    }

    #[test]
    fn urls_that_are_refused() {
        for (url, reason) in [
            ("http://h:1/p/q/w", "it does not start with `dfESP://`"),
            ("dfESP", "it does not start with `dfESP://`"),
            ("dfESP://h:1/p/q", "it has 3 parts behind `dfESP://`, expected 4"),
            ("dfESP://h/p/q/w", "there is no `:port` behind the host"),
            ("dfESP://h:99999/p/q/w", "the port is not a number from 1 to 65535"),
            ("dfESP://h:0/p/q/w", "the port is not a number from 1 to 65535"),
            ("dfESP://h:1/p/q/w?snapshot", "`snapshot` behind the question mark is not `key=value`"),
        ] {
            let expected = format!("URL `{url}` is not `dfESP://host:port/project/query/window?key=value`: {reason}");
            assert_eq!(DfespUrl::parse(url).unwrap_err().to_string(), expected);
        }
        let error = DfespUrl::parse("dfESP://h:1/p q/q/w").unwrap_err().to_string();
        assert!(error.starts_with("project `p q` has the character ` `"), "{error}");
    }

    proptest! {
        #[test]
        fn names_and_urls_come_back(
            host in "[a-z][a-z0-9.-]{0,20}",
            port in 1_u16..,
            parts in prop::array::uniform3("[A-Za-z0-9_-]{1,20}"),
            options in prop::collection::vec(("[a-z]{1,5}", "[a-z]{0,5}"), 0..3),
        ) {
            let [project, query, window] = parts;
            let url = DfespUrl { host, port, project, query, window, options };
            prop_assert_eq!(&DfespUrl::parse(&url.to_string()).unwrap(), &url);
            let name = url.topic(TopicKind::Input).unwrap();
            prop_assert_eq!(TopicName::parse(&name.to_string()).unwrap(), name);
        }

        #[test]
        fn any_text_is_read_or_refused(text in prop_oneof![any::<String>(), "(dfESP://|url=)[a-z:/?=&.\"]{0,30}"]) {
            if let Ok(url) = DfespUrl::parse(&text) {
                prop_assert_eq!(DfespUrl::parse(&url.to_string()).unwrap(), url);
            }
            if let Ok(name) = TopicName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
