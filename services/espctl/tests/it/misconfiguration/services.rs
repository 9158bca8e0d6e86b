//! Settings of the services.

use super::{Entry, Folder, Section};
use mesh_coordinator::CoordinatorConfig;
use mesh_election::ElectionConfig;
use mesh_engine::EngineConfig;
use mesh_gateway::GatewayConfig;
use mesh_service::Config;
use mesh_service::config::cli;
use std::ffi::OsString;

/// What an engine needs besides.
pub const ENGINE: [&str; 4] = ["--coordinators", "coordinator-1:50100", "--elections", "election-1:7100"];

/// What a service says to these arguments and variables. Without the wrong ones it is well.
pub fn told<C: Config>(folder: &Folder, good: &[&str], wrong: &[&str], variables: &[(&str, &str)]) -> String {
    let read = |arguments: &[&str], variables: &[(&str, &str)]| {
        let program = OsString::from(format!("esp-{}", C::SERVICE));
        let arguments = arguments.iter().map(|argument| OsString::from(folder.real(argument)));
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), folder.real(value)));
        cli::<C>([program].into_iter().chain(arguments), variables)
    };
    if let Err(text) = read(good, &[]) {
        panic!("{good:?} is well by itself: {text}");
    }
    // what is given wrongly is not given well besides
    let kept: Vec<&str> = good.chunks(2).filter(|pair| !wrong.contains(&pair[0])).flatten().copied().collect();
    let said = read(&[&kept, wrong].concat(), variables).err();
    folder.shown(&said.unwrap_or_else(|| panic!("{} {wrong:?} {variables:?} is taken", C::SERVICE)))
}

fn quoted(argument: &str) -> String {
    if argument.is_empty() || argument.contains([' ', ';', '&', '?']) {
        format!("'{argument}'")
    } else {
        argument.to_owned()
    }
}

/// Entries of wrong arguments, written one after the other as on a command line, separated by `|`.
pub fn entries<C: Config>(folder: &Folder, good: &[&str], table: &[(&str, &'static str)]) -> Vec<Entry> {
    let one = |(arguments, way_out): &(&str, &'static str)| {
        let wrong: Vec<&str> = arguments.split('|').collect();
        let shown: Vec<String> = wrong.iter().map(|argument| quoted(argument)).collect();
        let given = format!("esp-{} {}", C::SERVICE, shown.join(" "));
        Entry::new(given, told::<C>(folder, good, &wrong, &[]), way_out)
    };
    table.iter().map(one).collect()
}

pub fn every() -> Section {
    let folder = Folder::new();
    folder.write("typo.toml", "lisen = '127.0.0.1:7200'\n");
    folder.write("table.toml", "brokers = 'kafka-1:9092'\n");
    folder.write("type.toml", "requests_max = 'many'\n");
    folder.write("broken.toml", "listen = 127.0.0.1:7200\n");
    let mut all = entries::<EngineConfig>(
        &folder,
        &ENGINE,
        &[
            ("--listen|7200", "Name the interface too, `0.0.0.0:7200` for all of them."),
            ("--listen|engine-1:72000", "Ports end at 65535."),
            (
                "--advertise|http://engine-1:7200",
                "Leave the scheme out: `--advertise engine-1:7200`; TLS is switched on by `tls.cert`.",
            ),
            ("--coordinators|coordinator-1", "Add the port, 50100 unless it was changed."),
            ("--trace-ratio|5", "It is a share, not a percentage: 5 % is 0.05."),
            ("--otlp-endpoint|jaeger:4317", "Write the scheme: `http://jaeger:4317`."),
            ("--grace|10", "Durations have a unit."),
            ("--grace|0", "A drain needs time; the default is 10s."),
            ("--request-timeout|0", "Give callers without a deadline some time; the default is 10s."),
            ("--requests-max|0", "Leave it out for the default of 256."),
            ("--connections-max|0", "Leave it out for the default of 1024."),
            ("--connection-rate-max|0", "There is no \"unlimited\"; name a rate that nobody reaches."),
            ("--renew-interval|1ms", "Ten seconds are enough; SIGHUP has the files read at once."),
            ("--log|mesh_engine=loud", "Levels are off, error, warn, info, debug, trace."),
            ("--log-format|yaml", "JSON lines are for programs, `human` is for people."),
            (
                "--admin-secured|true",
                "Set `tls.cert` or `auth.tokens`, or leave the admin server open on an address of its own.",
            ),
            ("--config|/etc/esp-mesh/none.toml", "Name the file that is there."),
            ("--config|/etc/esp-mesh/typo.toml", "Take the name that is proposed; `--dump-config` prints all of them."),
            (
                "--config|/etc/esp-mesh/table.toml",
                "`kafka` is one setting of an engine; the coordinator has `[kafka]` with `brokers`.",
            ),
            ("--config|/etc/esp-mesh/type.toml", "Give a number."),
            ("--config|/etc/esp-mesh/broken.toml", "In TOML texts stand in quotes: `listen = \"127.0.0.1:7200\"`."),
            ("--set|kafka", "Write the value behind the name: `--set kafka=kafka-1:9092`."),
            ("--kafka-brokers|kafka-1:9092", "Take the flag that is proposed; `--help` lists them."),
            (
                "--set|kafka_settings_file=/etc/esp-mesh/secret",
                "Mount the secret, or leave `_file` off to give the value itself.",
            ),
        ],
    );
    let variable = [("ESP_ENGINE_ELECTION", "election-1:7100")];
    let said = told::<EngineConfig>(&folder, &ENGINE, &[], &variable);
    let way_out = "Take the name that is proposed; a variable with the prefix of the service is never ignored.";
    all.push(Entry::new("ESP_ENGINE_ELECTION=election-1:7100 esp-engine", said, way_out));
    Section { title: "Settings of every service", entries: all }
}

pub fn engine() -> Section {
    let folder = Folder::new();
    let mut all = entries::<EngineConfig>(
        &folder,
        &ENGINE,
        &[
            ("--elections|", "Name every election instance; any one of them is enough at a time."),
            ("--coordinators|", "Name the coordinators; they say what to run."),
            (
                "--elections|election-1:7100/esp",
                "An election instance has no path; ZooKeeper's chroot belongs to the election service.",
            ),
            ("--kafka|kafka-1", "Add the port, as in `kafka-1:9092`."),
            ("--kafka|kafka-1:9092;kafka-2:9092", "Separate brokers with commas."),
            ("--kafka-settings|linger.ms:5", "Write `linger.ms=5`, several separated by `;`."),
            (
                "--kafka-settings|isolation.level=read_uncommitted",
                "Leave it out: with it a reader would see what was never committed.",
            ),
            ("--kafka-settings|acks=1", "Leave it out: events could be lost with a broker."),
            (
                "--url-host-port|mesh 31415",
                "Use `_` between host and port; it is the first part of every topic's name.",
            ),
            ("--rest-listen|61001", "Name the interface too, `0.0.0.0:61001` for all of them."),
            ("--numbufferedmsgs|0", "Leave it out for the default of 10000."),
            ("--buffer-bytes|64kB", "Give at least 1MiB for each input."),
            ("--buffer-bytes|32 megs", "Units are kB, KiB, MB, MiB, GB, GiB."),
            ("--commit-blocks-max|0", "Leave it out for the default of 32768."),
            ("--commit-events-max|0", "Leave it out for the default of 131072."),
            ("--coordinator-wait|1h", "An engine should not wait that long with what it knows; the default is 3s."),
            ("--snapshot-url|/var/lib/snapshots", "A folder is a URL too: `file:///var/lib/snapshots`."),
            ("--snapshot-url|ftp://store/snapshots", "Take one of the stores that are named."),
            ("--snapshot-url|s3://bucket/esp", "Build the engine with the feature, or take a shared folder."),
            ("--snapshot-interval|10ms", "Minutes are usual; the default is 5min."),
            ("--snapshot-keep|0", "Keep at least one; without snapshots leave `snapshot_url` empty."),
            (
                "--notification-addresses|mail.example.org",
                "Name the port too, `mail.example.org:587`, or `mail.example.org:*`.",
            ),
            ("--smtp-server|mail.example.org", "Name the port too: 587 is usual."),
            ("--smtp-password-file|/nowhere/at/all", "Write the password into a file that only the engine can read."),
            ("--smtp-tls|ssl", "Leave it out for `auto`."),
            ("--bad-events-dir|/nowhere/at/all", "Make the folder first; each engine needs one that it can write."),
            ("--bad-events-bytes|1kB", "Leave it out for the default of 16MiB."),
        ],
    );
    let base = mesh_service::Base::default();
    let said = mesh_service::probe::probe(&base).unwrap_err().to_string();
    all.push(Entry::new("esp-engine --probe", said, "Give the instance and its probe the same fixed port."));
    Section { title: "Engine", entries: all }
}

pub fn coordinator() -> Section {
    let table = [
        (
            "--etcd-endpoints|http://etcd:2379",
            "Leave the scheme out: `etcd:2379`; TLS is switched on by `etcd.tls.ca`.",
        ),
        ("--etcd-endpoints|", "Name every member of etcd."),
        ("--etcd-timeout|0", "The default is 2s."),
        ("--etcd-tls-cert|/etc/esp-mesh/client.pem", "Set certificate and key, and `etcd.tls.ca`."),
        ("--kafka-brokers|kafka-1,kafka-2", "Add the ports."),
        ("--kafka-settings|transactional.id=mine", "Leave it out; each writer has one of its own."),
        ("--topics-replication-factor|0", "Three copies survive the loss of a broker."),
        ("--topics-min-insync-replicas|4", "Two of three: one broker may be away, and no event is in one copy only."),
        ("--url-host-port|esp:31415", "Topic names have `_` in the place of the colon."),
        ("--elections|election-1", "Add the port, 7100 in the compose file."),
        ("--history-max|0", "Leave it out for the default of 1000."),
        ("--versions-max|0", "At least the current version is kept."),
        ("--promote-timeout|0", "The default is 5s."),
    ];
    Section {
        title: "Coordinator: etcd, Kafka, topics",
        entries: entries::<CoordinatorConfig>(&Folder::new(), &[], &table),
    }
}

pub fn election() -> Section {
    let table = [
        ("--zookeeper-hosts|zookeeper", "Add the port, 2181 unless it was changed."),
        ("--zookeeper-hosts|zk-1:2181;zk-2:2181", "Separate servers with commas."),
        ("--zookeeper-session-timeout|100ms", "Sessions are at least two ticks: `tickTime` 500 allows 1s."),
        ("--zookeeper-call-timeout|0", "The default is 1s."),
        ("--zookeeper-tls-cert|/etc/esp-mesh/client.pem", "Set certificate and key, and `zookeeper.tls.ca`."),
        ("--hang-timeout|10ms", "A candidate gives a sign of life every 100 ms; the default is 400ms."),
        ("--takeover-timeout|20min", "It is a slip of the unit; the default is 10s."),
    ];
    Section { title: "Election: ZooKeeper and times", entries: entries::<ElectionConfig>(&Folder::new(), &[], &table) }
}

pub fn gateway() -> Section {
    let good = ["--coordinators", "coordinator-1:50100"];
    let table = [
        ("--coordinators|", "The gateway knows only what a coordinator tells it."),
        ("--rest-listen|:61000", "Name the interface too, `0.0.0.0:61000` for all of them."),
        ("--mesh-name|", "Clients see it as the name of the engine."),
        ("--stale-after|0", "The default is 3s."),
    ];
    Section { title: "Gateway", entries: entries::<GatewayConfig>(&Folder::new(), &good, &table) }
}
