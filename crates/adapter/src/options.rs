//! The checked options of either adapter.

use std::fmt;
use std::time::Duration;

use mesh_event::Flags;
use mesh_event::csv::CsvOptions;
use mesh_model::is_address;

use crate::csv_in::{self, CsvIn};
use crate::line;
use crate::rotation::{self, Rotation};
use crate::settings::{Place, Problem, Refused, Setting, Values};
use crate::table::{self, Side};
use crate::transport::{self, Transport};

/// Options that can be used, and what to tell the user about the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked<T> {
    /// The options.
    pub options: T,
    /// What was given and is ignored.
    pub warnings: Vec<Problem>,
}

/// What a source or sink holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsType {
    /// Lines of text.
    Csv,
    /// JSON documents, one after the other.
    Json,
    /// An XML document; read only.
    Xml,
}

impl fmt::Display for FsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FsType::Csv => "csv",
            FsType::Json => "json",
            FsType::Xml => "xml",
        })
    }
}

/// The header of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderRow {
    /// None.
    None,
    /// Field names.
    Fields,
    /// `opcode,flags`, field names, an empty line.
    Full,
}

/// What both adapters need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// The window, `dfESP://host:port/project/query/window`.
    pub url: String,
    /// File or socket.
    pub fsname: String,
    /// What it holds.
    pub fstype: FsType,
    /// How the bus is reached.
    pub transport: Transport,
    /// Log level, if given.
    pub loglevel: Option<String>,
    /// How long to wait for the window's announcement.
    pub schema_wait: Duration,
    /// How long to go on trying while the bus does not answer.
    pub bus_wait: Duration,
    /// Begin anew whatever the recorded position says.
    pub fresh: bool,
}

/// Options of the publisher adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct PublisherOptions {
    /// What both adapters need.
    pub common: Common,
    /// How the lines are read.
    pub csv: CsvIn,
    /// Keep reading while the file grows.
    pub growing: bool,
    /// Events per block.
    pub block_events: usize,
    /// Blocks stay whole downstream.
    pub transactional: bool,
    /// Events per second, at most.
    pub rate: Option<u64>,
    /// Stop after so many events.
    pub events_max: Option<u64>,
    /// Read the file so many times again.
    pub repeats: u64,
    /// Blocks in a transaction, at most.
    pub transaction_blocks_max: usize,
    /// Bytes in a transaction, at most.
    pub transaction_bytes_max: usize,
    /// How long to wait for more blocks before a transaction is sent, at most.
    pub transaction_fill_wait: Duration,
}

/// Options of the subscriber adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriberOptions {
    /// What both adapters need.
    pub common: Common,
    /// strftime format; `None`: integers since 1970.
    pub dateformat: Option<String>,
    /// The header row.
    pub header: HeaderRow,
    /// Update blocks become updates.
    pub collapse: bool,
    /// Drop deletes made by retention.
    pub drop_retention_deletes: bool,
    /// How long a written event may stay in memory.
    pub flush_after: Duration,
    /// Bytes that may stay in memory.
    pub flush_bytes_max: usize,
    /// Force every flush to the disk.
    pub fsync: bool,
    /// Go on when the sequence is broken.
    pub continue_on_gap: bool,
    /// Stop after so many events.
    pub events_max: Option<u64>,
    /// Write one file after the other; `None`: one file.
    pub rotation: Option<Rotation>,
}

impl PublisherOptions {
    /// How the lines are decoded.
    pub fn csv_options(&self) -> CsvOptions {
        let csv = &self.csv;
        CsvOptions {
            delimiter: csv.delimiter,
            header_lines: csv.header_lines,
            add_opcode: csv.add_opcode,
            add_flags: csv.add_flags.map(|partial| if partial { Flags::PARTIAL } else { Flags::NORMAL }),
            no_autogen_field: csv.no_autogen_field,
            date_format: csv.dateformat.clone(),
            na_is_null: csv.na_is_null,
            ignore_errors: csv.ignore_errors,
            upsert: csv.upsert,
            file: self.common.fsname.clone(),
        }
    }

    /// Reads a `-C` line and the transport file that it names.
    pub fn from_line(text: &str) -> Result<Checked<PublisherOptions>, Refused> {
        Self::from_settings(settings_of(text)?)
    }

    /// Checks settings and reads the transport file that they name.
    pub fn from_settings(given: Vec<Setting>) -> Result<Checked<PublisherOptions>, Refused> {
        let mut reading = Reading::default();
        let keys = table::line_keys(Side::Publisher);
        let mut line = Values::new(given, &keys, &mut reading.warnings);
        let (common, dateformat) = reading.common(&mut line, Side::Publisher);
        let options = PublisherOptions {
            csv: csv_in::read(&mut line, dateformat),
            growing: line.flag("growinginputfile", false),
            block_events: line.number("blocksize", 1, 1..=1_000_000) as usize,
            transactional: transactional(&mut line),
            rate: line.setting("rate").is_some().then(|| line.number("rate", 1, 1..=1_000_000_000)),
            events_max: line.setting("maxevents").is_some().then(|| line.number("maxevents", 1, 0..=u64::MAX)),
            repeats: line.number("repeatcount", 0, 0..=u64::MAX - 1),
            transaction_blocks_max: line.number("transactionblocks", 4096, 1..=1_000_000) as usize,
            transaction_bytes_max: line.number("transactionbytes", 4 << 20, 1..=1 << 30) as usize,
            transaction_fill_wait: line.milliseconds("transactionms", 0),
            common,
        };
        refuse_fresh_in_a_group(&options.common, &mut line);
        if options.growing && options.common.fstype != FsType::Csv {
            let message = format!(
                "`growinginputfile` with `fstype={}`: a document is read when it is whole; leave one out",
                options.common.fstype
            );
            line.refuse(&Place::Line, message);
        }
        if options.common.fstype != FsType::Csv && options.common.fsname.contains(['*', '?', '|']) {
            let message = format!(
                "`fstype={}` with the several files of `{}`: a document is a file of its own; give one name, or csv",
                options.common.fstype, options.common.fsname
            );
            line.refuse(&Place::Line, message);
        }
        if options.common.fstype != FsType::Csv && is_address(&options.common.fsname) {
            let message = format!(
                "`fstype={}` with the address `{}`: only csv is read from sockets; send csv, or write the document to a file",
                options.common.fstype, options.common.fsname
            );
            line.refuse(&Place::Line, message);
        }
        if options.growing && options.repeats > 0 {
            line.refuse(
                &Place::Line,
                "`repeatcount` with `growinginputfile`: a growing file has no end to begin again at; leave one out",
            );
        }
        reading.finish(line, options)
    }
}

impl SubscriberOptions {
    /// Reads a `-C` line and the transport file that it names.
    pub fn from_line(text: &str) -> Result<Checked<SubscriberOptions>, Refused> {
        Self::from_settings(settings_of(text)?)
    }

    /// Checks settings and reads the transport file that they name.
    pub fn from_settings(given: Vec<Setting>) -> Result<Checked<SubscriberOptions>, Refused> {
        let mut reading = Reading::default();
        let keys = table::line_keys(Side::Subscriber);
        let mut line = Values::new(given, &keys, &mut reading.warnings);
        let (common, dateformat) = reading.common(&mut line, Side::Subscriber);
        let headers = [("false", HeaderRow::None), ("true", HeaderRow::Fields), ("full", HeaderRow::Full)];
        let options = SubscriberOptions {
            dateformat: line.text("dateformat").or(dateformat),
            header: line.choice("header", HeaderRow::None, &headers),
            collapse: line.flag("collapse", false),
            drop_retention_deletes: line.flag("rmretdel", false),
            flush_after: line.milliseconds("flushms", 50),
            flush_bytes_max: line.number("flushbytes", 1 << 20, 1..=1 << 30) as usize,
            fsync: line.flag("fsync", true),
            continue_on_gap: line.choice("ongap", false, &[("stop", false), ("continue", true)]),
            events_max: line.setting("maxevents").is_some().then(|| line.number("maxevents", 1, 0..=u64::MAX)),
            rotation: rotation::read(&mut line, &common.fsname),
            common,
        };
        refuse_fresh_in_a_group(&options.common, &mut line);
        if options.common.transport.failover.is_some() && options.events_max.is_some() {
            line.refuse(
                &Place::Line,
                "`maxevents` with `hotfailover=true`: each member would write that many; leave one out",
            );
        }
        reading.finish(line, options)
    }
}

fn refuse_fresh_in_a_group(common: &Common, line: &mut Values<'_>) {
    if common.fresh && common.transport.failover.is_some() {
        line.refuse(
            &Place::Line,
            "`fresh` with `hotfailover=true`: every member would begin anew when its turn comes; start once with fresh=true and hotfailover=false",
        );
    }
}

fn settings_of(text: &str) -> Result<Vec<Setting>, Refused> {
    line::parse(text)
        .map_err(|error| Refused { problems: vec![Problem { place: Place::Line, message: error.to_string() }] })
}

/// `transactional=true`, or the block type's name.
fn transactional(line: &mut Values<'_>) -> bool {
    let words = [("false", false), ("true", true), ("normal", false), ("transactional", true)];
    line.choice("transactional", false, &words)
}

/// Warnings and problems of one reading.
#[derive(Default)]
struct Reading {
    warnings: Vec<Problem>,
    problems: Vec<Problem>,
}

impl Reading {
    fn finish<T>(mut self, line: Values<'_>, options: T) -> Result<Checked<T>, Refused> {
        self.problems.extend(line.into_problems());
        match self.problems.is_empty() {
            true => Ok(Checked { options, warnings: self.warnings }),
            false => Err(Refused { problems: self.problems }),
        }
    }

    /// Reads what both adapters need, and the transport file's date format.
    fn common(&mut self, line: &mut Values<'_>, side: Side) -> (Common, Option<String>) {
        let name = match side {
            Side::Publisher => "pub",
            Side::Subscriber => "sub",
        };
        if let Some(setting) = line.setting("type").cloned() {
            // as the reference does: what starts with p publishes, all else subscribes
            let found = if setting.value.to_ascii_lowercase().starts_with('p') { "pub" } else { "sub" };
            if found != name {
                let message = format!(
                    "`type` is `{}`, expected `{name}` here; start esp-publisher-adapter for pub, esp-subscriber-adapter for sub",
                    setting.value
                );
                line.refuse(&setting.place, message);
            }
        }
        let formats: &[(&str, FsType)] = match side {
            Side::Publisher => &[("csv", FsType::Csv), ("json", FsType::Json), ("xml", FsType::Xml)],
            Side::Subscriber => &[("csv", FsType::Csv), ("json", FsType::Json)],
        };
        let fstype = line.choice("fstype", FsType::Csv, formats);
        if let Some(setting) = line.setting("transport").cloned()
            && !setting.value.eq_ignore_ascii_case("kafka")
        {
            let message = format!("`transport` is `{}`, only kafka is supported", setting.value);
            line.refuse(&setting.place, message);
        }
        let levels = ["trace", "debug", "info", "warn", "error", "fatal", "off"].map(|level| (level, Some(level)));
        let common = Common {
            url: line.required("url", "dfESP://host:31415/project/query/window"),
            fsname: line.required("fsname", "events.csv"),
            fstype,
            transport: Transport::default(),
            loglevel: line.choice("loglevel", None, &levels).map(str::to_owned),
            schema_wait: line.seconds("schemawait", 60),
            bus_wait: line.seconds("buswait", 600),
            fresh: line.flag("fresh", false),
        };
        let file = line.setting("transportconfigfile").cloned();
        let (transport, dateformat) = transport::read(file, &mut self.warnings, &mut self.problems);
        (Common { transport, ..common }, dateformat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Failover;

    const PUB: &str = "type=pub,url=dfESP://h:1/p/q/w,fsname=in.csv";

    fn with_cfg(text: &str, more: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kafka.cfg");
        std::fs::write(&path, text).unwrap();
        let line = format!("{PUB},transport=kafka,transportconfigfile={}{more}", path.display());
        (dir, line)
    }

    #[track_caller]
    fn refused(line: &str, expected: &str) {
        let error = PublisherOptions::from_line(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nlacks: {expected}");
    }

    #[test]
    fn the_reference_line_and_file_are_read() {
        let cfg = "kafka\n{\n hostport=\"k1:9092,k2:9092\"\n globalconfig=\"enable.sparse.connections=false;a=b\"\n partition=0\n \
                   initialoffset=\"smallest\"\n metatopic=\"ESPAdapterMetapub\"\n}\nsas\n{\n hotfailover=false\n numbufferedmsgs=1000\n}\n";
        let (_dir, line) = with_cfg(cfg, ",header=1,blocksize=64,rate=1000,dateformat=\"%Y-%m-%d %H:%M:%S\"");
        let checked = PublisherOptions::from_line(&line).unwrap();
        assert_eq!(checked.warnings, []);
        let options = checked.options;
        assert_eq!((options.block_events, options.rate, options.csv.header_lines), (64, Some(1000), 1));
        assert_eq!(options.csv.dateformat.as_deref(), Some("%Y-%m-%d %H:%M:%S"));
        let transport = options.common.transport;
        assert_eq!(transport.hostport.as_deref(), Some("k1:9092,k2:9092"));
        assert_eq!(transport.globalconfig.len(), 2);
        assert_eq!(transport.metatopic.as_deref(), Some("ESPAdapterMetapub"));
        assert_eq!((transport.failover, transport.read_ahead_blocks_max), (None, 1000));
    }

    #[test]
    fn an_unknown_key_in_the_file_warns_with_its_line_and_a_guess() {
        let (dir, line) = with_cfg("kafka\n{\n hostprt=a:1\n}\nsas\n{\n dataformat=\"%Y\"\n}\n", ",blocksise=3");
        let warnings: Vec<String> =
            PublisherOptions::from_line(&line).unwrap().warnings.iter().map(ToString::to_string).collect();
        let path = dir.path().join("kafka.cfg").display().to_string();
        assert_eq!(
            warnings,
            [
                "command line: unknown key `blocksise` is ignored; did you mean `blocksize`?".to_owned(),
                format!("{path}:3: unknown key `hostprt` is ignored; did you mean `hostport`?"),
                format!("{path}:7: unknown key `dataformat` is ignored; did you mean `dateformat`?"),
            ]
        );
    }

    #[test]
    fn failover_combinations_that_cannot_work_are_refused() {
        let hot = "sas {\n hotfailover=true\n failovergroup=g\n zookeeperhostport=\"zk:2181\"\n}\n";
        let (_dir, line) = with_cfg(hot, "");
        let failover = PublisherOptions::from_line(&line).unwrap().options.common.transport.failover;
        assert_eq!(failover, Some(Failover { group: "g".into(), zookeeper: "zk:2181".into() }));
        let (_dir, line) = with_cfg(&format!("kafka {{\n kafkaconsumergroupid=g\n}}\n{hot}"), "");
        refused(&line, "kafka.cfg:2: `kafkaconsumergroupid` with `hotfailover=true`");
        let (_dir, line) = with_cfg(&format!("kafka {{\n groupid=other\n}}\n{hot}"), "");
        refused(&line, "`groupid` with `hotfailover=true`");
        let (_dir, line) = with_cfg("sas {\n hotfailover=true\n failovergroup=g\n}\n", "");
        refused(&line, "without `zookeeperhostport`");
        let (_dir, line) = with_cfg(hot, "");
        let sub = line.replace("type=pub", "type=sub");
        let failover = SubscriberOptions::from_line(&sub).unwrap().options.common.transport.failover;
        assert_eq!(failover.unwrap().group, "g");
        for (more, expected) in [(",fresh=true", "`fresh` with"), (",maxevents=5", "`maxevents` with")] {
            let error = SubscriberOptions::from_line(&format!("{sub}{more}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_published_sample_whose_group_id_is_the_failover_group_is_accepted_with_a_warning() {
        let cfg = "kafka {\n groupid=\"ESPadaptergroup1\"\n}\nsas {\n hotfailover=true\n failovergroup=\"ESPadaptergroup1\"\n \
                   zookeeperhostport=\"zk:2181\"\n numbufferedmsgs=1000\n}\n";
        let (_dir, line) = with_cfg(cfg, "");
        let checked = PublisherOptions::from_line(&line).unwrap();
        assert!(checked.warnings[0].message.contains("no effect"), "{:?}", checked.warnings);
    }

    #[test]
    fn a_socket_is_read_as_csv_or_refused() {
        let line = |more: &str| PublisherOptions::from_line(&format!("type=pub,url=dfESP://h:1/p/q/w,{more}"));
        for (format, address) in [("json", ":5555"), ("xml", "feed:5555")] {
            let refused = line(&format!("fstype={format},fsname={address}")).unwrap_err().to_string();
            let expected = format!("`fstype={format}` with the address `{address}`: only csv is read from sockets");
            assert!(refused.contains(&expected), "{refused}");
        }
        assert!(line("fsname=:5555").is_ok() && line("fstype=json,fsname=in.json").is_ok());
    }

    #[test]
    fn every_bad_value_is_reported_at_once() {
        let error = PublisherOptions::from_line("type=sub,url=dfESP://h:1/p/q/w,fstype=hdat,blocksize=0,growinginputfile=maybe,transportconfigfile=/no/such.cfg")
            .unwrap_err();
        let text = error.to_string();
        for part in [
            "`type` is `sub`",
            "`fstype` is `hdat`, expected one of csv, json, xml",
            "`blocksize` is `0`, expected a whole number from 1",
            "`growinginputfile` is `maybe`",
            "`fsname` is missing",
            "/no/such.cfg",
        ] {
            assert!(text.contains(part), "{text}\nlacks: {part}");
        }
        assert_eq!(error.problems.len(), 6);
    }

    #[test]
    fn subscriber_options_are_read() {
        let line = "type=sub,url=dfESP://h:1/p/q/w?snapshot=false,fsname=out.csv,fstype=csv,header=full,rmretdel=true,ongap=continue";
        let checked = SubscriberOptions::from_line(line).unwrap();
        assert_eq!(checked.warnings, []);
        let options = checked.options;
        assert_eq!(options.header, HeaderRow::Full);
        assert!(options.drop_retention_deletes && options.continue_on_gap && options.fsync && !options.collapse);
        assert_eq!(options.rotation, None);
        let rotated = SubscriberOptions::from_line(&format!("{line},maxfilesize=10,periodicity=60")).unwrap().options;
        let period = Some(Duration::from_secs(60));
        assert_eq!(rotated.rotation, Some(Rotation { bytes_max: Some(10), period }));
        let socket = line.replace("out.csv", "host:5000");
        let error = SubscriberOptions::from_line(&format!("{socket},maxfilesize=10")).unwrap_err().to_string();
        assert!(error.contains("only files are rotated"), "{error}");
    }
}
