//! What a program says, before names and types are looked at.

use std::ops::Range;

use crate::Type;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub kind: ExprKind,
    pub span: Range<usize>,
    /// Height of the tree; bounded by the parser, so that recursion over it is.
    pub depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExprKind {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Boolean(bool),
    Date(f64),
    Name(String),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Call {
        name: String,
        name_span: Range<usize>,
        args: Vec<Expr>,
    },
    /// `object.method(args)`.
    Method {
        object: String,
        object_span: Range<usize>,
        method: String,
        method_span: Range<usize>,
        args: Vec<Expr>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Negate,
    Plus,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concat,
    Compare(Comparison),
    And,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What an object variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Regex,
    Array(Type),
}

/// From, to, and the step, of a `for`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bounds {
    pub from: Expr,
    pub to: Expr,
    pub step: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stmt {
    Declare {
        ty: Type,
        name: String,
        span: Range<usize>,
        /// `static`: set once, kept from event to event.
        keep: bool,
        /// `string(n)`: longer texts are cut.
        size: Option<i64>,
        value: Option<Expr>,
    },
    Object {
        kind: ObjectKind,
        name: String,
        span: Range<usize>,
        keep: bool,
    },
    Assign {
        name: String,
        span: Range<usize>,
        value: Expr,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    While {
        condition: Expr,
        body: Vec<Stmt>,
    },
    For {
        name: String,
        span: Range<usize>,
        bounds: Box<Bounds>,
        body: Vec<Stmt>,
    },
    Break,
    Continue,
    Goto {
        label: String,
        span: Range<usize>,
    },
    Label {
        name: String,
        span: Range<usize>,
    },
    Return(Expr),
    /// Its value is the program's unless a later statement gives another.
    Value(Expr),
}

impl Expr {
    pub fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
        let span = left.span.start.min(right.span.start)..left.span.end.max(right.span.end);
        let depth = left.depth.max(right.depth) + 1;
        Expr { kind: ExprKind::Binary(op, Box::new(left), Box::new(right)), span, depth }
    }
}
