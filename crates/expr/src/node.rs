//! A checked program: names are positions, every operator knows the type of its operands.

use crate::Type;
use crate::ast::{Comparison, ObjectKind};
use crate::functions::Kernel;
use crate::object::Method;
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
    /// A variable that outlives the event.
    Kept(usize),
    /// A user function.
    User {
        index: usize,
        args: Vec<Node>,
        site: Site,
    },
    /// Argument of the user function that runs, from 1.
    Parameter {
        number: Box<Node>,
        as_text: bool,
        site: Site,
    },
    Method {
        object: ObjectPlace,
        kind: ObjectKind,
        method: Method,
        args: Vec<Node>,
        site: Site,
    },
    /// `parse`: the parts of a text into variables; how many parts there are.
    ParseInto {
        text: Box<Node>,
        delimiters: Box<Node>,
        into: Vec<Place>,
    },
    /// A variable of a pattern: set by the first value it meets, compared with every later one.
    Bind {
        slot: usize,
        value: Box<Node>,
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

/// Where a variable lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Local(usize),
    Kept(usize),
}

/// Where an object lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectPlace {
    Local(usize),
    Kept(usize),
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Set {
        place: Place,
        value: Node,
    },
    /// Sets a variable that has no value yet.
    Once {
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
    While {
        condition: Node,
        body: Vec<Step>,
    },
    For {
        place: Place,
        from: Node,
        to: Node,
        by: Node,
        body: Vec<Step>,
        site: Site,
    },
    /// For what it does, not for its value.
    Do(Node),
    Break,
    Continue,
    Goto(usize, Site),
    Label(usize),
}
