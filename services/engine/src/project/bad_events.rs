//! The file of a project's bad events: a thread of its own writes it, so that a slow disk holds nothing up.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use mesh_connector::bad_events::BadEventFile;
use mesh_windows::BadEvent;

use crate::clock;
use crate::project::message::StopFlag;

/// Batches that wait for the disk at most; further ones are counted and left out.
const QUEUE: usize = 64;
/// Bad events of one batch that go to the log; all of them are in the file.
const LOGGED_MAX: usize = 20;
/// How often the thread looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// After an error of the disk it is left alone for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// Where the file is and how large it may become.
#[derive(Debug, Clone)]
pub struct BadEventOptions {
    /// Folder of the files; each is called `ENGINE.PROJECT.bad.csv`.
    pub folder: PathBuf,
    /// Most bytes of a file; the full one before it is kept beside it.
    pub bytes_max: u64,
}

/// One that a window could not apply.
struct Row {
    us: i64,
    window: String,
    event: BadEvent,
}

/// Takes the bad events of a project: to the log, and to the file where there is one.
#[derive(Debug, Default)]
pub struct BadEventLog {
    to: Option<Sender<Vec<Row>>>,
    /// Those that found no room since the last that did.
    left_out: u64,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.window, self.event)
    }
}

impl BadEventLog {
    /// A log with a file, and what writes it.
    pub fn with_file(path: PathBuf, bytes_max: u64, stop: StopFlag) -> (BadEventLog, BadEventThread) {
        let (to, rows) = bounded(QUEUE);
        (BadEventLog { to: Some(to), left_out: 0 }, BadEventThread { path, bytes_max, rows, stop })
    }

    /// Takes events with the positions of their windows.
    pub fn take(&mut self, events: Vec<(usize, BadEvent)>, windows: &[String]) {
        for (window, event) in events.iter().take(LOGGED_MAX) {
            tracing::info!(window = windows[*window], "{event}");
        }
        if events.len() > LOGGED_MAX {
            let more = events.len() - LOGGED_MAX;
            tracing::info!(more, "further bad events are not logged; `bad_events_dir` keeps them in a file");
        }
        let Some(to) = self.to.as_ref().filter(|_| !events.is_empty()) else { return };
        let us = clock::wall_us();
        let count = events.len() as u64;
        let row = |(window, event): (usize, BadEvent)| Row { us, window: windows[window].clone(), event };
        match to.try_send(events.into_iter().map(row).collect()) {
            Ok(()) if self.left_out > 0 => {
                tracing::warn!(left_out = self.left_out, "the disk was too slow: bad events are not in their file");
                self.left_out = 0;
            }
            Ok(()) => {}
            Err(_) => self.left_out += count,
        }
    }
}

/// Writes the file.
pub struct BadEventThread {
    path: PathBuf,
    bytes_max: u64,
    rows: Receiver<Vec<Row>>,
    stop: StopFlag,
}

impl BadEventThread {
    /// Until the project stops and everything is written.
    pub fn run(self) {
        let mut file = None;
        let mut paused: Option<Instant> = None;
        loop {
            let rows = match self.rows.recv_timeout(LOOK) {
                Ok(rows) => rows,
                Err(RecvTimeoutError::Timeout) if !self.stop.is_set() => continue,
                Err(_) => return,
            };
            if paused.is_some_and(|since| since.elapsed() < PAUSE) {
                continue;
            }
            match self.write(&mut file, rows) {
                Ok(()) => paused = None,
                Err(error) => {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "bad events are not written; expected a folder with room (bad_events_dir)");
                    (file, paused) = (None, Some(Instant::now()));
                }
            }
        }
    }

    fn write(&self, file: &mut Option<BadEventFile>, rows: Vec<Row>) -> std::io::Result<()> {
        let open = match file {
            Some(open) => open,
            None => file.insert(BadEventFile::open(&self.path, self.bytes_max)?),
        };
        rows.iter().try_for_each(|row| open.write(row.us, &row.window, row.event.reason, &row.event.line))
    }
}
