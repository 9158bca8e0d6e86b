//! The window that an adapter serves, by its url `dfESP://host:port/project/query/window?snapshot=false`.

use crate::schema::Wanted;

/// A window and the first part of its topics' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `<host>_<port>`.
    pub host_port: String,
    /// Project.
    pub project: String,
    /// Continuous query.
    pub query: String,
    /// Window.
    pub window: String,
    /// Parameters behind the `?`, in order.
    pub parameters: Vec<(String, String)>,
}

/// A url that names no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading the url `{url}`: {reason}, expected dfESP://host:port/project/query/window")]
pub struct TargetError {
    /// The url.
    pub url: String,
    /// What is wrong.
    pub reason: String,
}

impl Target {
    /// Reads a url, also one that is wrapped as `url="..."`.
    pub fn parse(url: &str) -> Result<Target, TargetError> {
        let wrong = |reason: String| TargetError { url: url.to_owned(), reason };
        let inner = url.trim().strip_prefix("url=").unwrap_or(url.trim()).trim().trim_matches(['"', '\'']);
        let scheme = "dfesp://";
        let rest = match inner.get(..scheme.len()) {
            Some(start) if start.eq_ignore_ascii_case(scheme) => &inner[scheme.len()..],
            _ => return Err(wrong("it does not start with dfESP://".to_owned())),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let [host_port, project, cq, window] = parts[..] else {
            return Err(wrong(format!("it has {} parts behind dfESP://", parts.len())));
        };
        if let Some(empty) = parts.iter().position(|part| part.is_empty()) {
            return Err(wrong(format!("part {} behind dfESP:// is empty", empty + 1)));
        }
        let (host, port) = host_port.rsplit_once(':').ok_or_else(|| wrong(format!("`{host_port}` has no port")))?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(wrong(format!("`{host_port}` is no host:port")));
        }
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            (key.to_ascii_lowercase(), value.to_owned())
        };
        Ok(Target {
            host_port: format!("{host}_{port}"),
            project: project.to_owned(),
            query: cq.to_owned(),
            window: window.to_owned(),
            parameters: query.split('&').filter(|part| !part.is_empty()).map(pair).collect(),
        })
    }

    /// The topic that the window takes events from.
    pub fn input_topic(&self) -> String {
        format!("{}.{}.{}.{}.I", self.host_port, self.project, self.query, self.window)
    }

    /// The topic that the window's events go to.
    pub fn output_topic(&self) -> String {
        format!("{}.{}.{}.{}.O", self.host_port, self.project, self.query, self.window)
    }

    /// `project/query/window`.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.query, self.window)
    }

    /// The announcement to look for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            topic: format!("{}.M", self.host_port),
            project: self.project.clone(),
            query: self.query.clone(),
            window: self.window.clone(),
        }
    }

    /// A parameter that is true or false.
    pub fn flag(&self, key: &str) -> bool {
        self.parameters.iter().any(|(name, value)| name == key && value.eq_ignore_ascii_case("true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_samples_name_their_topics() {
        let target = Target::parse("dfESP://HAtopic1:31415/trades/cq/src").unwrap();
        assert_eq!(target.input_topic(), "HAtopic1_31415.trades.cq.src.I");
        assert_eq!(target.wanted().topic, "HAtopic1_31415.M");
        let wrapped =
            Target::parse("url=\"dfESP://esp.example.com:31415/p/q/w?snapshot=false&collapse=true\"").unwrap();
        assert_eq!(wrapped.output_topic(), "esp.example.com_31415.p.q.w.O");
        assert!(wrapped.flag("collapse") && !wrapped.flag("snapshot"));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        let cases = [
            ("http://x", "dfESP://"),
            ("dfESP://h:1/p/q", "3 parts"),
            ("dfESP://h/p/q/w", "no port"),
            ("dfESP://h:1/p//w", "part 3"),
        ];
        for (url, part) in cases {
            let text = Target::parse(url).unwrap_err().to_string();
            assert!(text.contains(part) && text.contains(url), "{text}");
        }
    }
}
