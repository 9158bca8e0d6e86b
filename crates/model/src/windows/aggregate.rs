//! Aggregate windows: expressions over aggregate functions, grouped by the key fields.

use std::sync::Arc;

use mesh_event::{Field, FieldType, Schema};
use mesh_expr::{Program, Scope, Type};
use roxmltree::Node;

use crate::kinds::{Aggregate, AggregateCall, AggregateFunction};
use crate::project::WindowKind;
use crate::reader::IGNORED;
use crate::report::{Draft, not_supported, tag_span};
use crate::text::Text;
use crate::window::{Reading, texts_max};
use crate::windows::calls::{Call, calls};
use crate::windows::compute::{fits, key_source, report_expression};
use crate::windows::initialize::{initialize, initialize_text};

/// Names of the functions behind `ESP_a`.
const FUNCTIONS: [&str; 23] = [
    "Sum",
    "Max",
    "Min",
    "Ave",
    "Std",
    "WAve",
    "Count",
    "CountOpcodes",
    "CountDistinct",
    "CountNonNull",
    "CountNull",
    "First",
    "Last",
    "LastNonDelete",
    "LastOpcode",
    "Lag",
    "Mode",
    "GUID",
    "Cat",
    "AveTimed",
    "CountTimed",
    "MaxTimed",
    "SumTimed",
];
/// More of them: timed forms of what stands above.
const TIMED: &str = "Timed";
/// Largest lag: so many rows of each group are kept.
const MAX_LAG: usize = 100_000;

/// What is found in the expressions of a window.
struct Found<'a, 'n, 'i> {
    reading: &'a Reading<'a, 'n, 'i>,
    input: &'a Schema,
    scope: Scope,
    arguments: Vec<(Program, FieldType)>,
    calls: Vec<AggregateCall>,
}

/// Reads an aggregate window.
pub(crate) fn kind(reading: &Reading<'_, '_, '_>) -> Option<WindowKind> {
    let Reading { node, reader, schema, .. } = *reading;
    let input = reading.input?;
    let keys: Vec<Option<usize>> =
        schema.keys().iter().map(|&key| key_source(node, &schema.fields()[key], input, reader)).collect();
    let keys: Option<Vec<usize>> = keys.into_iter().collect();
    let wanted: Vec<&Field> = schema.fields().iter().filter(|field| !field.key).collect();
    let elements = expressions(reading, &wanted)?;
    // Arguments see one row of the input, the expressions around them what became of its group: each has its own
    // variables. What is wrong with both is reported once, by the first.
    let mut scope_of_arguments = Scope::new(input).with_texts_max(texts_max(node, reader));
    if !initialize(node, &mut scope_of_arguments, reader) {
        return None;
    }
    let mut found = Found { reading, input, scope: scope_of_arguments, arguments: Vec::new(), calls: Vec::new() };
    // Every call gets a name of its own in the scope; texts keep their length, so that errors keep their places.
    let texts: Vec<Option<(Text, String)>> = elements.iter().map(|&element| found.replaced(element)).collect();
    let Found { arguments, calls, .. } = found;
    let shared = initialize_text(node, reader);
    let used = |field: &Field| {
        has_word(&shared, &field.name) || texts.iter().flatten().any(|(_, text)| has_word(text, &field.name))
    };
    let uses: Vec<usize> = (0..input.fields().len()).filter(|&at| used(&input.fields()[at])).collect();
    let fields = uses.iter().map(|&at| Field { key: false, ..input.fields()[at].clone() });
    let results = calls.iter().enumerate().map(|(at, call)| Field { name: name_of(at), ty: call.ty, key: false });
    // A window without any call and field still has a scope: its constants run over it.
    let none = Field { name: "__none".to_owned(), ty: FieldType::Int32, key: false };
    let mut all: Vec<Field> = fields.chain(results).collect();
    if all.is_empty() {
        all.push(none);
    }
    let scope = Arc::new(Schema::new(all).ok()?);
    let mut around = Scope::new(&scope).with_texts_max(texts_max(node, reader));
    if !initialize(node, &mut around, reader) {
        return None;
    }
    let programs: Vec<Option<Program>> = (texts.into_iter().zip(&wanted).zip(&elements))
        .map(|((text, field), element)| compiled(text?, field, *element, &around, reading))
        .collect();
    let fields: Option<Vec<Program>> = programs.into_iter().collect();
    Some(WindowKind::Aggregate(Box::new(Aggregate { keys: keys?, arguments, calls, uses, scope, fields: fields? })))
}

/// The expressions, one for each non-key field; `None` after a report.
fn expressions<'n, 'i>(reading: &Reading<'_, 'n, 'i>, wanted: &[&Field]) -> Option<Vec<Node<'n, 'i>>> {
    let Reading { node, reader, .. } = *reading;
    let Some(output) = reader.child(node, "output") else {
        if wanted.is_empty() {
            return Some(Vec::new());
        }
        let headline = format!("aggregate window `{}` has no output", reading.name.as_str());
        let draft = Draft::error("no-output-element", tag_span(node), headline)
            .help("add <output><field-expr>ESP_aSum(field)</field-expr></output>, one field-expr per non-key field");
        reader.report.add(node, draft);
        return None;
    };
    let mut elements = Vec::new();
    for element in output.children().filter(Node::is_element) {
        match element.tag_name().name() {
            "field-expr" => {
                reader.check_attributes(element, &[&["name", "type"]]);
                elements.push(element);
            }
            "field-plug" => {
                let because = "plug-ins are binary parts of the original engine";
                let way_out = "write the function with the aggregate functions (ESP_aSum, ESP_aMax, ...)";
                reader.report.add(element, not_supported(tag_span(element), "`field-plug`", because, way_out));
                return None;
            }
            name if IGNORED.contains(&name) => {}
            _ => reader.unknown_element(element, &["field-expr"]),
        }
    }
    if elements.len() != wanted.len() {
        let names: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        let headline =
            format!("`output` has {} expressions, the schema has {} non-key fields", elements.len(), wanted.len());
        let draft = Draft::error("expression-count", tag_span(output), headline)
            .help(format!("one field-expr per non-key field, in this order: {}", names.join(", ")));
        reader.report.add(output, draft);
        return None;
    }
    Some(elements)
}

/// The name of a call's value in the scope.
fn name_of(call: usize) -> String {
    format!("__a{call}")
}

fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next()))
}

fn compiled(
    (text, replaced): (Text, String),
    field: &Field,
    element: Node<'_, '_>,
    scope: &Scope,
    reading: &Reading<'_, '_, '_>,
) -> Option<Program> {
    let reader = reading.reader;
    match Program::compile(&replaced, scope) {
        Ok(program) => fits(element, &program, &text, field, reader).then_some(program),
        Err(error) => {
            report_expression(element, &text, &error, reader);
            None
        }
    }
}

impl Found<'_, '_, '_> {
    /// The text of an expression with the name of its value in the place of each call; `None` after a report.
    fn replaced(&mut self, element: Node<'_, '_>) -> Option<(Text, String)> {
        let reader = self.reading.reader;
        let text = reader.text(element);
        if text.is_empty() {
            reader.report.add(element, Draft::error("no-expression", tag_span(element), "`field-expr` is empty"));
            return None;
        }
        let found = match calls(text.as_str()) {
            Ok(found) => found,
            Err(range) => {
                let draft = Draft::error("expression", text.span(range), "this call has no `)`").help("add `)`");
                reader.report.add(element, draft);
                return None;
            }
        };
        let mut replaced = text.as_str().to_owned();
        let mut complete = true;
        for call in &found {
            let Some(at) = self.call(call, &text, element) else {
                complete = false;
                continue;
            };
            let name = name_of(at);
            let length = call.range.len().max(name.len());
            replaced.replace_range(call.range.clone(), &format!("{name:length$}"));
        }
        complete.then_some((text, replaced))
    }

    fn refuse(&self, element: Node<'_, '_>, span: std::ops::Range<usize>, headline: String, help: &str) {
        self.reading.reader.report.add(element, Draft::error("aggregate-function", span, headline).help(help));
    }

    /// Position of a call among all calls; equal calls are one.
    fn call(&mut self, call: &Call, text: &Text, element: Node<'_, '_>) -> Option<usize> {
        let arg = |at: usize| call.args.get(at).map(|range| &text.as_str()[range.clone()]);
        let timed = call.name.len() > TIMED.len()
            && call.name[call.name.len().saturating_sub(TIMED.len())..].eq_ignore_ascii_case(TIMED);
        let base = if timed { &call.name[..call.name.len() - TIMED.len()] } else { call.name.as_str() };
        let span = text.span(call.name_range.clone());
        let number =
            |at: usize| arg(at).and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite() && *n >= 0.0);
        use AggregateFunction as F;
        let (function, wanted): (F, &str) = match base.to_ascii_lowercase().as_str() {
            "sum" => (F::Sum, "a field"),
            "max" => (F::Max, "a field"),
            "min" => (F::Min, "a field"),
            "ave" => (F::Ave, "a field"),
            "std" => (F::Std, "a field"),
            "wave" => (F::WAve, "a weight and a field"),
            "count" => (F::Count, ""),
            "countopcodes" => (F::CountOpcodes(number(0).map_or(-1, |n| n as i64)), "an opcode number"),
            "countdistinct" => (F::CountDistinct, "a field"),
            "countnonnull" => (F::CountNonNull, "a field"),
            "countnull" => (F::CountNull, "a field"),
            "first" => (F::First, "a field"),
            "last" => (F::Last, "a field"),
            "lastnondelete" => (F::LastNonDelete, "a field"),
            "lastopcode" => (F::LastOpcode, ""),
            "lag" => (F::Lag(number(1).map_or(usize::MAX, |n| n as usize)), "a field and a number of rows"),
            "mode" => (F::Mode, "a field"),
            "guid" => (F::Guid, ""),
            "cat" => (F::Cat(unquoted(arg(1).unwrap_or(","))), "a field and a separator"),
            _ => {
                let headline = format!("there is no aggregate function `ESP_a{}`", call.name);
                let draft = Draft::error("aggregate-function", span, headline).known(&call.name, FUNCTIONS);
                self.reading.reader.report.add(element, draft);
                return None;
            }
        };
        let fields = match function {
            F::Count | F::CountOpcodes(_) | F::LastOpcode | F::Guid => 0,
            F::WAve => 2,
            _ => 1,
        };
        let needed = fields + usize::from(matches!(function, F::CountOpcodes(_) | F::Lag(_)));
        let too_few = call.args.len() < needed;
        if too_few || matches!(function, F::CountOpcodes(-1)) || matches!(function, F::Lag(n) if n > MAX_LAG) {
            let headline = format!("`ESP_a{}` takes {wanted}", call.name);
            let found = call.args.len();
            self.refuse(element, span, headline, &format!("it has {found} arguments; a lag is at most {MAX_LAG}"));
            return None;
        }
        let period_us = if timed {
            let Some(seconds) = number(call.args.len().wrapping_sub(1)).filter(|seconds| *seconds > 0.0) else {
                let headline = format!("`ESP_a{}` ends with a number of seconds", call.name);
                self.refuse(element, span, headline, "for example ESP_aSumTimed(field, 60)");
                return None;
            };
            Some((seconds * 1e6) as i64)
        } else {
            None
        };
        if timed && (function.is_ordered() || fields == 2) {
            let headline = format!("`{base}` has no timed form");
            self.refuse(element, span, headline, "AveTimed, CountTimed, MaxTimed, MinTimed and SumTimed exist");
            return None;
        }
        let mut places = Vec::new();
        for range in &call.args[..fields] {
            places.push(self.argument(range.clone(), text, element)?);
        }
        let (weight, argument) = match places.as_slice() {
            [weight, value] => (Some(*weight), Some(*value)),
            [value] => (None, Some(*value)),
            _ => (None, None),
        };
        let ty = self.type_of(&function, argument, weight, (call, span, element))?;
        let made = AggregateCall { function, argument, weight, period_us, ty };
        if let Some(at) = self.calls.iter().position(|other| *other == made && made.function != F::Guid) {
            return Some(at);
        }
        self.calls.push(made);
        Some(self.calls.len() - 1)
    }

    /// The type of a call's value.
    fn type_of(
        &self,
        function: &AggregateFunction,
        argument: Option<usize>,
        weight: Option<usize>,
        (call, span, element): (&Call, std::ops::Range<usize>, Node<'_, '_>),
    ) -> Option<FieldType> {
        use AggregateFunction as F;
        let ty = argument.map(|at| self.arguments[at].1);
        let adds = matches!(function, F::Sum | F::Ave | F::Std | F::WAve);
        let numbers = ty.into_iter().chain(weight.map(|at| self.arguments[at].1)).all(FieldType::is_numeric);
        if adds && !numbers {
            let headline =
                format!("`ESP_a{}` needs numbers, found {}", call.name, ty.map_or("nothing", FieldType::name));
            self.refuse(element, span, headline, "name fields of type int32, int64, double or money");
            return None;
        }
        Some(match (function, ty) {
            (F::Sum, Some(FieldType::Int32 | FieldType::Int64)) => FieldType::Int64,
            (F::Sum, Some(ty)) => ty,
            (F::Ave | F::Std | F::WAve, _) => FieldType::Double,
            (F::Max | F::Min | F::First | F::Last | F::LastNonDelete | F::Lag(_) | F::Mode, Some(ty)) => ty,
            (F::Cat(_) | F::Guid, _) => FieldType::String,
            _ => FieldType::Int64,
        })
    }

    /// Position of an argument among all arguments.
    fn argument(&mut self, range: std::ops::Range<usize>, text: &Text, element: Node<'_, '_>) -> Option<usize> {
        let part = text.part(range.clone());
        let program = match Program::compile(part.as_str(), &self.scope) {
            Ok(program) => program,
            Err(error) => {
                report_expression(element, &part, &error, self.reading.reader);
                return None;
            }
        };
        let field = self.input.index_of(part.as_str()).map(|at| self.input.fields()[at].ty);
        let ty = field.unwrap_or(match program.result_type() {
            Some(Type::Integer | Type::Boolean) => FieldType::Int64,
            Some(Type::Real) => FieldType::Double,
            Some(Type::Date) => FieldType::Stamp,
            Some(Type::String) | None => FieldType::String,
        });
        let canonical = program.canonical();
        if let Some(at) = self.arguments.iter().position(|(other, _)| other.canonical() == canonical) {
            return Some(at);
        }
        self.arguments.push((program, ty));
        Some(self.arguments.len() - 1)
    }
}

fn unquoted(text: &str) -> String {
    let quoted = text.len() > 1
        && (text.starts_with('"') && text.ends_with('"') || text.starts_with('\'') && text.ends_with('\''));
    if quoted { text[1..text.len() - 1].to_owned() } else { text.to_owned() }
}
