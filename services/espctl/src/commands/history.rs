//! `espctl history`: what happened, newest first.

use mesh_proto::coordinator::{HistoryRequest, Takeover};
use serde::Serialize;

use crate::cli::History;
use crate::fail::Fail;
use crate::mesh::{ASK, Mesh};
use crate::out::{self, Column};

/// An entry as `--json` prints it.
#[derive(Debug, Serialize)]
struct Entry {
    at_us: i64,
    at: String,
    project: String,
    what: String,
    detail: String,
    term: u64,
    who: String,
    why: String,
    candidate: String,
    previous: String,
    takeover: Option<Took>,
}

/// What a takeover did, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Took {
    took_ms: f64,
    gap_ms: f64,
    events_replayed: u64,
    commits_replayed: u64,
}

impl Took {
    fn new(takeover: Takeover) -> Took {
        Took {
            took_ms: takeover.took_us as f64 / 1e3,
            gap_ms: takeover.gap_us as f64 / 1e3,
            events_replayed: takeover.events_replayed,
            commits_replayed: takeover.commits_replayed,
        }
    }

    fn text(&self) -> String {
        let Took { took_ms, gap_ms, events_replayed, commits_replayed } = self;
        let gap = if *gap_ms > 0.0 { format!(", gap {gap_ms:.1} ms") } else { String::new() };
        let commits = out::count(usize::try_from(*commits_replayed).unwrap_or(usize::MAX), "commit");
        format!("; took {took_ms:.1} ms{gap}, replayed {events_replayed} events of {commits}")
    }
}

/// Prints the history.
pub async fn run(arguments: History, mesh: &mut Mesh) -> Result<(), Fail> {
    let message = HistoryRequest { project: arguments.project.unwrap_or_default(), limit: arguments.limit };
    let ask = |mut client: crate::mesh::Client, request| async move { client.history(request).await };
    let answer = mesh.call("read the history", ASK, message, ask).await?;
    let entries: Vec<Entry> = answer
        .entries
        .into_iter()
        .map(|entry| Entry {
            at_us: entry.at_us,
            at: out::time(entry.at_us),
            project: entry.project,
            what: entry.what,
            detail: entry.detail,
            term: entry.term,
            who: entry.who,
            why: entry.why,
            candidate: entry.candidate,
            previous: entry.previous,
            takeover: entry.takeover.map(Took::new),
        })
        .collect();
    if arguments.json {
        return Ok(out::json(&entries)?);
    }
    if entries.is_empty() {
        out::note("nothing has happened yet; deploy a project: espctl project deploy FILE");
        return Ok(());
    }
    let columns = [
        Column::Text("TIME"),
        Column::Text("PROJECT"),
        Column::Text("WHAT"),
        Column::Number("TERM"),
        Column::Text("WHO"),
        Column::Text("DETAIL"),
    ];
    let rows = entries.into_iter().map(|entry| {
        let term = if entry.term == 0 { "-".to_owned() } else { entry.term.to_string() };
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let took = entry.takeover.map_or_else(String::new, |took| took.text());
        let detail = format!("{}{took}", entry.detail);
        vec![entry.at, or_dash(entry.project), entry.what, term, or_dash(entry.who), detail]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}
