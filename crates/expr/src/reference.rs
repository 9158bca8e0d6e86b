//! The tables of docs/models/EXPRESSIONS.md, from the tables that the compilers use.

use std::fmt::Write;

use crate::functional::functions as functional_functions;
use crate::functions::{REFUSED, all};
use crate::object::{ARRAY_METHODS, REGEX_METHODS, Signature};
use crate::parser::{MAX_DEPTH, MAX_PROGRAM_BYTES};

/// Statements and operators: how they are written, what to know about them.
const LANGUAGE: &[(&str, &str)] = &[
    (
        "`integer n = 0`, `real`, `string`, `string(20)`, `boolean`, `date`",
        "one or more names after a type; a sized string is cut when it is assigned",
    ),
    ("`private`, `public`, `hidden` before a declaration", "read, without effect"),
    ("`static integer n = 0`", "set once, kept from event to event, part of snapshots"),
    (
        "`regex r`, `string array a`, `array of string a`",
        "objects, see below; `dq` objects are refused: they need the vendor's knowledge base",
    ),
    ("`name = value`", "only variables can be assigned, fields cannot"),
    ("`if c [then] s [else s]`, `else if`", "a condition that is null is false; any number but 0 is true"),
    ("`begin ... end`", ""),
    (
        "`while c s`, `for i = a to b [step n] s`, `break`, `continue`",
        "at most 1000000 rounds for one event, then the result is null and an error is counted",
    ),
    ("`goto label`, `label:`", "to a label of the same statements or of those around them"),
    ("`return x`", "the value of a program is what it returns, else its last expression, else what it assigned last"),
    ("`// ...`, `/* ... */`", ""),
    (
        "`\"x\"`, `'x'`, `1`, `1.5`, `1e3`, `true`, `false`, `null`, `#2010-02-12#`, `#2010-02-12 08:30:00#`",
        "texts have no escapes: use the other quote inside",
    ),
    ("`` `name` ``", "a name that is a keyword or has blanks"),
    (
        "`+ - * / %`",
        "integers stay integers except under `/`, which is real division; overflow and division by 0 make the result null and count an error",
    ),
    ("`&`", "joins texts; numbers become their shortest text"),
    ("`== != <> < <= > >=`", "a number with a text compares as numbers, a date with a text as dates; null gives null"),
    ("`not`, `and`, `or`", "three-valued; the right side raises no error where the left one decides"),
    ("precedence", "sign; `* / %`; `+ -`; `&`; comparisons; `not`; `and`; `or`"),
    ("date + number, date - number, date - date", "days; a date is a real number of days since 1899-12-30, UTC"),
    ("`ESP_OPCODE`, `ESP_FLAGS`", "`I U P D SD UB`; letters of `N P R`"),
    (
        "`initializer`",
        "runs once before the first event; its variables are shared by all programs of the window and are part of snapshots",
    ),
    ("`udf`", "called with any arguments, `parameter(n)` and `parameterstring(n)` inside; at most 16 calls deep"),
];

/// What to know about functions of the expression language, where it is not obvious or was decided here.
const NOTES: &[(&str, &str)] = &[
    ("today", "the recorded clock (the last tick), UTC; null before the first tick"),
    ("formatdate", "YYYY YY MMMM MMM MM DD hh mm ss ms; names of months are English"),
    ("todate", "texts as YYYY-MM-DD [hh:mm[:ss[.fff]]], or by a format as in formatdate"),
    ("round", "half away from zero; negative decimals round left of the point"),
    ("match_string", "`*` at the start and the end only, `?` any one character, `\\` takes the next one literally"),
    ("instr", "counts characters from 1, 0: none"),
    ("isblank", "true for null"),
    ("inlist", "compares as `==` does"),
    ("vareval", "the name must be a constant"),
    ("print", "a line in the engine's log, at most 100 between two blocks"),
    ("raiseerror", "the result is null, an error is counted, the text goes to the log"),
    ("parse", "the parts between any of the delimiters into string variables; gives their number"),
    ("aparse", "the same into a string array"),
    ("parameter", "in user functions; a real number"),
    ("parameterstring", "in user functions"),
    ("trim", "both ends"),
    ("min", "null when any argument is null"),
    ("max", "null when any argument is null"),
];

/// The reference of expressions and functions as Markdown.
pub fn reference() -> String {
    let mut out = String::new();
    let written = write_reference(&mut out);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    out
}

fn write_reference(out: &mut String) -> std::fmt::Result {
    writeln!(out, "# Expressions and functions\n")?;
    writeln!(
        out,
        "Made from the compilers' own tables; `UPDATE_EXPECT=1 cargo test -p mesh-expr --test reference` writes it anew.\n\n\
         A function gives null when an argument is null, unless something else is said. An error at run time makes the \
         result null, is counted, and never stops the engine. Programs have at most {} KiB and {MAX_DEPTH} levels.\n",
        MAX_PROGRAM_BYTES / 1024
    )?;
    writeln!(out, "## The expression language (filter, compute, join, pattern, splitter)\n")?;
    writeln!(out, "| form | supported, notes |\n|---|---|")?;
    for (form, note) in LANGUAGE {
        writeln!(out, "| {form} | {} |", if note.is_empty() { "yes" } else { note })?;
    }
    writeln!(
        out,
        "\n## Functions of the expression language (case-free)\n\n| function | supported, notes |\n|---|---|"
    )?;
    for function in all() {
        let note = NOTES.iter().find(|(name, _)| *name == function.name).map_or("yes", |(_, note)| note);
        writeln!(out, "| `{}` | {note} |", function.usage)?;
    }
    for (name, why, way_out) in REFUSED {
        writeln!(out, "| `{name}` | not supported: {why}; {way_out} |")?;
    }
    writeln!(out, "\n| method | of |\n|---|---|")?;
    methods(out, "regex (Perl-compatible; positions count characters from 1)", &REGEX_METHODS)?;
    methods(out, "array (indexes count from 1)", &ARRAY_METHODS)?;
    writeln!(out, "\n## Functions of functional windows")?;
    let mut family = "";
    for entry in functional_functions() {
        if entry.family != family {
            family = entry.family;
            writeln!(out, "\n### {family}\n\n| function | supported, notes |\n|---|---|")?;
        }
        let nulls = if entry.takes_nulls && entry.note.is_empty() { "takes nulls" } else { "yes" };
        writeln!(out, "| `{}` | {} |", entry.usage, if entry.note.is_empty() { nulls } else { entry.note })?;
    }
    Ok(())
}

fn methods(out: &mut String, of: &str, methods: &[Signature]) -> std::fmt::Result {
    for (name, _, required, params) in methods {
        let args = match (required, params.len()) {
            (a, b) if *a == b => a.to_string(),
            (a, b) => format!("{a} to {b}"),
        };
        writeln!(out, "| `{name}` ({args} arguments) | {of} |")?;
    }
    Ok(())
}
