//! Algorithms of calculate, train and score windows: what each takes and gives, as tables that the readers, the
//! operators and docs/models/ALGORITHMS.md go by.

mod calculate;
mod document;
mod learn;
mod settings;
mod vectors;

pub use document::algorithms_document;
pub use settings::{Setting, Settings};
pub use vectors::WordVectors;

pub(crate) use calculate::CALCULATE;
pub(crate) use learn::LEARN;

/// Which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are the names of project files; the table says what each does")]
pub enum AlgorithmKind {
    Correlation,
    Mrr,
    FitStat,
    Stft,
    Cepstrum,
    SegmentedCorrelation,
    LagMonitor,
    Histogram,
    DistributionFitting,
    ChangeDetection,
    Roc,
    Tokenization,
    Tfidf,
    TextVectorization,
    Sst,
    Kmeans,
    Dbscan,
    LinearRegression,
    LogisticRegression,
    Svm,
}

/// What an algorithm takes and gives.
#[derive(Debug)]
pub struct Algorithm {
    /// Name in project files; case does not matter.
    pub name: &'static str,
    /// Which one it is.
    pub kind: AlgorithmKind,
    /// What it does, and what was decided where the original is not documented.
    pub about: &'static str,
    /// True when each event gives one; otherwise it gives any number of them.
    pub one_for_one: bool,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Parameters that must stand in an order.
    pub orders: &'static [Order],
    /// Roles of the input map.
    pub inputs: &'static [Input],
    /// Results of the output map (of a train window: those of the score window that uses its models).
    pub outputs: &'static [Output],
}

/// A parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Name in project files.
    pub name: &'static str,
    /// What it can be, and what it is when it is not given.
    pub domain: Domain,
    /// What it means.
    pub about: &'static str,
}

/// The values of a parameter.
#[derive(Debug)]
pub enum Domain {
    /// A whole number.
    Count {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Value when it is not given.
        default: i64,
    },
    /// A number.
    Real {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// Value when it is not given.
        default: f64,
    },
    /// Yes or no.
    Flag {
        /// Value when it is not given.
        default: bool,
    },
    /// One of several names.
    Choice {
        /// The names.
        names: &'static [&'static str],
        /// Value when it is not given.
        default: &'static str,
    },
    /// Any text.
    Text {
        /// Value when it is not given.
        default: &'static str,
    },
    /// The name of a file of word vectors, which travels in the project; it must be given.
    Vectors,
    /// Numbers from 0 to 1, with commas between them.
    Shares {
        /// Value when it is not given.
        default: &'static [f64],
    },
}

/// Two whole-number parameters of which the first must not be larger.
#[derive(Debug)]
pub struct Order {
    /// The smaller one.
    pub low: &'static str,
    /// The larger one.
    pub high: &'static str,
    /// True when they must differ.
    pub strict: bool,
    /// True when 0 as the larger one means that it is not given.
    pub open: bool,
}

/// A role of an input map.
#[derive(Debug)]
pub struct Input {
    /// Name in project files.
    pub name: &'static str,
    /// Which fields can play it.
    pub ty: InputType,
    /// True when several fields can.
    pub many: bool,
    /// True when a field must.
    pub required: bool,
}

/// Which fields can play a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// int32, int64, double, money.
    Number,
    /// string.
    Text,
    /// Every type.
    Any,
}

/// A result of an output map.
#[derive(Debug)]
pub struct Output {
    /// Name in project files.
    pub name: &'static str,
    /// Which fields can take it.
    pub ty: OutputType,
    /// True when it can be a part of the key.
    pub key: bool,
}

/// Which fields can take a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// int32, int64, double, money.
    Number,
    /// string.
    Text,
    /// One array(dbl) field, or a number field for each element.
    List,
    /// A field of the type of the one that plays this role (position among the inputs).
    Same(usize),
}

/// Longest window of events that an algorithm looks back at.
const LENGTH_MAX: i64 = 1_000_000;

const fn count(name: &'static str, (min, max): (i64, i64), default: i64, about: &'static str) -> Parameter {
    Parameter { name, domain: Domain::Count { min, max, default }, about }
}

const fn real(name: &'static str, (min, max): (f64, f64), default: f64, about: &'static str) -> Parameter {
    Parameter { name, domain: Domain::Real { min, max, default }, about }
}

const fn flag(name: &'static str, default: bool, about: &'static str) -> Parameter {
    Parameter { name, domain: Domain::Flag { default }, about }
}

const fn choice(
    name: &'static str,
    names: &'static [&'static str],
    default: &'static str,
    about: &'static str,
) -> Parameter {
    Parameter { name, domain: Domain::Choice { names, default }, about }
}

const fn input(name: &'static str, ty: InputType) -> Input {
    Input { name, ty, many: false, required: true }
}

const fn inputs(name: &'static str) -> Input {
    Input { name, ty: InputType::Number, many: true, required: true }
}

/// A field whose value comes out again beside the results.
const fn tag(name: &'static str) -> Input {
    Input { name, ty: InputType::Any, many: false, required: false }
}

const fn number(name: &'static str) -> Output {
    Output { name, ty: OutputType::Number, key: false }
}

const fn list(name: &'static str) -> Output {
    Output { name, ty: OutputType::List, key: false }
}

const fn key(name: &'static str, ty: OutputType) -> Output {
    Output { name, ty, key: true }
}
