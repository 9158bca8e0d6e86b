//! `espctl history`: what happened, newest first.

use mesh_proto::coordinator::HistoryRequest;
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
        Column::Text("DETAIL"),
    ];
    let rows = entries.into_iter().map(|entry| {
        let term = if entry.term == 0 { "-".to_owned() } else { entry.term.to_string() };
        let project = if entry.project.is_empty() { "-".to_owned() } else { entry.project };
        vec![entry.at, project, entry.what, term, entry.detail]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}
