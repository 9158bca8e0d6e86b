//! The window that an adapter serves, by its url `dfESP://host:port/project/query/window?snapshot=false`.

use mesh_event::topic::{DfespUrl, TopicError, TopicKind, TopicName, metadata_topic};

use crate::schema::Wanted;

/// A window and its topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: DfespUrl,
    input: TopicName,
    output: TopicName,
    metadata: String,
}

impl Target {
    /// Reads a url, also one that is wrapped as `url="..."`.
    pub fn parse(url: &str) -> Result<Target, TopicError> {
        let url = DfespUrl::parse(url)?;
        let input = url.topic(TopicKind::Input)?;
        let output = url.topic(TopicKind::Output)?;
        let metadata = metadata_topic(&url.host_port())?;
        Ok(Target { url, input, output, metadata })
    }

    /// The topic that the window takes events from.
    pub fn input_topic(&self) -> String {
        self.input.to_string()
    }

    /// The topic that the window's events go to.
    pub fn output_topic(&self) -> String {
        self.output.to_string()
    }

    /// `project/query/window`.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.url.project, self.url.query, self.url.window)
    }

    /// The announcement to look for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            topic: self.metadata.clone(),
            project: self.url.project.clone(),
            query: self.url.query.clone(),
            window: self.url.window.clone(),
        }
    }

    /// A parameter behind the `?` that is true or false.
    pub fn flag(&self, key: &str) -> bool {
        self.url.option(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
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
}
