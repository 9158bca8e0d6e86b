//! Random programs against a naive interpreter that walks the tree row by row with dynamic values.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use mesh_event::{Block, ColumnBuilder, FieldType, Flags, Opcode, Schema, Value};
use mesh_expr::{Program, Scope};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Tree {
    Int(i64),
    Real(f64),
    Text(&'static str),
    Field(&'static str),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    Call(&'static str, Vec<Tree>),
}

/// What one row sees.
struct Row {
    i: Option<i64>,
    x: Option<f64>,
    s: Option<String>,
    /// The variable `n` of [`program_text`].
    n: Option<i64>,
    errors: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum V {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bool(bool),
}

fn text_of(tree: &Tree) -> String {
    match tree {
        Tree::Int(v) => v.to_string(),
        Tree::Real(v) => format!("{v:?}"),
        Tree::Text(v) => format!("'{v}'"),
        Tree::Field(name) => (*name).to_owned(),
        Tree::Binary(op, a, b) => format!("({} {op} {})", text_of(a), text_of(b)),
        Tree::Not(a) => format!("(not {})", text_of(a)),
        Tree::Negate(a) => format!("(-{})", text_of(a)),
        Tree::Call(name, args) => format!("{name}({})", args.iter().map(text_of).collect::<Vec<_>>().join(", ")),
    }
}

impl Row {
    fn failed(&mut self) -> V {
        self.errors += 1;
        V::Null
    }

    fn or_failed(&mut self, value: Option<V>) -> V {
        value.unwrap_or_else(|| self.failed())
    }

    fn real(&mut self, value: V) -> Option<f64> {
        match value {
            V::Null => None,
            V::Int(v) => Some(v as f64),
            V::Real(v) => Some(v),
            V::Bool(v) => Some(if v { 1.0 } else { 0.0 }),
            V::Text(v) => match v.trim().parse::<f64>() {
                Ok(v) => Some(v),
                Err(_) => {
                    self.errors += 1;
                    None
                }
            },
        }
    }

    fn truth(&mut self, value: V) -> Option<bool> {
        match value {
            V::Bool(v) => Some(v),
            other => self.real(other).map(|v| v != 0.0),
        }
    }

    fn text(value: V) -> Option<String> {
        Some(match value {
            V::Null => return None,
            V::Int(v) => v.to_string(),
            V::Real(v) => (v + 0.0).to_string(),
            V::Bool(v) => v.to_string(),
            V::Text(v) => v,
        })
    }

    fn eval(&mut self, tree: &Tree) -> V {
        match tree {
            Tree::Int(v) => V::Int(*v),
            Tree::Real(v) => V::Real(*v),
            Tree::Text(v) => V::Text((*v).to_owned()),
            Tree::Field("i") => self.i.map_or(V::Null, V::Int),
            Tree::Field("n") => self.n.map_or(V::Null, V::Int),
            Tree::Field("x") => self.x.map_or(V::Null, V::Real),
            Tree::Field(_) => self.s.clone().map_or(V::Null, V::Text),
            Tree::Not(a) => {
                let a = self.eval(a);
                self.truth(a).map_or(V::Null, |v| V::Bool(!v))
            }
            Tree::Negate(a) => {
                let a = self.eval(a);
                match a {
                    V::Int(v) => {
                        let negated = v.checked_neg().map(V::Int);
                        self.or_failed(negated)
                    }
                    other => self.real(other).map_or(V::Null, |v| V::Real(-v)),
                }
            }
            Tree::Binary(op @ ("and" | "or"), a, b) => self.logical(*op == "or", a, b),
            Tree::Binary(op, a, b) => {
                let (a, b) = (self.eval(a), self.eval(b));
                match *op {
                    "&" => match (Row::text(a), Row::text(b)) {
                        (Some(a), Some(b)) => V::Text(a + &b),
                        _ => V::Null,
                    },
                    "+" | "-" | "*" | "/" | "%" => self.arithmetic(op, a, b),
                    _ => self.compare(op, a, b),
                }
            }
            Tree::Call(name, args) => {
                let args: Vec<V> = args.iter().map(|arg| self.eval(arg)).collect();
                self.call(name, args)
            }
        }
    }

    fn logical(&mut self, stop: bool, a: &Tree, b: &Tree) -> V {
        let a = self.eval(a);
        let a = self.truth(a);
        if a == Some(stop) {
            return V::Bool(stop);
        }
        let b = self.eval(b);
        let b = self.truth(b);
        match (a, b) {
            (_, Some(b)) if b == stop => V::Bool(stop),
            (Some(_), Some(_)) => V::Bool(!stop),
            _ => V::Null,
        }
    }

    fn arithmetic(&mut self, op: &str, a: V, b: V) -> V {
        if let (V::Int(a), V::Int(b)) = (&a, &b)
            && op != "/"
        {
            let value = match op {
                "+" => a.checked_add(*b),
                "-" => a.checked_sub(*b),
                "*" => a.checked_mul(*b),
                _ if *b == 0 => None,
                _ => Some(a.wrapping_rem(*b)),
            };
            return self.or_failed(value.map(V::Int));
        }
        let (a, b) = (self.real(a), self.real(b));
        let (Some(a), Some(b)) = (a, b) else { return V::Null };
        match op {
            "+" => V::Real(a + b),
            "-" => V::Real(a - b),
            "*" => V::Real(a * b),
            _ if b == 0.0 => self.failed(),
            "/" => V::Real(a / b),
            _ => V::Real(a % b),
        }
    }

    fn compare(&mut self, op: &str, a: V, b: V) -> V {
        use std::cmp::Ordering;
        let order = match (&a, &b) {
            (V::Null, _) | (_, V::Null) => return V::Null,
            (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
            (V::Text(a), V::Text(b)) => Some(a.cmp(b)),
            _ => {
                let (a, b) = (self.real(a), self.real(b));
                let (Some(a), Some(b)) = (a, b) else { return V::Null };
                a.partial_cmp(&b)
            }
        };
        V::Bool(match op {
            "==" => order == Some(Ordering::Equal),
            "!=" => order != Some(Ordering::Equal),
            "<" => order == Some(Ordering::Less),
            "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            ">" => order == Some(Ordering::Greater),
            _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        })
    }

    fn call(&mut self, name: &str, mut args: Vec<V>) -> V {
        let first = args.remove(0);
        match (name, first) {
            ("isnull", first) => V::Bool(first == V::Null),
            (_, V::Null) => V::Null,
            ("upper", first) => Row::text(first).map_or(V::Null, |v| V::Text(v.to_uppercase())),
            ("len", first) => Row::text(first).map_or(V::Null, |v| V::Int(v.chars().count() as i64)),
            ("abs", V::Int(v)) => {
                let value = v.checked_abs().map(V::Int);
                self.or_failed(value)
            }
            ("abs", first) => {
                let value = self.real(first).map(f64::abs).filter(|v| !v.is_nan());
                self.or_failed(value.map(V::Real))
            }
            ("floor", first) => {
                let value = self.real(first).map(f64::floor).filter(|v| !v.is_nan());
                self.or_failed(value.map(V::Real))
            }
            (name, _) => panic!("the oracle has no function {name}"),
        }
    }

    /// A value stored in the integer variable `n`.
    fn integer(&mut self, value: V) -> Option<i64> {
        match value {
            V::Int(v) => Some(v),
            other => {
                let real = self.real(other)?;
                if real.trunc() >= -(2_f64.powi(63)) && real.trunc() < 2_f64.powi(63) {
                    Some(real as i64)
                } else {
                    self.errors += 1;
                    None
                }
            }
        }
    }
}

fn leaf() -> BoxedStrategy<Tree> {
    prop_oneof![
        prop_oneof![Just(0), Just(1), Just(7), Just(i64::MAX), -20_i64..20].prop_map(|v| Tree::Int(v.max(0))),
        prop_oneof![Just(0.0), Just(0.5), Just(1e18), Just(1e300)].prop_map(Tree::Real),
        Just(Tree::Field("i")),
        Just(Tree::Field("n")),
        Just(Tree::Field("x")),
    ]
    .boxed()
}

fn number(depth: u32) -> BoxedStrategy<Tree> {
    if depth == 0 {
        return leaf();
    }
    let ops = prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")];
    prop_oneof![
        2 => leaf(),
        4 => (ops, number(depth - 1), number(depth - 1)).prop_map(|(op, a, b)| Tree::Binary(op, a.into(), b.into())),
        1 => number(depth - 1).prop_map(|a| Tree::Negate(a.into())),
        1 => number(depth - 1).prop_map(|a| Tree::Call("abs", vec![a])),
        1 => number(depth - 1).prop_map(|a| Tree::Call("floor", vec![a])),
        1 => words(depth - 1).prop_map(|a| Tree::Call("len", vec![a])),
    ]
    .boxed()
}

fn words(depth: u32) -> BoxedStrategy<Tree> {
    let leaf =
        prop_oneof![Just(Tree::Field("s")), Just(Tree::Text("")), Just(Tree::Text("ab")), Just(Tree::Text("12"))];
    if depth == 0 {
        return leaf.boxed();
    }
    let side = || prop_oneof![words(depth - 1), number(depth - 1)];
    prop_oneof![
        leaf,
        (side(), side()).prop_map(|(a, b)| Tree::Binary("&", a.into(), b.into())),
        words(depth - 1).prop_map(|a| Tree::Call("upper", vec![a])),
    ]
    .boxed()
}

fn truth(depth: u32) -> BoxedStrategy<Tree> {
    let ops = || prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let numbers = (ops(), number(depth), number(depth)).prop_map(|(op, a, b)| Tree::Binary(op, a.into(), b.into()));
    let texts = (ops(), words(1), words(1)).prop_map(|(op, a, b)| Tree::Binary(op, a.into(), b.into()));
    if depth == 0 {
        return prop_oneof![numbers, texts].boxed();
    }
    let and_or = prop_oneof![Just("and"), Just("or")];
    prop_oneof![
        numbers,
        texts,
        (and_or, truth(depth - 1), truth(depth - 1)).prop_map(|(op, a, b)| Tree::Binary(op, a.into(), b.into())),
        truth(depth - 1).prop_map(|a| Tree::Not(a.into())),
        number(depth - 1).prop_map(|a| Tree::Call("isnull", vec![a])),
        number(depth - 1),
    ]
    .boxed()
}

/// Before its declaration `n` is unknown.
fn without_variable(tree: Tree) -> Tree {
    let again = |tree: Box<Tree>| Box::new(without_variable(*tree));
    match tree {
        Tree::Field("n") => Tree::Field("i"),
        Tree::Binary(op, a, b) => Tree::Binary(op, again(a), again(b)),
        Tree::Not(a) => Tree::Not(again(a)),
        Tree::Negate(a) => Tree::Negate(again(a)),
        Tree::Call(name, args) => Tree::Call(name, args.into_iter().map(without_variable).collect()),
        other => other,
    }
}

type Input = (Option<i64>, Option<f64>, Option<String>);

fn row() -> impl Strategy<Value = Input> {
    let integer = prop_oneof![Just(0), Just(i64::MIN), -5_i64..5];
    let real = prop_oneof![Just(0.0), Just(-0.0), Just(1e19), -5.0..5.0];
    let text = prop_oneof![Just("".to_owned()), Just("ab".to_owned()), Just("größe".to_owned()), Just("7".to_owned())];
    (prop::option::of(integer), prop::option::of(real), prop::option::of(text))
}

fn block(rows: &[Input]) -> Block {
    let schema = Arc::new(Schema::parse("i:int64,x:double,s:string").unwrap());
    let mut builders: Vec<_> = schema.fields().iter().map(|field| ColumnBuilder::new(field.ty, rows.len())).collect();
    for (i, x, s) in rows {
        builders[0].push(&i.map_or(Value::Null, Value::Int64));
        builders[1].push(&x.map_or(Value::Null, Value::Double));
        builders[2].push(&s.as_deref().map_or(Value::Null, |s| Value::String(s.into())));
    }
    let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
    Block::new(schema, vec![Opcode::Insert; rows.len()], vec![Flags::NORMAL; rows.len()], columns)
}

/// A program with a variable, both kinds of branches, returns in some of them.
fn program_text(parts: &[String]) -> String {
    let [start, first, step, second, early, last] = parts else { panic!("six parts") };
    format!(
        "integer n = {start}
         if {first} begin
             n = n + {step}
             if {second} then return n
         end else if {second} return {early}
         return {last} + 0.0"
    )
}

/// The same, row by row. The program's results are unified to real.
fn naive(row: &mut Row, [start, first, step, second, early, last]: [&Tree; 6]) -> Option<f64> {
    let value = row.eval(start);
    row.n = row.integer(value);
    let condition = row.eval(first);
    let result = if row.truth(condition) == Some(true) {
        let step = row.eval(step);
        let old = row.n.map_or(V::Null, V::Int);
        let value = row.arithmetic("+", old, step);
        row.n = row.integer(value);
        let condition = row.eval(second);
        if row.truth(condition) == Some(true) { Some(row.n.map_or(V::Null, V::Int)) } else { None }
    } else {
        let condition = row.eval(second);
        if row.truth(condition) == Some(true) { Some(row.eval(early)) } else { None }
    };
    let result = match result {
        Some(result) => result,
        None => {
            let last = row.eval(last);
            row.arithmetic("+", last, V::Real(0.0))
        }
    };
    row.real(result)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn columns_agree_with_rows(
        trees in (number(2), truth(2), number(2), truth(1), number(2), number(3)),
        rows in prop::collection::vec(row(), 1..24),
    ) {
        let start = without_variable(trees.0);
        let parts = [&start, &trees.1, &trees.2, &trees.3, &trees.4, &trees.5];
        let text = program_text(&parts.map(text_of));
        let block = block(&rows);
        let program = match Program::compile(&text, &Scope::new(&block.schema)) {
            Ok(program) => program,
            Err(error) => panic!("{error} in {text}"),
        };
        let result = program.eval(&block, FieldType::Double);
        let mut errors = 0;
        for (at, (i, x, s)) in rows.iter().enumerate() {
            let mut row = Row { i: *i, x: *x, s: s.clone(), n: None, errors: 0 };
            let expected = naive(&mut row, parts);
            errors += row.errors;
            let found = match result.column.value(at) {
                Value::Double(v) => Some(v),
                _ => None,
            };
            let same = match (expected, found) {
                (Some(a), Some(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                (a, b) => a.is_none() && b.is_none(),
            };
            prop_assert!(same, "row {at} {i:?} {x:?} {s:?}: {expected:?}, found {found:?} for\n{text}");
        }
        prop_assert_eq!(errors, result.errors.count, "errors of\n{}", text);
        // Single events run on the row engine.
        let mut alone = 0;
        for at in 0..rows.len() {
            let one = program.eval(&block.slice(at..at + 1), FieldType::Double);
            alone += one.errors.count;
            let same = format!("{:?}", one.column.value(0)) == format!("{:?}", result.column.value(at));
            prop_assert!(same, "row {at} alone: {:?}, {:?} for\n{text}", one.column.value(0), result.column.value(at));
        }
        prop_assert_eq!(errors, alone, "errors row by row of\n{}", text);
    }
}
