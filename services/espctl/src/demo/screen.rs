//! What the demo shows: a line for each thing that happens, and below them, on a terminal, a table that moves. In a pipe
//! the table is a line every few seconds.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::out;
use crate::status::View;

/// In a pipe, how often the table is shown.
const SUMMARY_EVERY: Duration = Duration::from_secs(2);

/// The screen.
pub struct Screen {
    began: Instant,
    table: Option<Table>,
    summed_up: Mutex<Instant>,
}

struct Table {
    all: MultiProgress,
    rows: Vec<ProgressBar>,
}

impl Screen {
    /// A screen with a table for this many engines.
    pub fn new(engines: usize) -> Screen {
        let table = out::is_terminal().then(|| {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            // a heading, the engines, the events
            let rows =
                (0..engines + 2).map(|_| all.add(ProgressBar::new_spinner().with_style(style.clone()))).collect();
            Table { all, rows }
        });
        let now = Instant::now();
        Screen { began: now, table, summed_up: Mutex::new(now) }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says what happened.
    pub fn say(&self, text: &str) {
        let line = format!("{:6.2} s  {text}", self.began.elapsed().as_secs_f64());
        // a reader that went away does not stop the demo: its exit code still tells
        match &self.table {
            Some(table) => table.all.suspend(|| {
                let _ = out::line(&line);
            }),
            None => {
                let _ = out::line(&line);
            }
        }
    }

    /// Brings the table up to date.
    pub fn show(&self, view: &View, events_in: u64, events_out: u64, total: u64) {
        let engines: Vec<[String; 7]> = view.engines.iter().map(cells).collect();
        match &self.table {
            Some(table) => {
                let row = |cells: &[String; 7]| {
                    let [engine, role, term, commit, lag, events_in, events_out] = cells;
                    format!("  {engine:<10} {role:<12} {term:>5} {commit:>8} {lag:>5} {events_in:>10} {events_out:>10}")
                };
                let heads = ["ENGINE", "ROLE", "TERM", "COMMIT", "LAG", "APPLIED", "PUBLISHED"].map(str::to_owned);
                let mut lines = vec![row(&heads)];
                lines.extend(engines.iter().map(row));
                lines.resize(table.rows.len() - 1, String::new());
                lines.push(format!("  events in {events_in} of {total}, out {events_out}"));
                for (bar, line) in table.rows.iter().zip(lines) {
                    bar.set_message(line);
                }
            }
            None => {
                let mut summed_up = self.summed_up.lock().unwrap_or_else(PoisonError::into_inner);
                if summed_up.elapsed() < SUMMARY_EVERY {
                    return;
                }
                *summed_up = Instant::now();
                let parts: Vec<String> = engines
                    .iter()
                    .map(|[engine, role, term, _, lag, ..]| format!("{engine} {role} term {term} lag {lag}"))
                    .collect();
                self.say(&format!("in {events_in}, out {events_out} | {}", parts.join(" | ")));
            }
        }
    }

    /// Takes the table away.
    pub fn finish(&self) {
        if let Some(table) = &self.table {
            table.rows.iter().for_each(ProgressBar::finish_and_clear);
        }
    }
}

fn cells(engine: &crate::status::view::Engine) -> [String; 7] {
    let dash = || "-".to_owned();
    match engine.projects.first() {
        Some(project) if engine.answers => [
            engine.engine.clone(),
            project.role.to_owned(),
            project.term.to_string(),
            project.commit.to_string(),
            project.lag_commits.to_string(),
            project.events_in.to_string(),
            project.events_out.to_string(),
        ],
        _ => {
            let state = if engine.answers { "starting" } else { "away" };
            [engine.engine.clone(), state.to_owned(), dash(), dash(), dash(), dash(), dash()]
        }
    }
}
