//! What a publisher or a subscriber is doing.

/// What a publisher or a subscriber is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It looks for schema and position.
    #[default]
    Starting,
    /// It waits for its turn: another of its group works.
    Standby,
    /// It reads and writes.
    Running,
    /// Everything is published; or it was stopped, or has what it was asked for.
    Finished,
    /// It ended with an error.
    Failed,
}

impl State {
    /// Its word in status answers.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Standby => "standby",
            State::Running => "running",
            State::Finished => "finished",
            State::Failed => "failed",
        }
    }
}
