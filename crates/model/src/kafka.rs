//! Properties of kafka connectors: what is done with each. The reader asks here; docs/models/WINDOWS.md has the table.

/// What is done with a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It is checked, or says something that holds.
    Heeded(&'static str),
    /// It can say nothing that matters here.
    Harmless(&'static str),
    /// It asks for something that engines do not do, unless it has one of these values; why and the way out.
    Not(&'static [&'static str], &'static str),
}

use Done::{Harmless, Heeded, Not};

/// Values of a switch that is off.
const OFF: &[&str] = &["", "false", "no", "off", "0"];
/// Nothing.
const EMPTY: &[&str] = &[""];

const OTHER_FORMATS: &str = "topics hold binary event blocks; an adapter converts";
const TEXT: &str = "topics hold binary event blocks, so nothing of CSV is left to say; say it to the publisher adapter";
const LOCAL: &str = "the engine's setting says it";
const ENGINE: &str = "the engine is the one that runs the project";

/// Properties of both directions.
pub(crate) const BOTH: &[(&str, Done)] = &[
    ("type", Heeded("pub or sub")),
    ("kafkahostport", Harmless("the engine's setting `kafka` names the brokers")),
    ("kafkatopic", Heeded("must end as the window's topic does: HOST_PORT.PROJECT.QUERY.WINDOW.I or .O")),
    ("kafkapartition", Heeded("0 or -1: a topic has one partition")),
    ("kafkatype", Not(&["", "binary"], OTHER_FORMATS)),
    ("urlhostport", Heeded("first part of the topic names, of the project's first kafka connector")),
    ("dateformat", Harmless(TEXT)),
    ("protofile", Not(EMPTY, OTHER_FORMATS)),
    ("protomsg", Not(EMPTY, OTHER_FORMATS)),
    ("useclientmsgid", Not(OFF, "message ids are offsets (useoffsetmsgid), which no client can give twice")),
    ("kafkaconsumergroupid", Harmless("every engine reads the whole topic; refused with hotfailover")),
    ("configfilesection", Harmless("the engine's own settings hold")),
    ("kafkaglobalconfig", Harmless("librdkafka's settings are those of the engine (`kafka_settings`)")),
    ("kafkatopicconfig", Harmless("librdkafka's settings are those of the engine (`kafka_settings`)")),
    ("avroschemaregistryurl", Not(EMPTY, OTHER_FORMATS)),
    ("avroschemanoopcode", Not(OFF, OTHER_FORMATS)),
    ("kafkatransport", Harmless(LOCAL)),
    ("project", Harmless(ENGINE)),
    ("continuousquery", Harmless(ENGINE)),
    ("window", Harmless(ENGINE)),
    ("host", Harmless(ENGINE)),
    ("port", Harmless(ENGINE)),
    ("token", Harmless("tokens are in a file of the engine (`token_file`)")),
    ("tokenlocation", Harmless("tokens are in a file of the engine (`token_file`)")),
];

/// Properties of subscribe connectors.
pub(crate) const SUB: &[(&str, Done)] = &[
    ("numbufferedmsgs", Heeded("must be a number from 1; the engine's `numbufferedmsgs` holds")),
    ("snapshot", Not(OFF, "the topic has every event since the deployment; read it from its start")),
    ("hotfailover", Heeded("every project fails over; with it the rules of the original are checked")),
    ("zookeeperhostport", Heeded("must be there with hotfailover; the election service knows ZooKeeper")),
    ("collapse", Not(OFF, "set collapse-updates=\"true\" on the window, or collapse=true at the subscriber adapter")),
    ("rmretdel", Not(OFF, "set rmretdel=true at the subscriber adapter, or put a remove-state window before")),
    ("csvincludeschema", Not(&["", "never"], TEXT)),
    ("csvmsgperevent", Not(OFF, TEXT)),
    ("csvmsgpereventblock", Not(OFF, TEXT)),
    ("avroschemadefinition", Not(EMPTY, OTHER_FORMATS)),
    ("avroschemaname", Not(EMPTY, OTHER_FORMATS)),
    ("doubleprecision", Harmless(TEXT)),
];

/// Properties of publish connectors.
pub(crate) const PUB: &[(&str, Done)] = &[
    (
        "kafkainitialoffset",
        Not(
            &["", "smallest"],
            "every engine reads the whole topic, or goes on behind a snapshot; empty the topic instead",
        ),
    ),
    ("useoffsetmsgid", Heeded("always on: a message id is the offset")),
    ("transactional", Harmless("a block says itself whether it is one")),
    ("blocksize", Harmless("blocks stay as they were published")),
    ("ignorecsvparseerrors", Harmless(TEXT)),
    ("csvfielddelimiter", Harmless(TEXT)),
    ("noautogenfield", Harmless(TEXT)),
    ("publishwithupsert", Not(OFF, "set publishwithupsert=true at the publisher adapter")),
    ("addcsvopcode", Harmless(TEXT)),
    ("addcsvflags", Harmless(TEXT)),
    (
        "maxevents",
        Not(&["", "-1", "0"], "every engine must apply the same events; set maxevents at the publisher adapter"),
    ),
    ("stripnullsfromcsv", Harmless(TEXT)),
    ("keyfromkafkakey", Not(OFF, "keys are fields of the block; publish them as such")),
];

/// What is done with a property of this name.
pub(crate) fn done(name: &str, own: &[(&'static str, Done)]) -> Option<Done> {
    BOTH.iter().chain(own).find(|(known, _)| *known == name).map(|(_, done)| *done)
}

/// The properties as a table of a document.
pub(crate) fn document(text: &mut String) {
    text.push_str(
        "\n## Properties of kafka connectors\n\n\
         Engines read and write the windows' own topics. What a property asks for beyond that is a warning with the way out.\n\n\
         | property | of | what is done |\n|---|---|---|\n",
    );
    for (of, properties) in [("both", BOTH), ("subscribe", SUB), ("publish", PUB)] {
        for (name, done) in properties {
            let said = match done {
                Heeded(how) => (*how).to_owned(),
                Harmless(why) => format!("no effect: {why}"),
                Not(fine, why) if fine.len() > 1 => {
                    let fine: Vec<String> =
                        fine.iter().filter(|value| !value.is_empty()).map(|v| format!("`{v}`")).collect();
                    format!("other than {}: a warning: {why}", fine.join(", "))
                }
                Not(_, why) => format!("a warning: {why}"),
            };
            text.push_str(&format!("| `{name}` | {of} | {said} |\n"));
        }
    }
}
