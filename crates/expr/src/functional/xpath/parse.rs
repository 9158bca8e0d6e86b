//! The text of a path to a tree.

/// Longest path in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// Deepest nesting.
const MAX_NESTING: usize = 40;

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Number(f64),
    Text(String),
    /// Operator by its text.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Call(String, Vec<Expr>),
    Path {
        from: From,
        steps: Vec<Step>,
    },
}

#[derive(Debug, Clone)]
pub(super) enum From {
    Root,
    Here,
    /// The nodes of an expression, of which some are picked.
    Nodes(Box<Expr>, Vec<Expr>),
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub axis: Axis,
    pub test: Test,
    pub predicates: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Parent,
    Ancestor,
    AncestorOrSelf,
    FollowingSibling,
    PrecedingSibling,
    Following,
    Preceding,
    Attribute,
    Myself,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Any,
    /// Every element, or attribute.
    Star,
    Name {
        prefix: Option<String>,
        local: String,
    },
    AnyOf {
        prefix: String,
    },
    Text,
    Comment,
    Instruction,
}

const AXES: [(&str, Axis); 12] = [
    ("child", Axis::Child),
    ("descendant", Axis::Descendant),
    ("descendant-or-self", Axis::DescendantOrSelf),
    ("parent", Axis::Parent),
    ("ancestor", Axis::Ancestor),
    ("ancestor-or-self", Axis::AncestorOrSelf),
    ("following-sibling", Axis::FollowingSibling),
    ("preceding-sibling", Axis::PrecedingSibling),
    ("following", Axis::Following),
    ("preceding", Axis::Preceding),
    ("attribute", Axis::Attribute),
    ("self", Axis::Myself),
];

/// Functions and how many arguments they take.
const FUNCTIONS: [(&str, usize, usize); 26] = [
    ("last", 0, 0),
    ("position", 0, 0),
    ("count", 1, 1),
    ("local-name", 0, 1),
    ("namespace-uri", 0, 1),
    ("name", 0, 1),
    ("string", 0, 1),
    ("concat", 2, 64),
    ("starts-with", 2, 2),
    ("contains", 2, 2),
    ("substring-before", 2, 2),
    ("substring-after", 2, 2),
    ("substring", 2, 3),
    ("string-length", 0, 1),
    ("normalize-space", 0, 1),
    ("translate", 3, 3),
    ("boolean", 1, 1),
    ("not", 1, 1),
    ("true", 0, 0),
    ("false", 0, 0),
    ("number", 0, 1),
    ("sum", 1, 1),
    ("floor", 1, 1),
    ("ceiling", 1, 1),
    ("round", 1, 1),
    ("id", 1, 1),
];

/// Reads a path.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the path is longer than {MAX_BYTES} bytes"));
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expr = parser.binary(0)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(format!("`{}` in the path `{text}` has no meaning", &text[parser.at..]));
    }
    Ok(expr)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// Operators by how strongly they bind, the weakest first; of those that begin alike the longest first.
const LEVELS: [&[&str]; 7] =
    [&["or"], &["and"], &["!=", "="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "div", "mod"], &["|"]];

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) { Ok(()) } else { Err(format!("`{symbol}` is missing in the path `{}`", self.text)) }
    }

    /// A word operator must not go on as a name.
    fn operator(&mut self, level: usize) -> Option<&'static str> {
        self.blanks();
        let rest = self.rest();
        let found = LEVELS[level].iter().copied().find(|symbol| {
            let word = symbol.starts_with(|c: char| c.is_ascii_alphabetic());
            rest.strip_prefix(symbol).is_some_and(|after| !(word && after.starts_with(is_name)))
        })?;
        self.at += found.len();
        Some(found)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, String> {
        if level == LEVELS.len() {
            return self.path();
        }
        // The sign stands between `*` and `|`.
        if level == LEVELS.len() - 1 && self.take("-") {
            self.deeper()?;
            let inner = self.binary(level)?;
            self.depth -= 1;
            return Ok(Expr::Negate(Box::new(inner)));
        }
        let mut left = self.binary(level + 1)?;
        let mut height = 0;
        while let Some(op) = self.operator(level) {
            height += 1;
            if height > MAX_NESTING {
                return Err(format!("more than {MAX_NESTING} operators in a row"));
            }
            left = Expr::Binary(op, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_NESTING { Err(format!("the path is nested deeper than {MAX_NESTING}")) } else { Ok(()) }
    }

    fn name(&mut self) -> Option<&'a str> {
        self.blanks();
        let rest = self.rest();
        let length = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        let fine = rest.starts_with(|c: char| c.is_alphabetic() || c == '_');
        fine.then(|| {
            self.at += length;
            &rest[..length]
        })
    }

    fn path(&mut self) -> Result<Expr, String> {
        self.deeper()?;
        let made = self.path_inside();
        self.depth -= 1;
        made
    }

    fn path_inside(&mut self) -> Result<Expr, String> {
        self.blanks();
        let mut steps = Vec::new();
        let from = if let Some(primary) = self.primary()? {
            let predicates = self.predicates()?;
            if predicates.is_empty() && !self.rest().trim_start().starts_with('/') {
                return Ok(primary);
            }
            let from = From::Nodes(Box::new(primary), predicates);
            if !self.separator(&mut steps) {
                return Ok(Expr::Path { from, steps });
            }
            from
        } else if self.rest().starts_with('/') {
            self.separator(&mut steps);
            self.blanks();
            let more = |c: char| c.is_alphabetic() || matches!(c, '_' | '*' | '@' | '.');
            if steps.is_empty() && !self.rest().starts_with(more) {
                return Ok(Expr::Path { from: From::Root, steps });
            }
            From::Root
        } else {
            From::Here
        };
        loop {
            if steps.len() > MAX_NESTING {
                return Err(format!("the path has more than {MAX_NESTING} steps"));
            }
            steps.push(self.step()?);
            if !self.separator(&mut steps) {
                return Ok(Expr::Path { from, steps });
            }
        }
    }

    /// `/` or `//`.
    fn separator(&mut self, steps: &mut Vec<Step>) -> bool {
        if self.take("//") {
            steps.push(Step { axis: Axis::DescendantOrSelf, test: Test::Any, predicates: Vec::new() });
            return true;
        }
        self.take("/")
    }

    /// A literal, a function, brackets; `None` when a step stands here.
    fn primary(&mut self) -> Result<Option<Expr>, String> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Err(format!("the path `{}` ends too early", self.text)) };
        if matches!(first, '"' | '\'') {
            let length = rest[1..].find(first).ok_or_else(|| format!("a text in `{}` has no end", self.text))?;
            self.at += length + 2;
            return Ok(Some(Expr::Text(rest[1..1 + length].to_owned())));
        }
        if first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let length = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            self.at += length;
            let number = rest[..length].parse().map_err(|_| format!("`{}` is no number", &rest[..length]))?;
            return Ok(Some(Expr::Number(number)));
        }
        if first == '(' {
            self.at += 1;
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(Some(inner));
        }
        let before = self.at;
        let Some(name) = self.name() else { return Ok(None) };
        if !self.rest().trim_start().starts_with('(')
            || matches!(name, "node" | "text" | "comment" | "processing-instruction")
        {
            self.at = before;
            return Ok(None);
        }
        self.expect("(")?;
        let mut args = Vec::new();
        if !self.take(")") {
            loop {
                args.push(self.binary(0)?);
                if !self.take(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        match FUNCTIONS.iter().find(|(known, ..)| *known == name) {
            Some((_, least, most)) if (*least..=*most).contains(&args.len()) => {
                Ok(Some(Expr::Call(name.to_owned(), args)))
            }
            Some(_) => Err(format!("`{name}` has the wrong number of arguments")),
            None => Err(format!("there is no XPath function `{name}`")),
        }
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, String> {
        let mut predicates = Vec::new();
        while self.take("[") {
            predicates.push(self.binary(0)?);
            self.expect("]")?;
        }
        Ok(predicates)
    }

    fn step(&mut self) -> Result<Step, String> {
        self.blanks();
        let short = |axis| Step { axis, test: Test::Any, predicates: Vec::new() };
        if self.take("..") {
            return Ok(short(Axis::Parent));
        }
        if self.take(".") {
            return Ok(short(Axis::Myself));
        }
        let axis = if self.take("@") { Axis::Attribute } else { self.axis()? };
        let test = self.test()?;
        Ok(Step { axis, test, predicates: self.predicates()? })
    }

    fn axis(&mut self) -> Result<Axis, String> {
        let before = self.at;
        if let Some(name) = self.name()
            && self.take("::")
        {
            let axis = AXES.iter().find(|(known, _)| *known == name).map(|(_, axis)| *axis);
            return axis.ok_or_else(|| format!("there is no axis `{name}`"));
        }
        self.at = before;
        Ok(Axis::Child)
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.take("*") {
            return Ok(Test::Star);
        }
        let Some(name) = self.name() else {
            let found = self.rest().chars().next().map_or("the end".to_owned(), |c| format!("`{c}`"));
            return Err(format!("expected a name in the path `{}`, found {found}", self.text));
        };
        let kind = match name {
            "node" => Some(Test::Any),
            "text" => Some(Test::Text),
            "comment" => Some(Test::Comment),
            "processing-instruction" => Some(Test::Instruction),
            _ => None,
        };
        if let Some(kind) = kind
            && self.take("(")
        {
            self.expect(")")?;
            return Ok(kind);
        }
        if self.rest().starts_with(':') && !self.rest().starts_with("::") {
            self.at += 1;
            if self.take("*") {
                return Ok(Test::AnyOf { prefix: name.to_owned() });
            }
            let local = self.name().ok_or_else(|| format!("a name is missing after `{name}:`"))?;
            return Ok(Test::Name { prefix: Some(name.to_owned()), local: local.to_owned() });
        }
        Ok(Test::Name { prefix: None, local: name.to_owned() })
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}
