//! Notification: messages as events. Who sends them reads them from the output, each once.
//!
//! An insert, an upsert and the new half of an update may give a message; deletes give none.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::{Block, BlockKind, Column, ColumnBuilder, Flags, Opcode, Schema, Value};
use mesh_expr::State;
use mesh_model::{Channel, Notification as Spec};

use super::{Clock, Held, Operator, restore_memory, seed_of};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// Recipients that are remembered for throttling, at most.
const MAX_REMEMBERED: usize = 100_000;

/// A notification window.
pub(crate) struct Notification {
    schema: Arc<Schema>,
    spec: Spec,
    memory: State,
    /// When a channel last had a message for these recipients.
    sent: BTreeMap<(usize, String), i64>,
    next: i64,
    errors: u64,
}

impl Notification {
    /// `seed`: where the window stands.
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec, seed: &str) -> Notification {
        let memory = State::new(seed_of(seed));
        Notification {
            schema: Arc::clone(schema),
            spec: spec.clone(),
            memory,
            sent: BTreeMap::new(),
            next: 1,
            errors: 0,
        }
    }

    /// Whether a message may go now; it is noted.
    fn may_go(&mut self, at: usize, recipients: &str, clock: Option<i64>) -> bool {
        let Some(interval) = self.spec.channels[at].throttle_us else { return true };
        let now = clock.unwrap_or(i64::MIN);
        let place = (at, recipients.to_owned());
        if self.sent.get(&place).is_some_and(|before| now < before.saturating_add(interval)) {
            return false;
        }
        if self.sent.len() >= MAX_REMEMBERED {
            let channels = &self.spec.channels;
            let waits = |at: usize, before: i64| {
                channels[at].throttle_us.is_some_and(|interval| now < before.saturating_add(interval))
            };
            forget(&mut self.sent, waits);
        }
        self.sent.insert(place, now);
        true
    }
}

/// Forgets whose interval is over, and of more than half the places the earlier half: a pass over all makes room for many.
fn forget(sent: &mut BTreeMap<(usize, String), i64>, waits: impl Fn(usize, i64) -> bool) {
    let before = sent.len();
    sent.retain(|(at, _), time| waits(*at, *time));
    if sent.len() > before / 2 {
        let mut times: Vec<i64> = sent.values().copied().collect();
        let (_, middle, _) = times.select_nth_unstable(sent.len() / 2);
        sent.retain(|_, time| *time > *middle);
    }
}

/// A text of a row; null is none.
fn text(columns: &BTreeMap<usize, Column>, at: usize, row: usize) -> Option<&str> {
    columns.get(&at).filter(|column| !column.is_null(row)).map(|column| column.str(row))
}

/// The parts of a message as a JSON array.
fn contents(channel: &Channel, columns: &BTreeMap<usize, Column>, row: usize) -> String {
    let part = |(kind, name, at): &(&str, String, usize)| serde_json::json!({ "type": kind, "name": name, "content": text(columns, *at, row) });
    serde_json::Value::Array(channel.contents.iter().map(part).collect()).to_string()
}

/// As the functions of functional windows take a text.
fn is_true(text: Option<&str>) -> bool {
    text.map(str::trim).is_some_and(|text| {
        let no = ["", "false", "no"].iter().any(|no| text.eq_ignore_ascii_case(no));
        !no && text.parse::<f64>() != Ok(0.0)
    })
}

impl Operator for Notification {
    fn process(&mut self, run: Run, clock: Clock) -> Run {
        let block = &run.block;
        self.memory.set_clock(clock.get());
        let made = self.spec.code.eval(block, &mut self.memory);
        self.errors += made.errors.count;
        let columns: BTreeMap<usize, Column> = made.columns.into_iter().collect();
        let builder = |field: &mesh_event::Field| ColumnBuilder::new(field.ty, block.len());
        let mut builders: Vec<ColumnBuilder> = self.schema.fields().iter().map(builder).collect();
        let (mut rows, mut ends) = (0, Vec::with_capacity(run.ends.len()));
        for news in run.news() {
            for at in news {
                for number in 0..self.spec.channels.len() {
                    let channel = &self.spec.channels[number];
                    if !is_true(text(&columns, channel.deliver, at)) {
                        continue;
                    }
                    let recipients = text(&columns, channel.recipients, at).unwrap_or_default().to_owned();
                    if !self.may_go(number, &recipients, clock.get()) {
                        continue;
                    }
                    let channel = &self.spec.channels[number];
                    let part = |place: Option<usize>| {
                        let text = place.and_then(|place| text(&columns, place, at));
                        text.map_or(Value::Null, |text| Value::String(Arc::from(text)))
                    };
                    let values = [
                        Value::Int64(self.next),
                        Value::String(Arc::from(channel.name.as_str())),
                        Value::String(Arc::from(channel.kind)),
                        part(channel.sender),
                        Value::String(Arc::from(recipients.as_str())),
                        part(channel.subject),
                        part(channel.from),
                        part(channel.to),
                        Value::String(Arc::from(contents(channel, &columns, at))),
                        Value::Int32(i32::from(channel.test)),
                    ];
                    for (builder, value) in builders.iter_mut().zip(&values) {
                        assert!(value.is_null() || builder.push(value), "the schema of messages is fixed");
                        if value.is_null() {
                            builder.push_null();
                        }
                    }
                    self.next += 1;
                    rows += 1;
                }
            }
            ends.push(rows as u32);
        }
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: vec![Opcode::Insert; rows],
            flags: vec![Flags::NORMAL; rows],
            columns: builders.into_iter().map(|builder| Arc::new(builder.finish())).collect(),
        };
        Run { block, ends: ends.into() }
    }

    fn held(&self) -> Held {
        let bytes = self.sent.keys().map(|(_, recipients)| recipients.len() + 32).sum::<usize>() as u64;
        Held { rows: self.sent.len() as u64, bytes, expression_errors: self.errors, ..Held::default() }
    }

    fn take_messages(&mut self) -> Vec<String> {
        self.memory.take_messages()
    }

    fn kind(&self) -> &'static str {
        "notification"
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.next, self.errors, self.memory.save()));
        to.put(&self.sent);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let memory: Vec<u8>;
        (self.next, self.errors, memory) = from.get()?;
        self.sent = from.get()?;
        if self.sent.keys().any(|(channel, _)| *channel >= self.spec.channels.len()) {
            return Err(Damage::Broken("a channel that the window does not have"));
        }
        restore_memory(&mut self.memory, &memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_forgets_what_is_over_and_else_the_earlier_half() {
        let all = || -> BTreeMap<(usize, String), i64> {
            (0..8).map(|number| ((number % 2, format!("r{number}")), number as i64)).collect()
        };
        let mut sent = all();
        forget(&mut sent, |channel, _| channel == 0);
        assert_eq!(sent.values().copied().collect::<Vec<_>>(), [0, 2, 4, 6], "room enough without the others");
        let mut sent = all();
        forget(&mut sent, |_, _| true);
        assert_eq!(sent.into_values().collect::<Vec<_>>(), [6, 5, 7], "by place");
        let mut same: BTreeMap<(usize, String), i64> = all().into_keys().map(|place| (place, 5)).collect();
        forget(&mut same, |_, _| true);
        assert!(same.is_empty(), "none of the same time is before the others");
    }
}
