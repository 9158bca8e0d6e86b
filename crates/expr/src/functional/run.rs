//! Functions over a block: event by event, in order.

use mesh_event::{Block, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, Opcode};

use super::library::{Call, Code, Entry, Item, Property, truth};
use super::tree::Func;
use super::{Compiled, EventLoop, FunctionalCode, FunctionalOutput, LoopKind, MadeEvent, json, xpath};
use crate::error::{RowError, RowErrors};
use crate::object::groups;
use crate::scalar::{Outcome, Scalar};
use crate::state::State;
use crate::{Type, date};

/// Most events that the loops make of one input event.
const MAX_ITEMS: usize = 100_000;
const TOO_MANY: &str = "an event loop gives more than 100000 events for one";

impl FunctionalCode {
    /// Runs the functions over a block whose schema is the window's input.
    pub fn eval(&self, block: &Block, state: &mut State) -> FunctionalOutput {
        let code = &*self.0;
        let computed = self.computed();
        let columns = computed.iter().map(|field| (*field, builder(code.names.outputs[*field].1, block.len())));
        let mut runner = Runner {
            code,
            block,
            call: Call {
                state,
                counter_start: code.counter_start,
                items: Vec::new(),
                number: 0,
                opcode: Opcode::Insert,
            },
            row: 0,
            values: vec![None; code.names.outputs.len()],
            properties: vec![None; code.names.properties.len()],
            columns: columns.collect(),
            events: Vec::with_capacity(block.len()),
            errors: RowErrors::default(),
        };
        let pairs = !self.one_for_one();
        for row in 0..block.len() {
            // Where events multiply, the two halves of an update cannot stay together: the new one goes out as an
            // upsert, the old one is dropped.
            let old_half =
                row > 0 && block.opcodes[row] == Opcode::Delete && block.opcodes[row - 1] == Opcode::UpdateBlock;
            if !(pairs && old_half) {
                runner.event(row);
            }
        }
        let Runner { columns, events, errors, .. } = runner;
        let columns = columns.into_iter().map(|(field, builder)| (field, builder.finish())).collect();
        FunctionalOutput { events, columns, errors }
    }
}

fn builder(ty: FieldType, rows: usize) -> ColumnBuilder {
    ColumnBuilder::new(ty, rows)
}

pub(crate) struct Runner<'a, 's> {
    code: &'a Compiled,
    block: &'a Block,
    pub call: Call<'s>,
    row: usize,
    /// Values of the output fields that functions have filled.
    values: Vec<Option<Scalar<'a>>>,
    /// Computed properties that were asked for; the inner `None`: null.
    properties: Vec<Option<Option<Property>>>,
    columns: Vec<(usize, ColumnBuilder)>,
    events: Vec<MadeEvent>,
    errors: RowErrors,
}

impl<'a> Runner<'a, '_> {
    fn event(&mut self, row: usize) {
        let code = self.code;
        self.row = row;
        self.call.number = 0;
        self.call.opcode = self.block.opcodes[row];
        self.values.iter_mut().for_each(|value| *value = None);
        self.properties.iter_mut().for_each(|property| *property = None);
        self.functions(&code.functions);
        let generate = match &code.generate {
            Some(generate) => {
                let value = self.value(generate);
                truth(&value) == Some(true)
            }
            None => true,
        };
        if generate {
            self.emit();
        }
        for event_loop in &code.loops {
            self.repeat(event_loop);
        }
    }

    fn functions(&mut self, functions: &'a [(usize, Func)]) {
        for (field, func) in functions {
            let value = self.value(func);
            let held = held(value, self.code.names.outputs[*field].1);
            self.values[*field] = Some(self.settle(held, 0));
        }
    }

    /// One event as the values stand now.
    fn emit(&mut self) {
        let one_for_one = self.code.one_for_one();
        let own = match self.call.opcode {
            Opcode::UpdateBlock if !one_for_one => Opcode::Upsert,
            opcode => opcode,
        };
        let opcode = match &self.code.opcode {
            _ if self.code.only_inserts => Opcode::Insert,
            Some(opcode) => {
                let value = self.value(opcode);
                opcode_of(&value).unwrap_or(own)
            }
            None => own,
        };
        for (field, column) in &mut self.columns {
            // A field that only loops fill is copied in the base event, where the input has it.
            let ty = self.code.names.outputs[*field].1;
            let value = match &self.values[*field] {
                Some(value) => value.clone(),
                None => self.code.copies[*field].map_or(Scalar::Null, |input| raw(self.block, input, self.row)),
            };
            push(column, ty, &value);
        }
        self.events.push(MadeEvent { source: self.row, opcode, flags: self.block.flags[self.row] });
        self.call.number += 1;
        self.call.state.events += 1;
    }

    fn repeat(&mut self, event_loop: &'a EventLoop) {
        let (source, select) = (self.value(&event_loop.source), self.value(&event_loop.select));
        if source.is_null() || select.is_null() {
            return;
        }
        let (source, select) = (super::library::text(&source), super::library::text(&select));
        let found = match event_loop.kind {
            LoopKind::Xml => xpath::nodes(&source, &select),
            LoopKind::Json => json::items(&source, &select),
            LoopKind::Regex => self.matches(&source, &select, event_loop.group),
        };
        let items = match found {
            Ok(items) if items.len() <= MAX_ITEMS => items,
            Ok(_) => return self.failed(TOO_MANY, 0),
            Err(message) => return self.failed(message, 0),
        };
        for item in items {
            // The window's own functions run again: each event gets numbers and keys of its own.
            self.values.iter_mut().for_each(|value| *value = None);
            self.functions(&self.code.functions);
            self.call.items.push(Item(item));
            event_loop.properties.iter().for_each(|&at| self.properties[at] = None);
            self.functions(&event_loop.functions);
            self.emit();
            self.call.items.pop();
        }
    }

    fn matches(&mut self, text: &str, pattern: &str, group: usize) -> Result<Vec<String>, &'static str> {
        let regex = self.call.state.patterns.get(pattern).ok_or("the regular expression is wrong")?;
        let mut items = Vec::new();
        let mut from = 0;
        while from <= text.len() && items.len() <= MAX_ITEMS {
            let Some(found) = groups(&regex, text, from)? else { break };
            let (start, end) = found[0].unwrap_or((from, from));
            items.push(found.get(group).copied().flatten().map_or(String::new(), |(a, b)| text[a..b].to_owned()));
            from = if end > start { end } else { end + text[end..].chars().next().map_or(1, char::len_utf8) };
        }
        Ok(items)
    }

    fn failed(&mut self, message: &'static str, at: usize) {
        let first = RowError { row: self.row, line: 1, column: at as u32 + 1, message };
        self.errors.add(RowErrors { count: 1, first: Some(first) });
    }

    fn settle(&mut self, outcome: Outcome<'a>, at: usize) -> Scalar<'a> {
        outcome.unwrap_or_else(|message| {
            self.failed(message, at);
            Scalar::Null
        })
    }

    /// The value of a function.
    pub fn value(&mut self, func: &'a Func) -> Scalar<'a> {
        match func {
            Func::Constant(value) => value.borrowed(),
            Func::Field { output, input } => {
                if let Some(value) = output.and_then(|output| self.values[output].as_ref()) {
                    return value.clone();
                }
                input.map_or(Scalar::Null, |input| raw(self.block, input, self.row))
            }
            Func::Property(at) => match self.property(*at) {
                Ok(fixed) => Scalar::text(fixed.text.as_str()),
                Err(computed) => computed.map_or(Scalar::Null, |property| Scalar::text(property.text.clone())),
            },
            Func::Item(at) => self.call.items.get(*at).map_or(Scalar::Null, |Item(text)| Scalar::text(text.clone())),
            Func::Call { entry, args, at } => self.called(entry, args, *at),
        }
    }

    /// A property: one whose text stands in the model, or one that is computed (`None`: null), for this event once.
    fn property(&mut self, at: usize) -> Result<&'a Property, Option<&Property>> {
        let code = self.code;
        let property = &code.names.properties[at].1;
        let Some(source) = &property.source else { return Ok(property) };
        if self.properties[at].is_none() {
            let value = self.value(source);
            let computed = (!value.is_null()).then(|| property.holding(&super::library::text(&value)));
            self.properties[at] = Some(computed);
        }
        Err(self.properties[at].as_ref().and_then(Option::as_ref))
    }

    fn called(&mut self, entry: &'static Entry, args: &'a [Func], at: usize) -> Scalar<'a> {
        let f = match entry.code {
            Code::If => return self.first_that_holds(args),
            Code::Switch => return self.switch(args),
            Code::Property(f) => {
                let values: Vec<Scalar<'a>> = args.iter().map(|arg| self.value(arg)).collect();
                let outcome = match args.first() {
                    Some(Func::Property(at)) => match self.property(*at) {
                        Ok(fixed) => f(Some(fixed), &values),
                        Err(computed) => f(computed, &values),
                    },
                    _ => f(None, &values),
                };
                return self.settle(outcome, at);
            }
            Code::Input => return Scalar::text(self.code.input_name.as_str()),
            Code::Event => return Scalar::text(self.as_json()),
            Code::Values(f) => f,
        };
        const FEW: usize = 4;
        let many: Vec<Scalar<'a>>;
        let few: [Scalar<'a>; FEW];
        let values = if args.len() > FEW {
            many = args.iter().map(|arg| self.value(arg)).collect();
            &many[..]
        } else {
            few = std::array::from_fn(|at| args.get(at).map_or(Scalar::Null, |arg| self.value(arg)));
            &few[..args.len()]
        };
        if !entry.takes_nulls && values.iter().any(Scalar::is_null) {
            return Scalar::Null;
        }
        let outcome = f(&mut self.call, values);
        self.settle(outcome, at)
    }

    /// `if(condition, value, condition, value, ..., otherwise)`.
    fn first_that_holds(&mut self, args: &'a [Func]) -> Scalar<'a> {
        for pair in args.chunks(2) {
            match pair {
                [condition, value] => {
                    let condition = self.value(condition);
                    if truth(&condition) == Some(true) {
                        return self.value(value);
                    }
                }
                [otherwise] => return self.value(otherwise),
                _ => {}
            }
        }
        Scalar::Null
    }

    /// `switch(value, case, result, ..., otherwise)`.
    fn switch(&mut self, args: &'a [Func]) -> Scalar<'a> {
        let value = self.value(&args[0]);
        for pair in args[1..].chunks(2) {
            match pair {
                [case, result] => {
                    let case = self.value(case);
                    if super::library::same(&value, &case) {
                        return self.value(result);
                    }
                }
                [otherwise] => return self.value(otherwise),
                _ => {}
            }
        }
        Scalar::Null
    }

    /// The input event as a JSON object.
    fn as_json(&self) -> String {
        let mut object = serde_json::Map::new();
        for (at, (name, _)) in self.code.names.inputs.iter().enumerate() {
            object.insert(name.clone(), json::of(&raw(self.block, at, self.row)));
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// A field of the input as functions see it: dates as seconds, stamps as microseconds.
fn raw(block: &Block, field: usize, row: usize) -> Scalar<'_> {
    let column = &block.columns[field];
    match &column.data {
        _ if column.is_null(row) => Scalar::Null,
        ColumnData::Date(values) | ColumnData::Stamp(values) => Scalar::Integer(values[row]),
        ColumnData::Blob(bytes) => Scalar::text(String::from_utf8_lossy(bytes.row(row))),
        ColumnData::ArrayInt32(values) => Scalar::text(listed(&values[row])),
        ColumnData::ArrayInt64(values) => Scalar::text(listed(&values[row])),
        ColumnData::ArrayDouble(values) => Scalar::text(listed(&values[row])),
        _ => crate::row::field(column, row),
    }
}

/// `[1;2;3]`, as CSV has it.
fn listed<T: std::fmt::Display>(values: &[T]) -> String {
    format!("[{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(";"))
}

/// A value as a field of this type holds it.
fn held(value: Scalar<'_>, ty: FieldType) -> Outcome<'_> {
    match ty {
        FieldType::Int32 => match value.converted(Type::Integer)? {
            Scalar::Integer(value) if i32::try_from(value).is_err() => Err("the number does not fit int32"),
            value => Ok(value),
        },
        FieldType::Int64 => value.converted(Type::Integer),
        FieldType::Double | FieldType::Money => value.converted(Type::Real),
        FieldType::Date | FieldType::Stamp => match &value {
            Scalar::Text(text) if crate::convert::text_to_real(text).is_none() => {
                let days = date::parse(text).ok_or(crate::convert::NOT_A_DATE)?;
                let units = if ty == FieldType::Date { date::to_seconds(days) } else { date::to_micros(days) };
                Ok(Scalar::Integer(units.ok_or(crate::convert::NO_SUCH_DATE)?))
            }
            _ => value.converted(Type::Integer),
        },
        _ => value.converted(Type::String),
    }
}

/// Adds a held value to a column.
fn push(column: &mut ColumnBuilder, ty: FieldType, value: &Scalar<'_>) {
    let pushed = match value {
        Scalar::Integer(value) => column.push_i64(*value),
        Scalar::Real(value) if ty == FieldType::Money => {
            crate::convert::real_to_integer((value * MONEY_SCALE as f64).round())
                .is_some_and(|units| column.push_i64(units))
        }
        Scalar::Real(value) => column.push_f64(*value),
        Scalar::Text(text) => column.push_str(text),
        Scalar::Null | Scalar::Boolean(_) => false,
    };
    if !pushed {
        column.push_null();
    }
}

fn opcode_of(value: &Scalar<'_>) -> Option<Opcode> {
    let text = super::library::text(value);
    let words = [
        ("insert", Opcode::Insert),
        ("update", Opcode::Update),
        ("upsert", Opcode::Upsert),
        ("delete", Opcode::Delete),
        ("safedelete", Opcode::SafeDelete),
    ];
    let word = words.iter().find(|(word, _)| text.trim().eq_ignore_ascii_case(word));
    word.map(|(_, opcode)| *opcode).or_else(|| Opcode::parse(text.as_bytes()))
}
