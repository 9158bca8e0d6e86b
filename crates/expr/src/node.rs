//! A checked program: names are positions, every operator knows the type of its operands.

use crate::Type;
use crate::ast::Comparison;
use crate::functions::Kernel;
use crate::vector::Vector;

/// Where in the text an operation stands that can fail at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    pub line: u32,
    pub column: u32,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(Vector<'static>),
    Field(usize),
    Opcode,
    Flags,
    Local(usize),
    Cast {
        value: Box<Node>,
        from: Type,
        to: Type,
        site: Site,
    },
    Integers {
        op: Arithmetic,
        left: Box<Node>,
        right: Box<Node>,
        site: Site,
    },
    Reals {
        op: Arithmetic,
        left: Box<Node>,
        right: Box<Node>,
        site: Site,
    },
    /// Both sides have this type.
    Compare {
        op: Comparison,
        kind: Type,
        left: Box<Node>,
        right: Box<Node>,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Concat {
        left: Box<Node>,
        right: Box<Node>,
        site: Site,
    },
    IsNull(Box<Node>),
    IsBlank(Box<Node>),
    Call {
        kernel: Kernel,
        args: Vec<Node>,
        site: Site,
    },
    Choose {
        condition: Box<Node>,
        yes: Box<Node>,
        no: Box<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    /// Reals only.
    Divide,
    Remainder,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Set {
        slot: usize,
        value: Node,
    },
    /// Becomes the result unless a later step gives another.
    Value(Node),
    Return(Node),
    If {
        condition: Node,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
}
