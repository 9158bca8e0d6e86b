//! Every known key, once: side, default, meaning, and whether it is honoured.

/// Whether a key is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what its meaning says.
    Yes,
    /// It may be given and changes nothing, for this reason.
    Ignored(&'static str),
    /// Whoever gives it relies on something that is not there.
    Refused(&'static str),
}

impl Support {
    /// True for a key that is honoured.
    pub fn is_yes(self) -> bool {
        self == Support::Yes
    }
}

/// A known key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its name; a trailing `*` stands for any ending.
    pub key: &'static str,
    /// Its default, as one would write it; empty when there is none.
    pub default: &'static str,
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// Whether it is honoured.
    pub support: Support,
}

impl Known {
    /// True when this entry stands for `key`.
    pub fn matches(&self, key: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => self.key == key,
        }
    }
}

/// Which adapter a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From a source to `.I`.
    Publisher,
    /// From `.O` to a sink.
    Subscriber,
}

const fn yes(key: &'static str, default: &'static str, meaning: &'static str) -> Known {
    Known { key, default, meaning, support: Support::Yes }
}

const fn ignored(key: &'static str, why: &'static str) -> Known {
    Known { key, default: "", meaning: "", support: Support::Ignored(why) }
}

const fn refused(key: &'static str, why: &'static str) -> Known {
    Known { key, default: "", meaning: "", support: Support::Refused(why) }
}

const BOTH: &[Known] = &[
    yes("type", "", "pub or sub"),
    yes("url", "", "dfESP://host:port/project/query/window; names the topic, is not contacted"),
    yes(
        "fsname",
        "",
        "file name; publisher: also `in-*.csv` (by name) and `a.csv|b.csv` (as listed), `:port` listens, `host:port` connects; subscriber: `host:port` connects",
    ),
    yes("fstype", "csv", "csv or json; publisher: or xml, which like json is read whole"),
    yes("transport", "kafka", "kafka"),
    yes("transportconfigfile", "kafka.cfg", "path of the transport file"),
    yes("dateformat", "integers since 1970", "strftime format of dates and stamps"),
    yes("loglevel", "info", "trace, debug, info, warn, error, fatal, off"),
    yes("schemawait", "60", "own key: seconds to wait for the window's announcement on the .M topic"),
    yes("buswait", "600", "own key: seconds to go on trying while the bus does not answer"),
    yes("fresh", "false", "own key: begin anew whatever the recorded position says"),
    ignored("gdconfig", "every block is delivered exactly once without it"),
    ignored("restartonerror", "a supervisor restarts the adapter; it goes on where it was"),
    ignored("logconfigfile", "use the log settings of the service"),
    ignored("tokenlocation", "the bus is not reached with a token"),
    ignored("configfilesection", "the transport file has no sections of this kind"),
];

const PUBLISHER: &[Known] = &[
    yes("header", "0", "lines to skip at the start of the file; true: one"),
    yes(
        "growinginputfile",
        "false",
        "keep reading while the file grows, and follow it when it is rotated; of several files the last grows",
    ),
    yes("blocksize", "1", "events per block"),
    yes("transactional", "false", "true: blocks stay whole downstream"),
    yes("rate", "", "events per second, at most"),
    yes("maxevents", "", "stop after so many events"),
    yes("repeatcount", "0", "read the file so many times again"),
    yes("addcsvopcode", "false", "the lines have no opcode"),
    yes("addcsvflags", "", "the lines have no flags: normal or partialupdate"),
    yes("csvfielddelimiter", ",", "one byte between fields"),
    yes("noautogenfield", "false", "the lines lack the key that the source window makes"),
    yes("ignorecsvparseerrors", "false", "drop what cannot be read, count it, go on"),
    yes("publishwithupsert", "false", "upsert instead of insert where the lines have no opcode"),
    yes("naisnull", "false", "own key: the text NA is null"),
    yes("transactionblocks", "4096", "own key: blocks in a transaction, at most"),
    yes("transactionbytes", "4194304", "own key: bytes in a transaction, at most"),
    yes("transactionms", "0", "own key: milliseconds to wait for more blocks before a transaction is sent, at most"),
    ignored("prebuffer", "the source is read ahead into a bounded buffer anyway"),
    ignored("quiesceproject", "the adapter ends when its last transaction is committed"),
    ignored("cefsyslogprefix", "only csv is read"),
];

const SUBSCRIBER: &[Known] = &[
    yes("header", "false", "true: a header row; full: with opcode and flags"),
    yes("collapse", "false", "update blocks become updates"),
    yes("rmretdel", "false", "drop deletes made by retention"),
    yes("flushms", "50", "own key: milliseconds that a written event may stay in memory"),
    yes("flushbytes", "1048576", "own key: bytes that may stay in memory"),
    yes(
        "fsync",
        "true",
        "own key: force every flush to the disk (false: exact after a crash of the adapter, not of the machine)",
    ),
    yes("ongap", "stop", "own key: stop or continue when the sequence has a gap, a double or a turn"),
    yes("maxevents", "", "stop after so many events"),
    ignored("rate", "latency is measured by the mesh's metrics"),
    ignored("unbufferedoutputstreams", "use flushms"),
    yes("maxfilesize", "", "bytes of an output file, at most; then the next one, each named after its first block"),
    yes("periodicity", "", "seconds of an output file, by the time at which blocks were committed; then the next one"),
    refused("hdat*", "only csv files and sockets are written"),
    refused("hdfs*", "only local files and sockets are written"),
];

/// Keys of the `kafka` block.
pub const KAFKA: &[Known] = &[
    yes("hostport", "", "host:port,host:port of the brokers"),
    yes("globalconfig", "", "key=value;key=value for the Kafka client"),
    yes("partition", "0", "0; a topic of the mesh has one partition"),
    yes("initialoffset", "smallest", "smallest or largest; where a subscriber without a position starts"),
    yes("groupid", "", "consumer group; the position is kept with the sink instead"),
    yes("kafkaconsumergroupid", "", "same as groupid"),
    yes("metatopic", "", "compacted topic in which publishers keep their position too"),
    ignored("topicconfig", "the topics are made by the coordinator"),
];

/// Keys of the `sas` block.
pub const SAS: &[Known] = &[
    yes("hotfailover", "false", "one of a group of adapters works, the others stand by"),
    yes("zookeeperhostport", "", "host:port of ZooKeeper"),
    yes("failovergroup", "", "name of the group"),
    yes("numbufferedmsgs", "10000", "blocks that are read ahead, at most"),
    yes("dateformat", "", "strftime format, where the command line gives none"),
    ignored("json", "blocks are binary"),
    ignored("protobuf", "blocks are binary"),
    ignored("protofile", "blocks are binary"),
    ignored("protomsg", "blocks are binary"),
    ignored("buspersistence*", "the bus keeps every block"),
];

/// The keys of an adapter's command line.
pub fn line_keys(side: Side) -> Vec<Known> {
    let own = match side {
        Side::Publisher => PUBLISHER,
        Side::Subscriber => SUBSCRIBER,
    };
    [BOTH, own].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lower_case_unique_and_explained() {
        let sides = [line_keys(Side::Publisher), line_keys(Side::Subscriber), KAFKA.to_vec(), SAS.to_vec()];
        for keys in sides {
            for (i, entry) in keys.iter().enumerate() {
                assert_eq!(entry.key, entry.key.to_lowercase());
                assert!(!keys[..i].iter().any(|other| other.key == entry.key), "{} stands twice", entry.key);
                assert!(!entry.support.is_yes() || !entry.meaning.is_empty(), "{} has no meaning", entry.key);
            }
        }
    }
}
