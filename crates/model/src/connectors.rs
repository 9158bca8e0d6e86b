//! Reads connectors: property bags whose names and combinations are checked where they are known.

use std::collections::BTreeMap;

use roxmltree::Node;

use crate::connector::{Connector, Direction, is_address};
use crate::kafka;
use crate::reader::{IGNORED, Reader};
use crate::report::{Draft, bad_value, duplicate, tag_span};
use crate::text::Text;

const FS: [&str; 38] = [
    "naisnull",
    "type",
    "fsname",
    "fstype",
    "snapshot",
    "blocksize",
    "transactional",
    "dateformat",
    "header",
    "rate",
    "repeatcount",
    "maxevents",
    "addcsvopcode",
    "addcsvflags",
    "noautogenfield",
    "ignorecsvparseerrors",
    "csvfielddelimiter",
    "growinginputfile",
    "publishwithupsert",
    "stripnullsfromcsv",
    "doubleprecision",
    "unbufferedoutputstreams",
    "periodicity",
    "maxfilesize",
    "prebuffer",
    "collapse",
    "rmretdel",
    "configfilesection",
    "hdatcashostport",
    "hdatlasrhostport",
    "hdatfilename",
    "hdatmaxstringlength",
    "hdatnumthreads",
    "hdatmaxdatanodes",
    "hdfsblocksize",
    "hdfsnumreplicas",
    "opaquestring",
    "csvincludeschema",
];

/// Known properties of fs connectors that would change events, and do not here.
const NOT_HONOURED: [&str; 4] = ["stripnullsfromcsv", "doubleprecision", "opaquestring", "csvincludeschema"];

const TIMER: [&str; 9] =
    ["type", "label", "timeformat", "basetime", "interval", "unit", "maxevents", "transactional", "configfilesection"];

const LUA: [&str; 7] = ["type", "code", "interval", "init", "publish", "destroy", "maxevents"];

/// Why engines do not run a connector that is a source or sink of its own; `None`: they do.
fn why_not_run(class: &str, direction: Direction, properties: &Properties<'_, '_>) -> Option<String> {
    let value = |name: &str| {
        let found = properties.get(name).map(|property| property.value.as_str());
        found.filter(|value| !value.is_empty())
    };
    match (class, direction) {
        ("fs", _) => {
            let formats: &[&str] =
                if direction == Direction::Publish { &["csv", "json", "xml"] } else { &["csv", "json"] };
            let format = value("fstype").unwrap_or("csv");
            let rotates =
                || ["maxfilesize", "periodicity"].into_iter().find(|name| value(name).is_some_and(|n| n != "0"));
            if value("fsname").is_none() {
                Some("it has no property `fsname`, the file".to_owned())
            } else if !formats.iter().any(|known| known.eq_ignore_ascii_case(format)) {
                let formats = formats.join(", ");
                Some(format!("`fstype` is `{format}`, engines know {formats} this way"))
            } else if direction == Direction::Subscribe {
                rotates().map(|name| format!("`{name}` is set, and engines do not rotate files"))
            } else if !format.eq_ignore_ascii_case("csv") && value("fsname").is_some_and(is_address) {
                Some(format!("`fstype` is `{format}`, engines read csv from sockets; send csv, or name a file"))
            } else {
                None
            }
        }
        ("timer", Direction::Publish) => None,
        ("lua", Direction::Publish) => {
            value("code").is_none().then(|| "it has no property `code`, the script".to_owned())
        }
        _ => Some("engines run fs, kafka, and publishing timer and lua connectors".to_owned()),
    }
}

/// Reads the connectors of a window in file order.
pub(crate) fn read(window: Node<'_, '_>, source: bool, reader: &Reader<'_>) -> Vec<Connector> {
    let mut connectors: Vec<Connector> = Vec::new();
    let lists = window.children().filter(|child| child.has_tag_name("connectors"));
    for node in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        if !node.has_tag_name("connector") {
            if !IGNORED.contains(&node.tag_name().name()) {
                reader.unknown_element(node, &["connector"]);
            }
            continue;
        }
        let Some(connector) = connector(node, connectors.len(), source, reader) else { continue };
        if let Some(first) = connectors.iter().find(|other| other.name == connector.name)
            && let Some(name) = reader.attribute(node, "name")
        {
            reader.report.add(node, duplicate("connector", &name, first.line));
        }
        connectors.push(connector);
    }
    connectors
}

fn connector(node: Node<'_, '_>, position: usize, source: bool, reader: &Reader<'_>) -> Option<Connector> {
    reader.check_attributes(node, &[&["class", "name", "type", "active", "connection-name"]]);
    let class = reader.required(node, "class");
    let active = reader.flag(node, "active").unwrap_or(true);
    let properties = properties(node, reader);
    let class = class?;
    let name = reader.attribute(node, "name").filter(|name| !name.is_empty());
    let name = name.map_or_else(|| format!("{}{}", class.as_str(), position + 1), |name| name.as_str().to_owned());
    let direction = direction(node, &properties, source, reader)?;
    if direction == Direction::Publish && !source && active {
        let draft =
            Draft::error("connector-direction", tag_span(node), "a publish connector on a window that is no source")
                .help("events enter through source windows; move it there, or set type=\"subscribe\"");
        reader.report.add(node, draft);
    }
    let mut own = false;
    match class.as_str() {
        "kafka" => {
            let of = |wanted: Direction| if wanted == Direction::Publish { kafka::PUB } else { kafka::SUB };
            let other = if direction == Direction::Publish { Direction::Subscribe } else { Direction::Publish };
            let names = |table: &[(&'static str, kafka::Done)]| table.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            check_names(node, &properties, &[&names(kafka::BOTH), &names(of(direction))], &names(of(other)), reader);
            if active {
                check_kafka(node, direction, &properties, reader);
                check_honoured(node, direction, &properties, reader);
            }
        }
        other => {
            match other {
                "fs" => check_names(node, &properties, &[&FS], &[], reader),
                "timer" => check_names(node, &properties, &[&TIMER], &[], reader),
                "lua" => check_names(node, &properties, &[&LUA], &[], reader),
                _ => {}
            }
            let refused = why_not_run(other, direction, &properties);
            own = active && refused.is_none();
            for (name, property) in properties.iter().filter(|(name, _)| own && NOT_HONOURED.contains(&name.as_str())) {
                let headline = format!("engines do not know `{name}` of {other} connectors, it is ignored");
                let draft = Draft::warning("unused-property", property.name.full_span(), headline);
                reader
                    .report
                    .add(property.node, draft.help("remove it, or see that the events are the same without it"));
            }
            if let Some(why) = refused.filter(|_| active) {
                let headline = format!("connector `{name}` of class `{other}` is not started: {why}");
                let help = match direction {
                    Direction::Publish => {
                        "feed the window's input topic with a publisher adapter; active=\"false\" silences this"
                    }
                    Direction::Subscribe => {
                        "read the window's output topic with a subscriber adapter; active=\"false\" silences this"
                    }
                };
                reader
                    .report
                    .add(node, Draft::warning("connector-not-started", class.full_span(), headline).help(help));
            }
        }
    }
    Some(Connector {
        name,
        class: class.as_str().to_owned(),
        direction,
        active,
        own,
        properties: properties.into_iter().map(|(name, property)| (name, property.value.as_str().to_owned())).collect(),
        line: reader.report.line(node.range().start),
    })
}

/// A property and where its name and value stand.
struct Property<'n, 'i> {
    name: Text,
    value: Text,
    node: Node<'n, 'i>,
}

type Properties<'n, 'i> = BTreeMap<String, Property<'n, 'i>>;

fn properties<'n, 'i>(node: Node<'n, 'i>, reader: &Reader<'_>) -> Properties<'n, 'i> {
    let mut properties: Properties<'n, 'i> = BTreeMap::new();
    for (name, value, element) in reader.property_list(node) {
        let key = name.as_str().to_owned();
        if let Some(first) = properties.get(&key) {
            let line = reader.report.line(first.node.range().start);
            // Public models have it: the original takes the last.
            let headline = format!("property `{}` stands twice, the last one holds", name.as_str());
            let draft = Draft::warning("duplicate-property", name.full_span(), headline)
                .help(format!("the first is in line {line}; remove one"));
            reader.report.add(element, draft);
        }
        properties.insert(key, Property { name, value, node: element });
    }
    properties
}

/// The attribute `type`, or the property `type` of older models: what starts with `p` publishes, the rest subscribes.
fn direction(
    node: Node<'_, '_>,
    properties: &Properties<'_, '_>,
    source: bool,
    reader: &Reader<'_>,
) -> Option<Direction> {
    let attribute = reader.attribute(node, "type").filter(|text| !text.is_empty());
    let property = properties.get("type").map(|property| property.value.clone());
    let Some(text) = attribute.or(property) else {
        let draft = Draft::error("missing-attribute", tag_span(node), "`connector` has no attribute `type`")
            .help(if source { "add type=\"publish\"" } else { "add type=\"subscribe\"" });
        reader.report.add(node, draft);
        return None;
    };
    match text.as_str().to_ascii_lowercase() {
        word if word.starts_with('p') => Some(Direction::Publish),
        word if word.starts_with('s') => Some(Direction::Subscribe),
        _ => {
            reader.report.add(node, bad_value("`type`", &text, "`publish` or `subscribe`"));
            None
        }
    }
}

fn check_names(
    node: Node<'_, '_>,
    properties: &Properties<'_, '_>,
    known: &[&[&str]],
    other_direction: &[&str],
    reader: &Reader<'_>,
) {
    let class = node.attribute("class").unwrap_or_default();
    for (name, property) in properties {
        if known.iter().any(|names| names.contains(&name.as_str())) {
            continue;
        }
        let draft = if other_direction.contains(&name.as_str()) {
            let headline = format!("`{name}` means nothing for this direction of a {class} connector, it is ignored");
            Draft::warning("unused-property", property.name.full_span(), headline)
                .help("move it to the other connector")
        } else {
            let headline = format!("{class} connectors have no property `{name}`, it is ignored");
            let names = known.iter().flat_map(|names| names.iter().copied());
            Draft::warning("unknown-property-name", property.name.full_span(), headline).known(name, names)
        };
        reader.report.add(property.node, draft);
    }
}

/// What engines do not do though a property asks for it.
fn check_honoured(node: Node<'_, '_>, direction: Direction, properties: &Properties<'_, '_>, reader: &Reader<'_>) {
    let (own, end) = match direction {
        Direction::Publish => (kafka::PUB, "I"),
        Direction::Subscribe => (kafka::SUB, "O"),
    };
    for (name, property) in properties {
        let Some(kafka::Done::Not(fine, why)) = kafka::done(name, own) else { continue };
        let value = property.value.as_str();
        if name == "kafkatype" && failover_in_project(node, reader) {
            continue; // that is an error already
        }
        if !fine.iter().any(|fine| value.eq_ignore_ascii_case(fine)) {
            let headline = format!("`{name}` is `{value}`, and engines do not do that");
            let draft = Draft::warning("not-honoured", property.name.full_span(), headline);
            reader.report.add(property.node, draft.help(why));
        }
    }
    let Some(topic) = properties.get("kafkatopic").filter(|topic| !topic.value.is_empty()) else { return };
    let named = |tag: &str| {
        let up = node.ancestors().find(|up| up.tag_name().name().starts_with(tag))?;
        Some(reader.attribute(up, "name")?.as_str().to_owned())
    };
    let (Some(window), Some(query)) = (named("window-"), named("contquery")) else { return };
    let project = named("project").unwrap_or_else(|| query.clone());
    let wanted = format!(".{project}.{query}.{window}.{end}");
    if !topic.value.as_str().ends_with(&wanted) {
        let headline = format!("topic `{}` is not that of the window, and is not used", topic.value.as_str());
        let draft = Draft::warning("other-topic", topic.value.full_span(), headline)
            .help(format!("the window's topic is HOST_PORT{wanted}; publish to it, or read it, with an adapter"));
        reader.report.add(topic.node, draft);
    }
}

/// Rules of failover, and values that are numbers.
fn check_kafka(node: Node<'_, '_>, direction: Direction, properties: &Properties<'_, '_>, reader: &Reader<'_>) {
    let value =
        |name: &str| properties.get(name).map(|property| property.value.as_str()).filter(|value| !value.is_empty());
    let on = |name: &str| {
        value(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1"))
    };
    let binary = value("kafkatype").is_some_and(|ty| ty.eq_ignore_ascii_case("binary"));
    if direction == Direction::Subscribe && on("hotfailover") {
        let hot = properties.get("hotfailover").map_or(tag_span(node), |property| property.name.full_span());
        let refuse = |headline: &str, help: &str| {
            reader.report.add(node, Draft::error("failover", hot.clone(), headline).help(help));
        };
        if value("zookeeperhostport").is_none() {
            refuse(
                "hotfailover needs zookeeperhostport",
                "add <property name=\"zookeeperhostport\">host:2181</property>",
            );
        }
        if !binary {
            let found = value("kafkatype").unwrap_or("not set");
            let headline = format!("hotfailover needs kafkatype=binary, found {found}");
            refuse(&headline, "only binary event blocks carry message ids; set kafkatype to binary");
        }
        refuse_consumer_group(properties, reader);
    }
    if direction == Direction::Publish && failover_in_project(node, reader) {
        refuse_consumer_group(properties, reader);
        if !binary {
            let place = properties.get("kafkatype").map_or(tag_span(node), |property| property.value.full_span());
            let found = value("kafkatype").unwrap_or("not set");
            let headline = format!("the project uses hotfailover, which needs kafkatype=binary, found {found}");
            let draft = Draft::error("failover", place, headline)
                .help("only binary event blocks carry message ids; set kafkatype to binary");
            reader.report.add(node, draft);
        }
    }
    if let Some(property) = properties.get("numbufferedmsgs")
        && property.value.as_str().parse::<u64>().ok().filter(|n| *n > 0).is_none()
    {
        reader.report.add(property.node, bad_value("`numbufferedmsgs`", &property.value, "a number from 1"));
    }
    if let Some(property) = properties.get("kafkapartition")
        && !matches!(property.value.as_str(), "" | "0" | "-1")
    {
        let draft =
            bad_value("`kafkapartition`", &property.value, "0: a topic has one partition, order exists only inside it");
        reader.report.add(property.node, draft);
    }
}

fn refuse_consumer_group(properties: &Properties<'_, '_>, reader: &Reader<'_>) {
    if let Some(property) = properties.get("kafkaconsumergroupid")
        && !property.value.is_empty()
    {
        let headline = "kafkaconsumergroupid cannot be used with hotfailover";
        let draft = Draft::error("failover", property.name.full_span(), headline)
            .help("remove it: every engine reads the whole topic, so they cannot share it as a consumer group");
        reader.report.add(property.node, draft);
    }
}

/// True when any active kafka subscribe connector of the file has hotfailover on.
fn failover_in_project(node: Node<'_, '_>, reader: &Reader<'_>) -> bool {
    let mut properties = node.document().descendants().filter(|node| node.has_tag_name("property"));
    properties.any(|property| {
        let connector = property.ancestors().find(|node| node.has_tag_name("connector"));
        property.attribute("name") == Some("hotfailover")
            && matches!(reader.text(property).as_str().to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1")
            && connector.is_some_and(|connector| {
                connector.attribute("class") == Some("kafka") && connector.attribute("active") != Some("false")
            })
    })
}
