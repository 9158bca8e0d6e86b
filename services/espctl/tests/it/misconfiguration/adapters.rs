//! The `-C` line, the transport file and the URLs of the adapters.

use super::services::entries;
use super::{Entry, Folder, Section};
use mesh_adapter::{PublisherOptions, SubscriberOptions};
use mesh_publisher_adapter::config::PublisherConfig;
use mesh_subscriber_adapter::config::SubscriberConfig;

const URL: &str = "url=dfESP://weather:31415/weather/cq/observations";
const PUB: [&str; 2] = ["-C", "type=pub,url=dfESP://weather:31415/weather/cq/observations,fsname=in.csv"];
const SUB: [&str; 2] = ["-C", "type=sub,url=dfESP://weather:31415/weather/cq/report,fsname=out.csv"];

/// Entries of lines that have these parts besides the good ones.
fn lines_with<C: mesh_service::Config>(folder: &Folder, good: &[&str], table: &[(&str, &'static str)]) -> Vec<Entry> {
    let full: Vec<(String, &'static str)> =
        table.iter().map(|(more, way_out)| (format!("-C|{},{more}", good[1]), *way_out)).collect();
    let full: Vec<(&str, &'static str)> = full.iter().map(|(line, way_out)| (line.as_str(), *way_out)).collect();
    entries::<C>(folder, good, &full)
}

pub fn lines() -> Section {
    let folder = Folder::new();
    let mut all = entries::<PublisherConfig>(
        &folder,
        &PUB,
        &[
            ("-C|", "Say what to publish where."),
            ("-C|in.csv", "Each part is `key=value`; the file is `fsname=in.csv`."),
            ("-C|type=pub,fsname=in.csv", "The URL names project, query and window, and with them the topic."),
            ("-C|type=pub,url=dfESP://weather:31415/weather/cq/observations", "Name a file, or `:port` to listen."),
            (
                "-k|sub|-h|dfESP://weather:31415/weather/cq/report|-f|out.csv",
                "Use `esp-subscriber-adapter`; the link `dfesp_fs_adapter` chooses by `type`.",
            ),
        ],
    );
    let publisher = [
        ("fstype=syslog", "Convert the data to CSV, JSON or XML."),
        ("transport=solace", "The mesh runs on Kafka."),
        ("blocksize=0", "1 is the smallest block; 512 is fast."),
        ("header=first", "It is a number of lines to skip."),
        ("rate=fast", "Leave it out for as fast as it goes."),
        ("addcsvflags=partial", "Take the word that is proposed."),
        ("csvfielddelimiter=;;", "One character, or `\\t` for a tab."),
        ("addcsvopcode=maybe", "Lines without an opcode: true."),
        ("transactionms=1h", "A number of milliseconds."),
        ("repeatcount=3,growinginputfile=true", "A growing file has no end: leave one of them out."),
        ("transportconfigfile=/etc/esp-mesh/none.cfg", "Mount the file, or correct its path."),
    ];
    all.extend(lines_with::<PublisherConfig>(&folder, &PUB, &publisher));
    let subscriber = [
        ("header=yes", "Take one of the words."),
        ("ongap=skip", "`stop` keeps what is certain; `continue` goes on behind a gap."),
        ("flushbytes=0", "Leave it out for the default of 1 MiB."),
        ("maxfilesize=1MB", "In bytes: `maxfilesize=1048576`."),
        ("periodicity=0", "In seconds, at least one: `periodicity=3600` begins a file each hour."),
        ("hdfsblocksize=64", "Write to a local file and copy it."),
    ];
    all.extend(lines_with::<SubscriberConfig>(&folder, &SUB, &subscriber));
    Section { title: "Command line of the adapters", entries: all }
}

/// What a publisher or a subscriber says to a transport file.
fn transport_file<C: mesh_service::Config>(good: &[&str], content: &str, way_out: &'static str) -> Entry {
    let folder = Folder::new();
    folder.write("kafka.cfg", content);
    let line = format!("{},transportconfigfile=/etc/esp-mesh/kafka.cfg", good[1]);
    let said = super::services::told::<C>(&folder, good, &["-C", &line], &[]);
    let given =
        format!("esp-{} -C ...,transportconfigfile=/etc/esp-mesh/kafka.cfg, a file with\n{content}", C::SERVICE);
    Entry::new(given, said, way_out)
}

pub fn transport_files() -> Section {
    let publisher = [
        (
            "kafka { hostport=\"kafka-1:9092\" partition=3 }",
            "Leave `partition` out: order is kept within one partition, so there is one.",
        ),
        (
            "kafka { hostport=\"kafka-1:9092\" globalconfig=\"linger.ms:5\" }",
            "Write `linger.ms=5`, several separated by `;`.",
        ),
        ("kafka { hostport=\"kafka-1:9092\" initialoffset=\"smalest\" }", "Take the word that is proposed."),
        (
            "sas {\nhotfailover=true\nfailovergroup=g\n}",
            "Name ZooKeeper; the election service that is asked is in the setting `elections`.",
        ),
        (
            "sas {\nhotfailover=true\nzookeeperhostport=zookeeper:2181\n}",
            "Give all members of the group the same name.",
        ),
        (
            "kafka { groupid=\"g1\" }\nsas {\nhotfailover=true\nzookeeperhostport=zookeeper:2181\nfailovergroup=g\n}",
            "Leave `groupid` out: positions are kept with the data.",
        ),
        ("sas { hotfailover=maybe }", "true or false."),
        ("sas { numbufferedmsgs=many }", "A number of blocks; the default is 10000."),
    ];
    let mut entries: Vec<Entry> =
        publisher.iter().map(|(content, way_out)| transport_file::<PublisherConfig>(&PUB, content, way_out)).collect();
    let alone = "sas {\nhotfailover=true\nzookeeperhostport=zookeeper:2181\nfailovergroup=g\n}";
    entries.push(transport_file::<PublisherConfig>(
        &PUB,
        alone,
        "Name the election service: `--elections election-1:7100`.",
    ));
    let way_out = "Name ZooKeeper and the group; the members write one file that all of them reach.";
    entries.push(transport_file::<SubscriberConfig>(&SUB, "sas { hotfailover=true }", way_out));
    Section { title: "Transport file of the adapters", entries }
}

pub fn urls() -> Section {
    let folder = Folder::new();
    let table = [
        (
            "http://weather:31415/weather/cq/observations",
            "The scheme is `dfESP`; nothing is connected to, host and port are the first part of topics' names.",
        ),
        (
            "dfESP://weather/weather/cq/observations",
            "Write the port that the topics' names have, as in `weather_31415`.",
        ),
        ("dfESP://weather:port/weather/cq/observations", "A number from 1 to 65535."),
        ("dfESP://weather:31415/weather/observations", "Project, query and window, each a part."),
        (
            "dfESP://weather:31415/weather/cq/observations?snapshot",
            "Write `snapshot=false`; the output topic holds changes only.",
        ),
        ("dfESP://weather:31415/weather/my query/observations", "Rename the query: its name is a part of a topic's."),
        ("dfESP://weather:31415/weather/cq/obs.v2", "Rename the window: dots separate the parts of a topic's name."),
        ("dfESP://weather:31415/weather//observations", "Name the query."),
    ];
    let full: Vec<(String, &'static str)> =
        table.iter().map(|(url, way_out)| (format!("-C|type=pub,url={url},fsname=in.csv"), *way_out)).collect();
    let full: Vec<(&str, &'static str)> = full.iter().map(|(line, way_out)| (line.as_str(), *way_out)).collect();
    Section { title: "dfESP URLs", entries: entries::<PublisherConfig>(&folder, &PUB, &full) }
}

/// What is told and does not stop an adapter: unknown keys, as the reference has it.
pub fn warnings() -> Section {
    let publisher = |more: &str, way_out| {
        let line = format!("type=pub,{URL},fsname=in.csv,{more}");
        let warnings = PublisherOptions::from_line(&line).unwrap().warnings;
        let said: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
        Entry::new(format!("esp-publisher-adapter -C {line}"), said.join("\n"), way_out)
    };
    let subscriber = |more: &str, way_out| {
        let line = format!("{},{more}", SUB[1]);
        let warnings = SubscriberOptions::from_line(&line).unwrap().warnings;
        let said: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
        Entry::new(format!("esp-subscriber-adapter -C {line}"), said.join("\n"), way_out)
    };
    let in_file = |content: &str, way_out| {
        let folder = Folder::new();
        folder.write("kafka.cfg", content);
        let line = format!("{},transportconfigfile=/etc/esp-mesh/kafka.cfg", PUB[1]);
        let warnings = PublisherOptions::from_line(&folder.real(&line)).unwrap().warnings;
        let said: Vec<String> = warnings.iter().map(|warning| folder.shown(&format!("warning: {warning}"))).collect();
        Entry::new(format!("/etc/esp-mesh/kafka.cfg with\n{content}"), said.join("\n"), way_out)
    };
    let entries = vec![
        publisher("blocksise=64", "Take the name that is proposed; until then the default holds."),
        publisher("blocksize=64,blocksize=512", "Keep one of them."),
        publisher("gdconfig=gd.cfg", "Leave it out: every block is delivered exactly once without it."),
        subscriber("unbufferedoutputstreams=true", "`flushms=0` writes every event at once."),
        in_file(
            "kafka { hostprt=\"kafka-1:9092\" }",
            "Take the name that is proposed; until then brokers are taken from `--kafka`.",
        ),
        in_file("kafka { hostport=\"kafka-1:9092\" groupid=\"g1\" }", "Leave it out."),
        in_file("rabbit { host=\"r:1\" }", "Only `kafka` and `sas` are read."),
        in_file("hostport=\"kafka-1:9092\"", "Put it inside `kafka { }`."),
        in_file("kafka { hostport=\"kafka-1:9092\"", "Close the block with `}`."),
    ];
    Section { title: "What adapters warn of, and go on", entries }
}
