//! A path over a document.

use roxmltree::{Attribute, Node};

use super::parse::{Axis, Expr, From, Step, Test};

/// Most nodes that one path may look at: a path that explodes gives an error.
const MAX_VISITS: u64 = 500_000;
const TOO_MUCH: &str = "the XPath looks at more than 500000 nodes";

/// A node or an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot<'a, 'i> {
    Node(Node<'a, 'i>),
    /// The element and the position of the attribute.
    Attribute(Node<'a, 'i>, usize),
}

#[derive(Debug)]
pub(super) enum Value<'a, 'i> {
    Nodes(Vec<Spot<'a, 'i>>),
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// Where an expression looks from: a node, its place among those selected with it, and how many these are.
#[derive(Clone, Copy)]
pub(super) struct Found<'a, 'i> {
    pub spot: Spot<'a, 'i>,
    pub position: usize,
    pub size: usize,
}

impl<'a, 'i> Spot<'a, 'i> {
    fn attribute(&self) -> Option<Attribute<'a, 'i>> {
        match self {
            Spot::Attribute(node, at) => node.attributes().nth(*at),
            Spot::Node(_) => None,
        }
    }

    /// The string value.
    pub fn text(&self) -> String {
        match self {
            Spot::Node(node) if node.is_root() || node.is_element() => {
                node.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
            }
            Spot::Node(node) => node.text().unwrap_or_default().to_owned(),
            Spot::Attribute(..) => self.attribute().map_or(String::new(), |attribute| attribute.value().to_owned()),
        }
    }

    /// The place in document order.
    fn order(&self) -> (u32, usize) {
        match self {
            Spot::Node(node) => (node.id().get(), 0),
            Spot::Attribute(node, at) => (node.id().get(), at + 1),
        }
    }

    fn parent(&self) -> Option<Node<'a, 'i>> {
        match self {
            Spot::Node(node) => node.parent(),
            Spot::Attribute(node, _) => Some(*node),
        }
    }

    fn name(&self) -> (Option<&'a str>, &'a str) {
        match self {
            Spot::Node(node) if node.is_element() => (node.tag_name().namespace(), node.tag_name().name()),
            Spot::Node(_) => (None, ""),
            Spot::Attribute(node, at) => {
                node.attributes().nth(*at).map_or((None, ""), |attribute| (attribute.namespace(), attribute.name()))
            }
        }
    }

    /// A document that holds this node alone; the namespaces around it come along.
    pub fn document(&self, source: &str) -> String {
        match self {
            Spot::Node(node) if node.is_element() => {
                let text = &source[node.range()];
                let end = text.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(text.len());
                let tag_end = text.find('>').unwrap_or(text.len());
                let mut out = text[..end].to_owned();
                for namespace in node.namespaces().filter(|namespace| namespace.name() != Some("xml")) {
                    let name = namespace.name().map_or("xmlns".to_owned(), |name| format!("xmlns:{name}"));
                    if !text[..tag_end].contains(&format!("{name}=")) {
                        out.push_str(&format!(" {name}=\"{}\"", escaped(namespace.uri())));
                    }
                }
                out.push_str(&text[end..]);
                out
            }
            Spot::Node(node) if node.is_root() => source.to_owned(),
            Spot::Node(_) => format!("<text>{}</text>", escaped(&self.text())),
            Spot::Attribute(..) => {
                let name = self.name().1;
                format!("<{name}>{}</{name}>", escaped(&self.text()))
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Value<'_, '_> {
    fn text(&self) -> String {
        match self {
            Value::Nodes(nodes) => nodes.first().map_or(String::new(), Spot::text),
            Value::Text(text) => text.clone(),
            Value::Number(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            Value::Number(value) => (value + 0.0).to_string(),
            Value::Boolean(value) => value.to_string(),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Value::Number(value) => *value,
            Value::Boolean(value) => f64::from(u8::from(*value)),
            other => text_number(&other.text()),
        }
    }

    fn truth(&self) -> bool {
        match self {
            Value::Nodes(nodes) => !nodes.is_empty(),
            Value::Text(text) => !text.is_empty(),
            Value::Number(value) => *value != 0.0 && !value.is_nan(),
            Value::Boolean(value) => *value,
        }
    }
}

fn text_number(text: &str) -> f64 {
    crate::convert::text_to_real(text).unwrap_or(f64::NAN)
}

/// A path at work; it counts the nodes that it looks at.
pub(super) struct Visit {
    visits: u64,
}

type Made<'a, 'i> = Result<Value<'a, 'i>, &'static str>;

impl Visit {
    pub fn new() -> Visit {
        Visit { visits: 0 }
    }

    pub fn eval<'a, 'i>(&mut self, expr: &Expr, found: Found<'a, 'i>) -> Made<'a, 'i> {
        Ok(match expr {
            Expr::Number(value) => Value::Number(*value),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Negate(inner) => Value::Number(-self.eval(inner, found)?.number()),
            Expr::Call(name, args) => self.call(name, args, found)?,
            Expr::Path { from, steps } => Value::Nodes(self.path(from, steps, found)?),
            Expr::Binary("or", left, right) => {
                Value::Boolean(self.eval(left, found)?.truth() || self.eval(right, found)?.truth())
            }
            Expr::Binary("and", left, right) => {
                Value::Boolean(self.eval(left, found)?.truth() && self.eval(right, found)?.truth())
            }
            Expr::Binary(op, left, right) => {
                let (left, right) = (self.eval(left, found)?, self.eval(right, found)?);
                match *op {
                    "|" => match (left, right) {
                        (Value::Nodes(mut left), Value::Nodes(right)) => {
                            left.extend(right);
                            Value::Nodes(ordered(left))
                        }
                        _ => return Err("`|` joins nodes only"),
                    },
                    "+" => Value::Number(left.number() + right.number()),
                    "-" => Value::Number(left.number() - right.number()),
                    "*" => Value::Number(left.number() * right.number()),
                    "div" => Value::Number(left.number() / right.number()),
                    "mod" => Value::Number(left.number() % right.number()),
                    op => Value::Boolean(self.compare(op, &left, &right)?),
                }
            }
        })
    }

    /// A comparison with nodes holds when it holds for any of them.
    fn compare(&mut self, op: &str, left: &Value<'_, '_>, right: &Value<'_, '_>) -> Result<bool, &'static str> {
        match (left, right) {
            (Value::Nodes(nodes), other) if !matches!(other, Value::Boolean(_)) => {
                for node in nodes {
                    self.visit(1)?;
                    if self.compare(op, &Value::Text(node.text()), other)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (other, Value::Nodes(nodes)) if !matches!(other, Value::Boolean(_)) => {
                for node in nodes {
                    self.visit(1)?;
                    if self.compare(op, other, &Value::Text(node.text()))? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Ok(one_compare(op, left, right)),
        }
    }

    fn visit(&mut self, nodes: u64) -> Result<(), &'static str> {
        self.visits += nodes;
        if self.visits > MAX_VISITS { Err(TOO_MUCH) } else { Ok(()) }
    }

    fn path<'a, 'i>(
        &mut self,
        from: &From,
        steps: &[Step],
        found: Found<'a, 'i>,
    ) -> Result<Vec<Spot<'a, 'i>>, &'static str> {
        let mut spots = match from {
            From::Here => vec![found.spot],
            From::Root => match found.spot {
                Spot::Node(node) | Spot::Attribute(node, _) => vec![Spot::Node(node.document().root())],
            },
            From::Nodes(expr, predicates) => match self.eval(expr, found)? {
                Value::Nodes(nodes) => self.picked(nodes, predicates)?,
                _ => return Err("a path goes on from nodes only"),
            },
        };
        for step in steps {
            let mut next = Vec::new();
            for spot in &spots {
                let mut reached = Vec::new();
                self.axis(*spot, step, &mut reached)?;
                next.extend(self.picked(reached, &step.predicates)?);
            }
            spots = ordered(next);
        }
        Ok(spots)
    }

    /// Those for which every predicate holds; a number is a position.
    fn picked<'a, 'i>(
        &mut self,
        mut spots: Vec<Spot<'a, 'i>>,
        predicates: &[Expr],
    ) -> Result<Vec<Spot<'a, 'i>>, &'static str> {
        for predicate in predicates {
            let size = spots.len();
            let mut kept = Vec::new();
            for (index, spot) in spots.into_iter().enumerate() {
                self.visit(1)?;
                let position = index + 1;
                let holds = match self.eval(predicate, Found { spot, position, size })? {
                    Value::Number(wanted) => wanted == position as f64,
                    value => value.truth(),
                };
                if holds {
                    kept.push(spot);
                }
            }
            spots = kept;
        }
        Ok(spots)
    }

    /// The nodes of an axis that pass the test, nearest first.
    fn axis<'a, 'i>(
        &mut self,
        spot: Spot<'a, 'i>,
        step: &Step,
        out: &mut Vec<Spot<'a, 'i>>,
    ) -> Result<(), &'static str> {
        let mut each = |visit: &mut Visit, spot: Spot<'a, 'i>| {
            visit.visit(1)?;
            if passes(&spot, step) {
                out.push(spot);
            }
            Ok(())
        };
        let node = match (spot, step.axis) {
            (_, Axis::Myself) => return each(self, spot),
            (_, Axis::Parent) => return spot.parent().map_or(Ok(()), |node| each(self, Spot::Node(node))),
            (_, Axis::Ancestor | Axis::AncestorOrSelf) => {
                if step.axis == Axis::AncestorOrSelf {
                    each(self, spot)?;
                }
                let mut above = spot.parent();
                while let Some(node) = above {
                    each(self, Spot::Node(node))?;
                    above = node.parent();
                }
                return Ok(());
            }
            (Spot::Attribute(..), Axis::DescendantOrSelf) => return each(self, spot),
            (Spot::Attribute(..), _) => return Ok(()),
            (Spot::Node(node), _) => node,
        };
        match step.axis {
            Axis::Attribute => (0..node.attributes().len()).try_for_each(|at| each(self, Spot::Attribute(node, at))),
            Axis::Child => node.children().try_for_each(|node| each(self, Spot::Node(node))),
            Axis::Descendant => node.descendants().skip(1).try_for_each(|node| each(self, Spot::Node(node))),
            Axis::DescendantOrSelf => node.descendants().try_for_each(|node| each(self, Spot::Node(node))),
            Axis::FollowingSibling => node.next_siblings().skip(1).try_for_each(|node| each(self, Spot::Node(node))),
            Axis::PrecedingSibling => node.prev_siblings().skip(1).try_for_each(|node| each(self, Spot::Node(node))),
            Axis::Following => node
                .ancestors()
                .flat_map(|above| above.next_siblings().skip(1))
                .flat_map(|sibling| sibling.descendants())
                .try_for_each(|node| each(self, Spot::Node(node))),
            _ => {
                let before = node.ancestors().flat_map(|above| above.prev_siblings().skip(1));
                for sibling in before {
                    let all: Vec<Node<'a, 'i>> = sibling.descendants().collect();
                    all.into_iter().rev().try_for_each(|node| each(self, Spot::Node(node)))?;
                }
                Ok(())
            }
        }
    }

    fn call<'a, 'i>(&mut self, name: &str, args: &[Expr], found: Found<'a, 'i>) -> Made<'a, 'i> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.eval(arg, found)?);
        }
        let text = |at: usize| values.get(at).map_or_else(|| found.spot.text(), Value::text);
        let number = |at: usize| values.get(at).map_or_else(|| text_number(&found.spot.text()), Value::number);
        let spot = || match values.first() {
            None => Some(found.spot),
            Some(Value::Nodes(nodes)) => nodes.first().copied(),
            Some(_) => None,
        };
        Ok(match name {
            "last" => Value::Number(found.size as f64),
            "position" => Value::Number(found.position as f64),
            "count" | "sum" => {
                let Value::Nodes(nodes) = &values[0] else { return Err("`count` and `sum` take nodes") };
                Value::Number(match name {
                    "count" => nodes.len() as f64,
                    _ => nodes.iter().map(|node| text_number(&node.text())).sum(),
                })
            }
            "local-name" => Value::Text(spot().map_or(String::new(), |spot| spot.name().1.to_owned())),
            "namespace-uri" => Value::Text(spot().and_then(|spot| spot.name().0).unwrap_or_default().to_owned()),
            "name" => Value::Text(spot().map_or(String::new(), |spot| qualified(&spot))),
            "string" => Value::Text(text(0)),
            "concat" => Value::Text(values.iter().map(Value::text).collect()),
            "starts-with" => Value::Boolean(text(0).starts_with(&text(1))),
            "contains" => Value::Boolean(text(0).contains(&text(1))),
            "substring-before" => Value::Text(text(0).split_once(&text(1)).map_or("", |(before, _)| before).to_owned()),
            "substring-after" => Value::Text(text(0).split_once(&text(1)).map_or("", |(_, after)| after).to_owned()),
            "substring" => {
                let first = rounded(number(1));
                let end = if args.len() == 3 { first + rounded(number(2)) } else { f64::INFINITY };
                let inside = |at: usize| (at + 1) as f64 >= first && ((at + 1) as f64) < end;
                Value::Text(text(0).chars().enumerate().filter(|(at, _)| inside(*at)).map(|(_, c)| c).collect())
            }
            "string-length" => Value::Number(text(0).chars().count() as f64),
            "normalize-space" => Value::Text(text(0).split_whitespace().collect::<Vec<_>>().join(" ")),
            "translate" => {
                let (from, to): (Vec<char>, Vec<char>) = (text(1).chars().collect(), text(2).chars().collect());
                let each = |c: char| match from.iter().position(|known| *known == c) {
                    Some(at) => to.get(at).copied(),
                    None => Some(c),
                };
                Value::Text(text(0).chars().filter_map(each).collect())
            }
            "boolean" => Value::Boolean(values[0].truth()),
            "not" => Value::Boolean(!values[0].truth()),
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            "number" => Value::Number(number(0)),
            "floor" => Value::Number(number(0).floor()),
            "ceiling" => Value::Number(number(0).ceil()),
            "round" => Value::Number(rounded(number(0))),
            _ => {
                let (Spot::Node(node) | Spot::Attribute(node, _)) = found.spot;
                let (wanted, root) = (text(0), node.document().root());
                self.visit(root.descendants().count() as u64)?;
                let known = root.descendants().filter(|node| node.attribute("id") == Some(&wanted));
                Value::Nodes(known.map(Spot::Node).collect())
            }
        })
    }
}

/// XPath rounds halves up.
fn rounded(value: f64) -> f64 {
    (value + 0.5).floor()
}

fn qualified(spot: &Spot<'_, '_>) -> String {
    let (namespace, local) = spot.name();
    let (Spot::Node(node) | Spot::Attribute(node, _)) = spot;
    match namespace.and_then(|uri| node.lookup_prefix(uri)) {
        Some(prefix) => format!("{prefix}:{local}"),
        None => local.to_owned(),
    }
}

/// Document order, each once.
fn ordered<'a, 'i>(mut spots: Vec<Spot<'a, 'i>>) -> Vec<Spot<'a, 'i>> {
    spots.sort_by_key(Spot::order);
    spots.dedup_by_key(|spot| spot.order());
    spots
}

fn passes(spot: &Spot<'_, '_>, step: &Step) -> bool {
    let principal = match spot {
        Spot::Attribute(..) => step.axis == Axis::Attribute,
        Spot::Node(node) => node.is_element() && step.axis != Axis::Attribute,
    };
    let kind = |test: fn(&Node<'_, '_>) -> bool| matches!(spot, Spot::Node(node) if test(node));
    let (Spot::Node(node) | Spot::Attribute(node, _)) = spot;
    match &step.test {
        Test::Any => true,
        Test::Star => principal,
        Test::Name { prefix, local } => {
            let (namespace, name) = spot.name();
            let wanted = prefix.as_deref().and_then(|prefix| node.lookup_namespace_uri(Some(prefix)));
            principal && name == local && namespace == wanted && prefix.is_some() == wanted.is_some()
        }
        Test::AnyOf { prefix } => {
            let wanted = node.lookup_namespace_uri(Some(prefix));
            principal && wanted.is_some() && spot.name().0 == wanted
        }
        Test::Text => kind(|node| node.is_text()),
        Test::Comment => kind(|node| node.is_comment()),
        Test::Instruction => kind(|node| node.is_pi()),
    }
}

fn one_compare(op: &str, left: &Value<'_, '_>, right: &Value<'_, '_>) -> bool {
    let equal = match (left, right) {
        (Value::Boolean(_), _) | (_, Value::Boolean(_)) => left.truth() == right.truth(),
        (Value::Number(_), _) | (_, Value::Number(_)) => left.number() == right.number(),
        _ => left.text() == right.text(),
    };
    match op {
        "=" => equal,
        "!=" => !equal,
        "<" => left.number() < right.number(),
        "<=" => left.number() <= right.number(),
        ">" => left.number() > right.number(),
        _ => left.number() >= right.number(),
    }
}
