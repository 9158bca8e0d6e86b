//! docs/MODELS.md: one table of every element, written from the grammar, and of every function, from the compilers.

use std::fmt::Write;

use crate::grammar::{COMMON, KINDS, Known, MISSING, PARTS};

/// Elements around windows, and what is done with them.
const AROUND: [Known; 23] = [
    ("engine", "root with one project; ports and http-servers are those of the mesh, not of the file"),
    ("project", "root; threads and use-tagged-token change nothing: every project runs as with tagged tokens on"),
    ("contqueries, contquery", "several queries run side by side; a bare contquery is a root too"),
    ("template", "root; required-parameter-map gives the properties"),
    ("properties, property", "`@NAME@` in every text and attribute: of the project, then of the deployment"),
    ("edges, edge", "any order, lists of names, roles, slots"),
    ("schema, fields, field, schema-string", "all types; copy, copy-keys; inherited where the original does"),
    (
        "connectors, connector",
        "engines run kafka, fs (publish: files of csv, json, xml, plain or .gz, growing, rotated and several ones and sockets of csv; subscribe: files, one or by size and time, and sockets of csv, json) timer and lua (publish) connectors: those that are no topics on the active only, exactly once across takeovers (PROTOCOL.md); `espctl project run` reads and writes fs files, and sockets named host:port, of csv, json and xml; other classes and formats are reported with the reason",
    ),
    (
        "project-connectors",
        "engines start a group when every connector of the groups before it is `running`, or `finished`: all that it sent is applied by a commit, whoever leads next; kafka connectors start at once; `espctl project run` reads one connector after the other: those in no group, then group by group",
    ),
    ("lua-modules, lua-module", "`require` in every Lua script of the project; code may be a `file`"),
    (
        "files, file",
        "not in the original: files that the project names (`<code file=...>`, the `code` of a custom window, word vectors) \
         travel in it, so that every engine reads the same; espctl takes those along that lie beside the project or where \
         their names say (ESP_PROJECT_HOME is the project's folder)",
    ),
    ("lua-snippets, lua-snippet", "refused: their threads run beside the events, in no recorded order"),
    ("python-modules, python-snippets", "refused: Python does not run inside the engine"),
    ("mas-modules, mas-module", "refused: Python and DS2 do not run inside the engine"),
    ("mcp, tools", "refused: a tool's calls are not in the commit log"),
    ("ds-initialize", "refused: DS2 is a part of the original engine"),
    ("esp-routers", "refused: projects are joined by topics"),
    ("http-servers", "read, without effect: the gateway serves REST"),
    ("splitter-expr, splitter-lua", "on every window; the slot of each event"),
    ("splitter-plug, plugin, field-plug, context-plugin", "refused: plug-ins are binary parts of the original engine"),
    (
        "expr-initialize, initializer, udfs, udf",
        "filter, compute, join, aggregate, splitter; in an aggregate the arguments of functions have variables of their own",
    ),
    ("retention", "source and copy, all five types, by the recorded clock or a field"),
    ("description, metadata, meta, layout", "read, without effect"),
];

/// docs/MODELS.md.
pub fn models_document() -> String {
    let mut text = String::from(
        "# What of a model runs\n\nEvery element of a project and every function: supported, how it differs, or why not. \
         Written from the code; `UPDATE_EXPECT=1 cargo test -p mesh-model --test documents` writes it anew, and a test \
         fails when it is stale. What stands in no table is reported as unknown, with line and column. Attributes and \
         parts of each window: [models/WINDOWS.md](models/WINDOWS.md). What a project depends on beside its events: \
         `espctl project check`.\n",
    );
    let row = |text: &mut String, name: &str, about: &str| {
        writeln!(text, "| {name} | {about} |").expect("a string takes all that is written");
    };
    let section = |text: &mut String, title: &str, first: &str| {
        write!(text, "\n## {title}\n\n| {first} | what is done |\n|---|---|\n")
            .expect("a string takes all that is written");
    };
    section(&mut text, "Elements around windows", "element");
    for (name, about) in AROUND {
        let names: Vec<String> = name.split(", ").map(|name| format!("`{name}`")).collect();
        row(&mut text, &names.join(", "), about);
    }
    section(&mut text, "Windows", "window");
    for kind in KINDS {
        row(&mut text, &format!("`{}`", kind.element), &format!("runs. {}", kind.about));
    }
    for kind in MISSING {
        row(&mut text, &format!("`{}`", kind.element), &format!("refused: {}; {}", kind.because, kind.way_out));
    }
    section(&mut text, "On every window", "attribute or part");
    COMMON.iter().for_each(|(name, about)| row(&mut text, &format!("`@{name}`"), about));
    PARTS.iter().for_each(|(name, about)| row(&mut text, &format!("`<{name}>`"), about));
    let functions = mesh_expr::reference();
    for line in functions.lines().skip_while(|line| !line.starts_with("A function gives")) {
        text.push_str(if line.starts_with("A function gives") { "\n## Expressions and functions\n\n" } else { "" });
        text.push_str(if line.starts_with('#') { "#" } else { "" });
        text.push_str(line);
        text.push('\n');
    }
    text
}
