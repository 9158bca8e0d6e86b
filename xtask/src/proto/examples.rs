//! Calls with grpcurl, for docs/API.md. A test of espctl (`services/espctl/src/local/api.rs`) runs each as it stands there,
//! in the order of the document, against a mesh with the engines `engine-1` and `engine-2` that runs the project `weather`.

use std::collections::BTreeSet;

use super::descriptor::{Files, What};

/// The service that people call.
pub const SERVICE: &str = "mesh.coordinator.v1.Coordinator";
/// Where it listens in the examples: its default.
const ADDRESS: &str = "127.0.0.1:50100";

/// A call.
pub struct Example {
    /// The call.
    pub call: &'static str,
    /// The request.
    pub json: &'static str,
    /// What a reader should know; empty: nothing.
    pub note: &'static str,
}

const fn example(call: &'static str, json: &'static str) -> Example {
    Example { call, json, note: "" }
}

/// Every call of the service once.
pub const EXAMPLES: &[Example] = &[
    example("Status", r#"{"project": "weather"}"#),
    Example { call: "WatchStatus", json: "{}", note: "Ends after two seconds; leave `-max-time 2` out to go on." },
    example("ListProjects", "{}"),
    Example {
        call: "Deploy",
        json: r#"{"xml": "<project name=\"copies\" pubsub=\"auto\" threads=\"1\"><contqueries><contquery name=\"cq\"><windows><window-source name=\"in\"><schema><fields><field name=\"id\" type=\"int64\" key=\"true\"/></fields></schema></window-source><window-copy name=\"out\"/></windows><edges><edge source=\"in\" target=\"out\"/></edges></contquery></contqueries></project>", "file": "copies.xml", "change": {"who": "ada", "why": "first version"}}"#,
        note: "A file is put into the request with `jq`: `jq -Rs '{xml: ., file: \"copies.xml\"}' copies.xml | grpcurl -d @ ...`.",
    },
    example("ListVersions", r#"{"project": "copies"}"#),
    example(
        "Rollback",
        r#"{"project": "copies", "version": "1", "change": {"who": "ada", "why": "the new one is wrong"}}"#,
    ),
    Example {
        call: "WatchProjects",
        json: r#"{"engine": "engine-1"}"#,
        note: "What engines hold open; ends after two seconds here.",
    },
    example("Undeploy", r#"{"project": "copies", "change": {"who": "ada", "why": "no longer needed"}}"#),
    example("Promote", r#"{"project": "weather", "change": {"who": "ada", "why": "engine-1 gets a new disk"}}"#),
    example("Drain", r#"{"engine": "engine-1", "change": {"who": "ada", "why": "new disk"}}"#),
    example("Rebalance", r#"{"change": {"who": "ada", "why": "a new engine is there"}}"#),
    example("Undrain", r#"{"engine": "engine-1", "change": {"who": "ada", "why": "the disk is in"}}"#),
    example("PauseFailover", r#"{"project": "weather", "change": {"who": "ada", "why": "work on the network"}}"#),
    example("ResumeFailover", r#"{"project": "weather", "change": {"who": "ada", "why": "done"}}"#),
    Example { call: "Snapshot", json: r#"{"project": "weather"}"#, note: "Engines need a `snapshot_url`." },
    Example {
        call: "Skip",
        json: r#"{"project": "weather", "position": "17"}"#,
        note: "Refused (`FailedPrecondition`) unless the project is parked at this very block.",
    },
    example("Diagnose", "{}"),
    example("History", r#"{"project": "weather", "limit": 10}"#),
    example("CreateTopic", r#"{"name": "example.topic", "settings": {"retention.ms": "86400000"}}"#),
    example("ListTopics", r#"{"prefix": "weather"}"#),
    example("DeleteTopic", r#"{"name": "example.topic", "change": {"who": "ada", "why": "it was an example"}}"#),
    Example {
        call: "Announce",
        json: r#"{"name": "my-tool", "kind": "gateway", "address": "127.0.0.1:9", "version": "1.0"}"#,
        note: "Again at least every 2 seconds; forgotten after `forget_members_after`.",
    },
];

/// An example as it is typed.
pub fn command(example: &Example, streams: bool) -> String {
    let limit = if streams { " -max-time 2" } else { "" };
    format!("grpcurl -plaintext{limit} -d '{}' {ADDRESS} {SERVICE}/{}", example.json, example.call)
}

/// Calls without an example, and examples without a call.
pub fn findings(files: &Files) -> Vec<String> {
    let of_service = format!("{SERVICE}.");
    let items = files.items();
    let calls: BTreeSet<&str> = items
        .iter()
        .filter(|item| matches!(item.what, What::Call { .. }) && item.name.starts_with(&of_service))
        .map(|item| item.short.as_str())
        .collect();
    let shown: BTreeSet<&str> = EXAMPLES.iter().map(|example| example.call).collect();
    let lacking = calls.difference(&shown).map(|call| format!("`{SERVICE}/{call}`: expected an example, found none"));
    let surplus = shown.difference(&calls).map(|call| format!("the example of `{call}` is of no call of {SERVICE}"));
    lacking.chain(surplus).collect()
}
