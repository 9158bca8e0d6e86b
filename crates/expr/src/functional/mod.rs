//! The function language of functional windows: functions of the event, event loops over XML, JSON and texts, and what
//! they make of a block.
//!
//! `tree`: text to functions; `run`: functions over a block; `library`: the functions, a file per family; `xpath`,
//! `json`: what selects from documents.

mod json;
mod library;
mod run;
mod tree;
mod xpath;

use std::fmt::Write;
use std::sync::Arc;

use mesh_event::{FieldType, Flags, Opcode, Schema};

use crate::{ExprError, RowErrors};
use library::Property;
pub(crate) use library::all as functions;
use tree::{Func, read};

/// The functions of a functional window, compiled. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct FunctionalCode(Arc<Compiled>);

#[derive(Debug, Clone, Default)]
struct Compiled {
    names: Names,
    /// Output field and its function, in the order in which they stand.
    functions: Vec<(usize, Func)>,
    loops: Vec<EventLoop>,
    generate: Option<Func>,
    opcode: Option<Func>,
    only_inserts: bool,
    /// Number of the first event for `eventCounter()`.
    counter_start: i64,
    /// Input field behind each output field without a function.
    copies: Vec<Option<usize>>,
    input_name: String,
    canonical: String,
}

impl Compiled {
    fn one_for_one(&self) -> bool {
        self.loops.is_empty() && self.generate.is_none() && self.opcode.is_none() && !self.only_inserts
    }
}

/// What texts may refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub inputs: Vec<(String, FieldType)>,
    pub outputs: Vec<(String, FieldType)>,
    pub properties: Vec<(String, Property)>,
    /// Data names of the event loops around.
    pub items: Vec<String>,
    /// Fields that other inputs of the window have: null where this one has none of that name.
    pub elsewhere: Vec<String>,
}

#[derive(Debug, Clone)]
struct EventLoop {
    kind: LoopKind,
    /// The document or the text.
    source: Func,
    /// XPath, JSON path, regular expression.
    select: Func,
    /// Group of the regular expression.
    group: usize,
    functions: Vec<(usize, Func)>,
    /// Properties that each item has anew.
    properties: Vec<usize>,
}

/// What an event loop goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopKind {
    /// The nodes that an XPath selects.
    Xml,
    /// The items that a JSON path selects.
    Json,
    /// The matches of a regular expression.
    Regex,
}

/// A property of a function context: `property-string`, `-list`, `-set`, `-map`, `-xml`, `-json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyKind {
    /// A text.
    String,
    /// Values between outer delimiters.
    List,
    /// The same, each once.
    Set,
    /// Names and values: outer delimiters between entries, inner ones between name and value.
    Map,
    /// A document.
    Xml,
    /// A document.
    Json,
}

/// What the functions made of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionalOutput {
    /// The events that go out.
    pub events: Vec<MadeEvent>,
    /// The computed columns by output field; the other fields are copied from each event's source row.
    pub columns: Vec<(usize, mesh_event::Column)>,
    /// Run-time errors; the values concerned are null.
    pub errors: RowErrors,
}

/// One event that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeEvent {
    /// Row of the input block that it comes from.
    pub source: usize,
    /// Opcode of that row, or what the `opcode` function said.
    pub opcode: Opcode,
    /// Flags of that row.
    pub flags: Flags,
}

/// Compiles the functions of a window in the order in which they stand: a later one sees the fields of earlier ones.
#[derive(Debug)]
pub struct FunctionCompiler {
    code: Compiled,
    in_loop: bool,
}

impl FunctionCompiler {
    /// For a window with this input and these fields. `counter_start`: the first number of `eventCounter()`.
    pub fn new(input: &Schema, output: &Schema, counter_start: i64) -> FunctionCompiler {
        let fields = |schema: &Schema| schema.fields().iter().map(|field| (field.name.clone(), field.ty)).collect();
        let names = Names { inputs: fields(input), outputs: fields(output), ..Names::default() };
        let copies = output.fields().iter().map(|field| input.index_of(&field.name)).collect();
        FunctionCompiler { code: Compiled { names, copies, counter_start, ..Compiled::default() }, in_loop: false }
    }

    /// Fields of the window's other inputs: `$name` is null where neither this input nor the window has such a field.
    pub fn elsewhere(&mut self, names: Vec<String>) {
        self.code.names.elsewhere = names;
    }

    /// The name that `input()` gives.
    pub fn input_name(&mut self, name: &str) {
        name.clone_into(&mut self.code.input_name);
    }

    /// Adds a property: `#name` in functions. A text that is one `$field`, one `#property` or a call is computed for
    /// each event, when it is first asked for; any other text stands for itself.
    ///
    /// # Errors
    /// When the text names a field or a property that is not there, or its call is wrong.
    pub fn property(
        &mut self,
        name: &str,
        kind: PropertyKind,
        text: &str,
        (outer, inner): (&str, &str),
    ) -> Result<(), ExprError> {
        self.note(format_args!("property {name} {kind:?} {text:?} {outer:?} {inner:?}"));
        let source = if tree::is_computed(text) { Some(read(text, &self.code.names)?) } else { None };
        let at = self.code.names.properties.len();
        self.code.names.properties.push((name.to_owned(), Property::new(kind, source, text, outer, inner)));
        if let Some(event_loop) = self.code.loops.last_mut().filter(|_| self.in_loop) {
            event_loop.properties.push(at);
        }
        Ok(())
    }

    /// Compiles the function of a field: of the event, or of the items of the loop that was begun last. Without any text
    /// the field is null.
    ///
    /// # Errors
    /// When the text is no function.
    ///
    /// # Panics
    /// When the window has no such field.
    pub fn function(&mut self, field: &str, text: &str) -> Result<(), ExprError> {
        let at = self.code.names.outputs.iter().position(|(name, _)| name == field);
        let at = at.expect("the caller looked the field up");
        let func = match text.trim() {
            "" => Func::Constant(crate::scalar::Scalar::Null),
            text => read(text, &self.code.names)?,
        };
        self.note(format_args!("function {field} {text}"));
        match self.code.loops.last_mut().filter(|_| self.in_loop) {
            Some(event_loop) => event_loop.functions.push((at, func)),
            None => self.code.functions.push((at, func)),
        }
        Ok(())
    }

    /// Every event goes out as an insert.
    pub fn only_inserts(&mut self) {
        self.note(format_args!("only inserts"));
        self.code.only_inserts = true;
    }

    /// The function that decides whether an event comes from the input event itself.
    ///
    /// # Errors
    /// When the text is no function.
    pub fn generate(&mut self, text: &str) -> Result<(), ExprError> {
        self.note(format_args!("generate {text}"));
        self.code.generate = Some(read(text, &self.code.names)?);
        Ok(())
    }

    /// The function that gives the opcode.
    ///
    /// # Errors
    /// When the text is no function.
    pub fn opcode(&mut self, text: &str) -> Result<(), ExprError> {
        self.note(format_args!("opcode {text}"));
        self.code.opcode = Some(read(text, &self.code.names)?);
        Ok(())
    }

    /// Begins an event loop; its functions follow, until [`FunctionCompiler::end_loop`]. `data`: the name by which
    /// they refer to the item. `select`: XPath, JSON path or regular expression, of which `group` is taken.
    ///
    /// # Errors
    /// When `source` or `select` is wrong; the first part says which.
    pub fn begin_loop(
        &mut self,
        kind: LoopKind,
        data: Option<&str>,
        (source, select, group): (&str, &str, usize),
    ) -> Result<(), (LoopPart, ExprError)> {
        self.note(format_args!("loop {kind:?} {data:?} {source} {select} {group}"));
        let source = read(source, &self.code.names).map_err(|error| (LoopPart::Source, error))?;
        let wrong = |message: String| (LoopPart::Select, ExprError::at(select, 0..select.len(), message, None));
        // A function may compute what selects; anything else is the selection itself.
        let select = match select.trim_start().chars().next() {
            Some('$' | '#') if kind == LoopKind::Regex || !select.trim_start().starts_with("$.") => {
                read(select, &self.code.names).map_err(|error| (LoopPart::Select, error))?
            }
            _ => {
                let checked = match kind {
                    LoopKind::Xml => xpath::check(select),
                    LoopKind::Json => json::check(select),
                    LoopKind::Regex => crate::object::compile(select).map(|_| ()),
                };
                checked.map_err(wrong)?;
                Func::Constant(crate::scalar::Scalar::text(select.to_owned()))
            }
        };
        self.code.names.items.push(data.unwrap_or(DEFAULT_DATA).to_owned());
        self.code.loops.push(EventLoop { kind, source, select, group, functions: Vec::new(), properties: Vec::new() });
        self.in_loop = true;
        Ok(())
    }

    /// Begins the loop in the place of one that is wrong, so that its functions can be checked all the same.
    pub fn begin_any_loop(&mut self, data: Option<&str>) {
        self.code.names.items.push(data.unwrap_or(DEFAULT_DATA).to_owned());
        let (source, select) =
            (Func::Constant(crate::scalar::Scalar::Null), Func::Constant(crate::scalar::Scalar::Null));
        let nothing = EventLoop {
            kind: LoopKind::Regex,
            source,
            select,
            group: 0,
            functions: Vec::new(),
            properties: Vec::new(),
        };
        self.code.loops.push(nothing);
        self.in_loop = true;
    }

    /// Ends the loop that was begun last.
    pub fn end_loop(&mut self) {
        self.code.names.items.pop();
        self.in_loop = false;
    }

    /// The window's code.
    pub fn finish(self) -> FunctionalCode {
        FunctionalCode(Arc::new(self.code))
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let written = writeln!(self.code.canonical, "{what}");
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

/// The name of an item where a loop gives none.
const DEFAULT_DATA: &str = "_context";

/// Which text of a loop an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopPart {
    /// `use-xml`, `use-json`, `use-text`.
    Source,
    /// `xpath`, `json`, `regex`.
    Select,
}

impl FunctionalCode {
    /// True when there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.0.functions.is_empty() && self.one_for_one()
    }

    /// True when each input event gives one event with its opcode.
    pub fn one_for_one(&self) -> bool {
        self.0.one_for_one()
    }

    /// True when every event that goes out is an insert.
    pub fn only_inserts(&self) -> bool {
        self.0.only_inserts
    }

    /// True when the recorded clock can change what it computes.
    pub fn reads_clock(&self) -> bool {
        self.any(library::reads_clock)
    }

    /// True when it asks for the window that an event comes from.
    pub fn names_input(&self) -> bool {
        self.any(library::names_input)
    }

    fn any(&self, of: fn(&Func) -> bool) -> bool {
        let code = &*self.0;
        let loops = code.loops.iter();
        let of_loops = loops.clone().flat_map(|each| each.functions.iter().map(|(_, func)| func));
        let own = code.functions.iter().map(|(_, func)| func);
        let sources = loops.flat_map(|each| [&each.source, &each.select]);
        let properties = code.names.properties.iter().filter_map(|(_, property)| property.source.as_ref());
        let mut all = own.chain(of_loops).chain(sources).chain(properties).chain(&code.generate).chain(&code.opcode);
        all.any(of)
    }

    /// Output fields that functions fill.
    pub fn computed(&self) -> Vec<usize> {
        let loops = self.0.loops.iter().flat_map(|event_loop| &event_loop.functions);
        let mut fields: Vec<usize> = self.0.functions.iter().chain(loops).map(|(field, _)| *field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// The texts: equal ones do the same.
    pub fn canonical(&self) -> &str {
        &self.0.canonical
    }
}
