//! What the transport file says, checked: brokers, failover group, and the combinations that are refused.

use std::collections::BTreeMap;

use std::path::{Path, PathBuf};

use crate::cfg;
use crate::settings::{Place, Problem, Setting, Values};
use crate::table;

/// How the bus is reached, from the transport file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// Brokers, `host:port,host:port`; `None` when no transport file names them.
    pub hostport: Option<String>,
    /// Settings for the Kafka client, in order.
    pub globalconfig: Vec<(String, String)>,
    /// True: a subscriber without a position starts behind the newest record.
    pub start_newest: bool,
    /// Topic in which publishers keep their position too.
    pub metatopic: Option<String>,
    /// The failover group, if the adapter is one of a group.
    pub failover: Option<Failover>,
    /// Blocks that are read ahead, at most.
    pub read_ahead_blocks_max: usize,
}

impl Transport {
    /// Brokers and client settings: what the process is started with is stronger than the transport file.
    pub fn cluster(
        self,
        kafka: &str,
        stronger: BTreeMap<String, String>,
    ) -> Result<(String, BTreeMap<String, String>), String> {
        let bootstrap = Some(kafka.to_owned()).filter(|kafka| !kafka.is_empty()).or(self.hostport).ok_or(
            "setting `kafka`: expected `host:port` of a broker, found none; give --kafka, or hostport in the transport \
             file (transportconfigfile=...)",
        )?;
        Ok((bootstrap, self.globalconfig.into_iter().chain(stronger).collect()))
    }
}

/// One of a group of publishers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// Name of the group.
    pub group: String,
    /// ZooKeeper as the transport file names it; the election service is what is asked.
    pub zookeeper: String,
}

/// Reads the transport file and its date format; problems and warnings are added.
pub(crate) fn read(
    file: Option<Setting>,
    warnings: &mut Vec<Problem>,
    problems: &mut Vec<Problem>,
) -> (Transport, Option<String>) {
    let plain = Transport { read_ahead_blocks_max: READ_AHEAD_BLOCKS, ..Transport::default() };
    let Some(setting) = file else {
        return (plain, None);
    };
    let path = PathBuf::from(&setting.value);
    let text = match read_limited(&path) {
        Ok(text) => text,
        Err(why) => {
            let message = format!("reading the transport file `{}`: {why}", path.display());
            problems.push(Problem { place: setting.place, message });
            return (plain, None);
        }
    };
    let cfg = cfg::parse(&text, &path);
    warnings.extend(cfg.warnings);
    let mut kafka = Values::new(cfg.kafka, table::KAFKA, warnings);
    let hostport = kafka.text("hostport");
    if let Some(setting) = kafka.setting("partition").cloned()
        && !matches!(setting.value.trim(), "0" | "-1")
    {
        let message = format!("`partition` is `{}`, expected 0: topics of the mesh have one partition", setting.value);
        kafka.refuse(&setting.place, message);
    }
    let start_newest = kafka.choice(
        "initialoffset",
        false,
        &[("smallest", false), ("largest", true), ("earliest", false), ("latest", true)],
    );
    let globalconfig = pairs(&mut kafka, "globalconfig");
    let metatopic = kafka.text("metatopic");
    let group_ids = ["groupid", "kafkaconsumergroupid"].map(|key| kafka.setting(key).cloned());
    let mut sas = Values::new(cfg.sas, table::SAS, warnings);
    let read_ahead_blocks_max = sas.number("numbufferedmsgs", READ_AHEAD_BLOCKS as u64, 0..=10_000_000).max(1) as usize;
    let failover = failover(&mut sas, &group_ids);
    let dateformat = sas.text("dateformat");
    problems.extend(kafka.into_problems());
    problems.extend(sas.into_problems());
    for id in group_ids.iter().flatten() {
        let message =
            format!("`{}` has no effect: the position is kept with the data, not in a consumer group", id.key);
        warnings.push(Problem { place: id.place.clone(), message });
    }
    let transport = Transport { hostport, globalconfig, start_newest, metatopic, failover, read_ahead_blocks_max };
    (transport, dateformat)
}

/// Default of `numbufferedmsgs`.
const READ_AHEAD_BLOCKS: usize = 10_000;

/// The failover group, with the combinations that the reference refuses.
fn failover(sas: &mut Values<'_>, group_ids: &[Option<Setting>; 2]) -> Option<Failover> {
    if !sas.flag("hotfailover", false) {
        return None;
    }
    let place = sas.setting("hotfailover").map(|setting| setting.place.clone()).unwrap_or(Place::Line);
    let group = sas.text("failovergroup");
    for id in group_ids.iter().flatten() {
        // a public sample gives groupid the name of the failover group; nothing is consumed, so that is harmless
        if id.key == "groupid" && Some(&id.value) == group.as_ref() {
            continue;
        }
        sas.refuse(
            &id.place,
            format!(
                "`{}` with `hotfailover=true`: a consumer group would hand the topic to one member; leave it out",
                id.key
            ),
        );
    }
    let zookeeper = sas.text("zookeeperhostport");
    if zookeeper.is_none() {
        sas.refuse(&place, "`hotfailover=true` without `zookeeperhostport`: nobody could elect the writer; add for example zookeeperhostport=\"localhost:2181\"");
    }
    if group.is_none() {
        sas.refuse(&place, "`hotfailover=true` without `failovergroup`: name the group, the same for all its members");
    }
    Some(Failover { group: group?, zookeeper: zookeeper? })
}

/// `key=value;key=value`.
fn pairs(values: &mut Values<'_>, key: &str) -> Vec<(String, String)> {
    let Some(setting) = values.setting(key).cloned() else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for part in setting.value.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((name, value)) => pairs.push((name.trim().to_owned(), value.trim().to_owned())),
            None => values.refuse(&setting.place, format!("`{key}` holds `{part}`, expected key=value;key=value")),
        }
    }
    pairs
}

fn read_limited(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > cfg::CFG_BYTES_MAX {
        return Err(format!("it has {size} bytes, expected at most {}", cfg::CFG_BYTES_MAX));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
