//! Which inputs reached the protocol's parts in which state, and which never did.

use std::fmt::Write as _;

use mesh_replication::adapter::{Input as PublisherInput, PublisherState};
use mesh_replication::election::{Effect as ElectionEffect, Input as ElectionInput, Note};
use mesh_replication::engine::RolePhase;
use mesh_replication::{Input, engine::CommitFailure};

const PHASES: [&str; 11] = [
    "recovering",
    "standby",
    "fencing",
    "asking end",
    "catching up",
    "filling",
    "opening",
    "leading",
    "committing",
    "handing over",
    "failed",
];
const INPUTS: [&str; 19] = [
    "granted",
    "leader is",
    "hand over",
    "fenced",
    "fence failed",
    "log end",
    "log record",
    "log read",
    "inputs started",
    "blocks ready",
    "applied",
    "committed",
    "commit fenced",
    "commit lost",
    "wake",
    "restored",
    "snapshot wanted",
    "apply failed",
    "skip wanted",
];
const STATES: [&str; 4] = ["fencing", "locating", "publishing", "stopped"];
const PUBLISHER_INPUTS: [&str; 7] =
    ["fenced in", "located", "sending", "committed", "not committed", "in doubt", "fenced out"];
const ELECTION_INPUTS: [&str; 14] = [
    "tick",
    "session",
    "group",
    "attached",
    "progress",
    "stepped down",
    "left",
    "detached",
    "probed",
    "node made",
    "node updated",
    "leader set",
    "promote",
    "maintain",
];
const ELECTION_EFFECTS: [&str; 20] = [
    "probe",
    "make node",
    "update node",
    "remove node",
    "set leader",
    "tell",
    "close",
    "reply",
    "deposed",
    "cleared",
    "elected",
    "conflict",
    "unknown",
    "nobody",
    "session lost",
    "session back",
    "stalled",
    "gone",
    "paused",
    "maintained",
];
/// Pairs of state and input that cannot come about, with the reason. Whatever else has a zero is a hole.
const IMPOSSIBLE: &[(&str, &str)] = &[];

/// Counts by pair.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    engine: [[u64; INPUTS.len()]; PHASES.len()],
    moves: [[u64; PHASES.len()]; PHASES.len()],
    publisher: [[u64; PUBLISHER_INPUTS.len()]; STATES.len()],
    election: [[u64; ELECTION_EFFECTS.len()]; ELECTION_INPUTS.len()],
}

impl Coverage {
    /// A role takes an input.
    pub fn engine(&mut self, phase: RolePhase, input: &Input) {
        self.engine[phase as usize][kind(input)] += 1;
    }

    /// A role comes to another phase.
    pub fn moved(&mut self, from: RolePhase, to: RolePhase) {
        self.moves[from as usize][to as usize] += 1;
    }

    /// A publisher takes an input.
    pub fn publisher(&mut self, state: PublisherState, input: &PublisherInput) {
        let state = match state {
            PublisherState::Fencing => 0,
            PublisherState::Locating => 1,
            PublisherState::Publishing => 2,
            PublisherState::Stopped => 3,
        };
        let input = match input {
            PublisherInput::FencedIn => 0,
            PublisherInput::Located(_) => 1,
            PublisherInput::Sending(_) => 2,
            PublisherInput::Committed => 3,
            PublisherInput::NotCommitted => 4,
            PublisherInput::InDoubt => 5,
            PublisherInput::FencedOut => 6,
        };
        self.publisher[state][input] += 1;
    }

    /// A group has taken an input, and this came out.
    pub fn election(&mut self, input: usize, effects: &[ElectionEffect]) {
        for effect in effects {
            self.election[input][election_effect(effect)] += 1;
        }
    }

    /// Adds what another run has counted.
    pub fn add(&mut self, other: &Coverage) {
        fn add<const A: usize, const B: usize>(to: &mut [[u64; A]; B], from: &[[u64; A]; B]) {
            for (to, from) in to.iter_mut().flatten().zip(from.iter().flatten()) {
                *to += from;
            }
        }
        add(&mut self.engine, &other.engine);
        add(&mut self.moves, &other.moves);
        add(&mut self.publisher, &other.publisher);
        add(&mut self.election, &other.election);
    }

    /// The tables, and what never happened.
    pub fn report(&self) -> String {
        let mut text = String::new();
        table(&mut text, "engine role: state x input", &PHASES, &INPUTS, |row, column| self.engine[row][column]);
        table(&mut text, "engine role: from state x to state", &PHASES, &PHASES, |row, column| self.moves[row][column]);
        let publisher = |row: usize, column: usize| self.publisher[row][column];
        table(&mut text, "publisher: state x input", &STATES, &PUBLISHER_INPUTS, publisher);
        let election = |row: usize, column: usize| self.election[row][column];
        table(&mut text, "election: input x what came out", &ELECTION_INPUTS, &ELECTION_EFFECTS, election);
        let _ = writeln!(text, "never happened (engine role): {}", self.missing().join(", "));
        text
    }

    /// Pairs of the engine's role that never came about.
    pub fn missing(&self) -> Vec<String> {
        let pairs = PHASES.iter().enumerate().flat_map(|(row, phase)| {
            INPUTS.iter().enumerate().map(move |(column, input)| (row, column, *phase, *input))
        });
        let never = pairs.filter(|(row, column, phase, input)| {
            self.engine[*row][*column] == 0 && !IMPOSSIBLE.contains(&(*phase, *input))
        });
        never.map(|(_, _, phase, input)| format!("{phase} x {input}")).collect()
    }

    /// Pairs that came about, of all.
    pub fn share(&self) -> (usize, usize) {
        let all = PHASES.len() * INPUTS.len() - IMPOSSIBLE.len();
        (all - self.missing().len(), all)
    }
}

fn table(text: &mut String, title: &str, rows: &[&str], columns: &[&str], count: impl Fn(usize, usize) -> u64) {
    let _ = writeln!(text, "{title}");
    for (row, name) in rows.iter().enumerate() {
        let cells = columns.iter().enumerate().filter(|(column, _)| count(row, *column) > 0);
        let cells: Vec<String> = cells.map(|(column, name)| format!("{name} {}", count(row, column))).collect();
        let _ = writeln!(text, "  {name:<14} {}", if cells.is_empty() { "-".to_owned() } else { cells.join(", ") });
    }
}

fn kind(input: &Input) -> usize {
    match input {
        Input::Granted { .. } => 0,
        Input::LeaderIs { .. } => 1,
        Input::HandOver { .. } => 2,
        Input::Fenced { .. } => 3,
        Input::FenceFailed { .. } => 4,
        Input::LogEnd { .. } => 5,
        Input::LogRecord { .. } => 6,
        Input::LogRead { .. } => 7,
        Input::InputsStarted { .. } => 8,
        Input::BlocksReady { .. } => 9,
        Input::Applied { .. } => 10,
        Input::Committed { .. } => 11,
        Input::CommitFailed { failure: CommitFailure::Fenced, .. } => 12,
        Input::CommitFailed { failure: CommitFailure::Lost { .. }, .. } => 13,
        Input::Wake => 14,
        Input::Restored { .. } => 15,
        Input::SnapshotWanted => 16,
        Input::ApplyFailed { .. } => 17,
        Input::SkipWanted { .. } => 18,
    }
}

/// Row of an input of the election.
pub fn election_input(input: &ElectionInput) -> usize {
    match input {
        ElectionInput::Tick => 0,
        ElectionInput::Session { .. } => 1,
        ElectionInput::Group { .. } => 2,
        ElectionInput::Attached { .. } => 3,
        ElectionInput::Progress { .. } => 4,
        ElectionInput::SteppedDown { .. } => 5,
        ElectionInput::Left { .. } => 6,
        ElectionInput::Detached { .. } => 7,
        ElectionInput::Probed { .. } => 8,
        ElectionInput::NodeMade { .. } => 9,
        ElectionInput::NodeUpdated { .. } => 10,
        ElectionInput::LeaderSet { .. } => 11,
        ElectionInput::Promote { .. } => 12,
        ElectionInput::Maintain { .. } => 13,
    }
}

fn election_effect(effect: &ElectionEffect) -> usize {
    match effect {
        ElectionEffect::Probe { .. } => 0,
        ElectionEffect::MakeNode { .. } => 1,
        ElectionEffect::UpdateNode { .. } => 2,
        ElectionEffect::RemoveNode { .. } => 3,
        ElectionEffect::SetLeader { .. } => 4,
        ElectionEffect::Tell { .. } => 5,
        ElectionEffect::Close { .. } => 6,
        ElectionEffect::Reply { .. } => 7,
        ElectionEffect::Note(note) => match note {
            Note::Deposed { .. } => 8,
            Note::Cleared { .. } => 9,
            Note::Elected { .. } => 10,
            Note::Conflict { .. } => 11,
            Note::Unknown { .. } => 12,
            Note::NobodyCanLead { .. } => 13,
            Note::SessionLost => 14,
            Note::SessionBack => 15,
            Note::Stalled { .. } => 16,
            Note::Gone { .. } => 17,
            Note::Paused { .. } => 18,
        },
        ElectionEffect::Maintained { .. } => 19,
    }
}
