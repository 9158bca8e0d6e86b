//! Every window element with its attributes and parts: what is done with each. The readers ask here what is known;
//! docs/models/WINDOWS.md is written from here.

use std::fmt::Write;

/// A name and what is done with it.
pub(crate) type Known = (&'static str, &'static str);

/// A kind of window that runs.
pub(crate) struct Kind {
    pub element: &'static str,
    /// What it does, and where it differs from the original.
    pub about: &'static str,
    /// Its attributes beside [`COMMON`].
    pub attributes: &'static [Known],
    /// Its parts beside [`PARTS`].
    pub parts: &'static [Known],
}

/// A kind of window that exists but cannot run here.
pub(crate) struct Missing {
    pub element: &'static str,
    pub because: &'static str,
    pub way_out: &'static str,
}

/// Attributes of every window.
pub(crate) const COMMON: [Known; 11] = [
    ("name", "unique in the query; letters, digits, `_`, `-`"),
    (
        "index",
        "pi_EMPTY keeps nothing; pi_RBTREE and the hash types keep rows by key; the level-DB types keep them in memory, with a warning",
    ),
    ("pubsub", "with the project's pubsub=\"manual\": whether the window can be published and subscribed"),
    ("pubsub-index", "accepted, changes nothing: there are no snapshots for subscribers"),
    ("output-insert-only", "updates leave as inserts of the new row, deletes do not leave"),
    ("collapse-updates", "an update block leaves as one update"),
    ("pulse-interval", "output is held and leaves at the first tick that is an interval after the last"),
    (
        "exp-max-string",
        "most bytes of a text that an expression gives; longer ones are cut; default 1024, 0: any number",
    ),
    ("id", "metadata"),
    ("layout", "metadata"),
    ("queue-height", "accepted, changes nothing: Kafka is the queue"),
];

/// Parts of every window.
pub(crate) const PARTS: [Known; 7] = [
    ("schema", "fields, or copy= another window's, copy-keys; derived windows inherit where the original does"),
    ("schema-string", "`id*:int64,name:string`, inside `schema` or in its place"),
    ("connectors", "kafka, fs, timer and lua connectors are run by engines, others are reported"),
    ("splitter-expr", "the slot of each event; negative: all slots, null: edges without a slot"),
    ("splitter-plug", "refused: plug-ins are binary"),
    ("splitter-lua", "function, use, code: the slot of each event, as for splitter-expr"),
    ("description", "metadata"),
];

/// The kinds that run.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        element: "window-source",
        about: "Entry of events. Opcode algebra with an index; without, events pass as they are. A null key is a bad event.",
        attributes: &[
            ("insert-only", "anything but inserts (and upserts, which become inserts) is a bad event"),
            ("autogen-key", "int64: a counter from 0; string: a UUID made of project, window and number"),
        ],
        parts: &[("retention", "all five types, by the recorded clock or by a date or stamp field")],
    },
    Kind {
        element: "window-copy",
        about: "Passes events on and keeps rows. An update renews the age of a row.",
        attributes: &[],
        parts: &[("retention", "as in window-source")],
    },
    Kind {
        element: "window-filter",
        about: "Rows for which the expression is true. With an index a delete passes when its row did, and carries it.",
        attributes: &[
            ("func", "the function of code; default `filter`"),
            ("init", "called once before the first event"),
        ],
        parts: &[
            ("expression", "EEL"),
            ("expr-initialize", "see the expression language"),
            ("code", "Lua, in the place of an expression; Python is refused"),
            ("use", "the fields that the function gets; all without"),
            ("plugin", "refused: plug-ins are binary"),
        ],
    },
    Kind {
        element: "window-compute",
        about: "Copies keys, computes the other fields, one event for one; both halves of an update are computed.",
        attributes: &[],
        parts: &[
            ("output", "one field-expr for each non-key field, in schema order; field-plug is refused"),
            ("expr-initialize", "see the expression language"),
            ("context-plugin", "refused: plug-ins are binary"),
        ],
    },
    Kind {
        element: "window-functional",
        about: "Functions, copies of same-named fields; see the function families. Inputs may have different schemas: what one \
                lacks and another has is null.",
        attributes: &[("produces-only-inserts", "every event leaves as an insert")],
        parts: &[
            ("function-context", "properties and functions"),
            ("event-loops", "see the function families"),
            ("generate", "see the function families"),
            ("opcode", "see the function families"),
        ],
    },
    Kind {
        element: "window-lua",
        about: "Events made by a Lua function of (event, context); one without parameters finds them in `data` and `context`. \
                Inputs may have different schemas; `context.input` names the window an event comes from. It returns a table (one event), a list (several), or \
                nil (none); what it does not set is copied where `copy` says so, else null. `_opcode` (insert, update, \
                upsert, delete, safedelete) and `_flags` can be read and set; without, those of the input, an update \
                block counts as an update. Scripts are sandboxed: no files, no processes; the clock is the recorded one \
                in UTC, random numbers and GUIDs are seeded; a call ends after 10 million instructions, a script holds at \
                most 64 MiB. Globals, locals of the outermost block and `context` are state. An error drops the event's \
                result, is counted, and goes to the log with its line.",
        attributes: &[
            ("events", "the function; default `create`"),
            ("init", "called once before the first event"),
            (
                "heartbeat",
                "a function of (context) that is called at every heartbeat of the recorded clock and may return events",
            ),
            ("require", "modules of the project; all modules can be required"),
            ("process-blocks", "both halves of an update block are handed over"),
        ],
        parts: &[
            (
                "code",
                "Lua 5.4 in the project, or with `file` in a file that travels in it (`<files>`); a snippet is refused",
            ),
            ("copy", "the fields that are copied from the input: all, a list, or all but a list (exclude)"),
            (
                "use",
                "the fields that the function gets; all without; with expand=\"true\" as parameters of their own in this \
                 order, the context behind them",
            ),
        ],
    },
    Kind {
        element: "window-custom",
        about: "A Lua window whose script is a file, which travels in the project (`<files>`): `create(data, context)` makes \
                events, `init(settings)` and `heartbeat(context)` are called where the script has them. `data` has the \
                names of the input map (without one, those of the fields); a table that it gives back has those of the \
                output map or of the fields. Keys that it does not set are copied. Of `_espconfig_` the settings \
                expand_parms and process_blocks, the order of inputVariables and the defaults of initialization are heeded.",
        attributes: &[("type", "metadata"), ("version", "metadata")],
        parts: &[("plugin", "code (the file; Python is refused) with input-map, output-map, initialization")],
    },
    Kind {
        element: "window-calculate",
        about: "Algorithm Summary, and those of ALGORITHMS.md.",
        attributes: &[("algorithm", "its name"), ("produces-only-inserts", "accepted, changes nothing")],
        parts: &[
            ("parameters", "Summary: windowLength; 0 = since the start"),
            ("input-map", "Summary: input"),
            (
                "output-map",
                "Summary: nOut nmissOut minOut maxOut sumOut meanOut stdOut varOut cssOut ussOut stderrOut cvOut",
            ),
            ("mas-map", "refused: MAS modules are scripts"),
        ],
    },
    Kind {
        element: "window-train",
        about: "Learns from inserts and upserts and puts out a model every so many of them, as an insert: modelId (from 1), \
                algorithm, events, shape, numbers. See ALGORITHMS.md.",
        attributes: &[("algorithm", "KMEANS, DBSCAN, LinearRegression, LogisticRegression, SVM")],
        parts: &[("parameters", "see the algorithm"), ("input-map", "inputs, and response where there is one")],
    },
    Kind {
        element: "window-score",
        about: "Every event with what the newest models say of it, by its own opcode; null before the first model. Edges with \
                the role model, and those from train windows, bring models; of one event\'s effects a model goes first.",
        attributes: &[],
        parts: &[(
            "models",
            "online@algorithm with input-map and output-map, one for each algorithm; offline is refused",
        )],
    },
    Kind {
        element: "window-union",
        about: "Streams of one schema as one, event by event. Without an index events pass.",
        attributes: &[(
            "strict",
            "default true: the opcode algebra; false: inserts are upserts, deletes are safe deletes",
        )],
        parts: &[],
    },
    Kind {
        element: "window-aggregate",
        about: "One row for each value of the key fields: Insert, then update blocks, then Delete. One event for each changed \
                group and input event; an update that moves a row changes the new group first, then the old one. All \
                functions of the original are there; Timed forms of Sum, Ave, Count, Max, Min, Std, CountDistinct, \
                CountNull, CountNonNull, Mode. Nulls are ignored; the sum of none is null; Mode gives the smallest of \
                several; arguments may be expressions.",
        attributes: &[],
        parts: &[
            ("output", "one field-expr for each non-key field, in schema order; field-plug is refused"),
            ("expr-initialize", "see the expression language"),
        ],
    },
    Kind {
        element: "window-join",
        about: "Four kinds, m:1, 1:m, 1:1 and m:n; full outer only on the whole keys of both sides. For each event the lookup \
                side goes first. Null equals nothing. Key: the fact's, or both keys (same names get `l_` and `r_`) when \
                neither side is matched on its whole key. Regeneration in the order in which the facts came.",
        attributes: &[],
        parts: &[
            (
                "join",
                "type, no-regenerates; left-index or right-index pi_EMPTY of the fact side means no-regenerates; \
                 use-secondary-index is always on",
            ),
            ("output", "field-selection, field-expr with l_ and r_, left-select, right-select; field-plug is refused"),
            ("expr-initialize", "see the expression language"),
        ],
    },
    Kind {
        element: "window-pattern",
        about: "Every operator of the logic. Inserts and upserts only; everything else is a bad event. Key: int64 from 0, or a \
                UUID. `is` and `not` look at the next event of the partition. Without time fields the recorded clock counts.",
        attributes: &[],
        parts: &[(
            "patterns",
            "pattern@name,index,active with events or lua-events and code, logic, output, timefields (date or stamp); \
             python-events are refused. A function of an event in Lua gets (event, context); a table that it gives beside \
             true goes into context.data, and context.events holds the events so far. code@output names the function \
             that makes what goes out of the context",
        )],
    },
    Kind {
        element: "window-geofence",
        about: "Positions and the geometries that hold them: circles and polygons, geographic or cartesian. Geometries follow \
                the opcode algebra leniently (an insert of a known one replaces it); they change nothing that went out. \
                Old halves of updates and deletes are looked up among the geometries of now.",
        attributes: &[],
        parts: &[
            (
                "geofence",
                "coordinate-type, output-multiple-results, output-sorted-results, polygon-compute-distance-to, \
                 proximity-analysis; mesh settings, log-invalid-geometry and strict-projection change nothing",
            ),
            ("geometry", "all attributes; one point is a circle, three or more are a polygon"),
            ("position", "x-fieldname, y-fieldname, lookupdistance"),
            ("output", "all attributes"),
        ],
    },
    Kind {
        element: "window-remove-state",
        about: "Every event as an insert under `eventNumber` (from 1, first field); an update is two events.",
        attributes: &[
            ("remove", "updates deletes retentionUpdates retentionDeletes updateBlockDeletes"),
            ("add-log-fields", "originalOC and originalFL as last fields"),
        ],
        parts: &[],
    },
    Kind {
        element: "window-counter",
        about: "input, totalCount, totalSeconds, totalRate, intervalCount, intervalSeconds, intervalRate by the recorded \
                clock; every event counts, both halves of an update too.",
        attributes: &[
            ("count-interval", "reports at the first tick that is an interval after the last; without: for each event"),
            ("clear-interval", "totals start anew at the first tick that is an interval after the last start"),
        ],
        parts: &[],
    },
    Kind {
        element: "window-transpose",
        about: "Columns are named `<tag>_<value>`. Wide: one output for each input with a listed tag, deletes put nothing out.",
        attributes: &[
            ("mode", "wide or long"),
            ("tag-name", "the field with the tag"),
            ("tag-values", "the values of a tag"),
            ("tags-included", "the tags; others are dropped"),
            ("group-by", "wide: rows of a group share their values; without, all do"),
            ("clear-timeout", "wide: a group is forgotten so long after its last event, at a tick"),
        ],
        parts: &[],
    },
    Kind {
        element: "window-notification",
        about: "Messages as events: each event but a delete may give one for each channel, as an insert of `message` (from \
                1), channel, type, sender, recipients, subject, from, to, contents (a JSON array of type, name, content) \
                and test. They are committed once, like every output. The engine that leads sends them from the window's \
                output topic, by SMTP (email, sms, mms) or an HTTP POST (webhook), where its notification_addresses permit \
                it: each once, but for the one that a kill leaves in doubt (PROTOCOL.md); those with test=\"true\" nobody. The \
                schema and its functions serve the templates: `$field` is the field's text.",
        attributes: &[],
        parts: &[
            (
                "smtp",
                "host, port (25), user of the mail server; engines may have another (smtp_server). A password in it is not \
                 read: it is in a file of the engines (smtp_password_file)",
            ),
            ("function-context", "properties and functions, as in window-functional"),
            (
                "delivery-channels",
                "email, sms, mms (recipients phone@gateway), and webhook (webhook-info/url, webhook-contents): name, test, \
                 throttle-interval (one message to the same recipients in that time, by the recorded clock; at most 100,000 recipients are remembered), \
                 unresolved-text, deliver (a function; without, every event)",
            ),
        ],
    },
    Kind {
        element: "window-object-tracker",
        about: "Each event is a frame with its detections; a delete is none. Boxes that overlap from frame to frame are one \
                track (the IOU method): older tracks choose first, each the detection that overlaps it most, by iou-sigma, \
                then those left by iou-sigma2; what is left of the detections opens tracks, numbered from 1. A track goes \
                out from the frame on in which a detection of it reached score-sigma-high, and ends after max-track-lives \
                frames without one. Fields of the input that are no detections are copied. Then come `Object_density` (the \
                number of objects) and, wide, for each object `Object<n>_id`, `_label`, `_score`, `_x`, `_y`, `_w`, `_h`, \
                `_center_x`, `_center_y`, `_track_x`, `_track_y`, and with velocity-vector `_vvect_x`, `_vvect_y`; array, \
                `Object_id` and so on as arrays, labels as one text, `Object_track_count`; long, one event for each object \
                with `Object_id` as a further key.",
        attributes: &[],
        parts: &[
            (
                "tracker",
                "method (iou; bytetrack is refused), score-sigma-low, score-sigma-high, iou-sigma, iou-sigma2, \
                 iou-sigma-dup (a detection that overlaps a track so much opens none), max-track-lives, min-track-length \
                 (a shorter track ends with its first frame without a detection), track-retention (positions that go out; \
                 0: all, at most 10000), velocity-vector-frames (mean step over so many frames)",
            ),
            (
                "output",
                "mode (wide, array, long), tracks, prefix, velocity-vector, newborn-tracks, scored-tracks (false: tracks \
                 without a detection in this frame too), scale-x, scale-y; keypoints are refused",
            ),
            (
                "input",
                "count, score, label, label-separator, coord-type (rect, yolo, coco) and x, y, width, height (coco: also \
                 x-min, y-min, x-max, y-max): a field for each detection (`%` is its number, from 0), or one array; \
                 attributes changes nothing",
            ),
        ],
    },
];

macro_rules! missing {
    ($($element:literal: $because:literal, $way_out:literal;)*) => {
        &[$(Missing { element: $element, because: $because, way_out: $way_out }),*]
    };
}

/// The kinds that do not run.
pub(crate) const MISSING: &[Missing] = missing! {
    "window-python": "Python does not run inside the engine", "write the step in a Lua window, or with EEL in a compute or filter window";
    "window-model-reader": "its models are files in formats of the original engine",
        "train in the project with window-train, or score outside and publish the result";
    "window-model-supervisor": "it hands on model files of the original engine",
        "lead an edge with role=\"model\" from window-train to window-score";
    "window-procedural": "plug-ins and DS2 programs are binary parts of the original engine",
        "write the step with EEL in a compute window";
    "window-statedb-writer": "an outside store is no part of the replicated state", "write from a subscriber adapter";
    "window-statedb-reader": "an outside store is no part of the replicated state", "publish the looked-up values";
    "window-text-category": "SAS text analytics are not open", "analyse outside and publish the result";
    "window-text-context": "SAS text analytics are not open", "analyse outside and publish the result";
    "window-text-sentiment": "SAS text analytics are not open", "analyse outside and publish the result";
    "window-textcategory": "SAS text analytics are not open", "analyse outside and publish the result";
    "window-textcontext": "SAS text analytics are not open", "analyse outside and publish the result";
    "window-textsentiment": "SAS text analytics are not open", "analyse outside and publish the result";
    "window-texttopic": "SAS text analytics are not open", "analyse outside and publish the result";
};

/// The kind of an element.
pub(crate) fn kind_of(element: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.element == element)
}

/// docs/models/WINDOWS.md: a table of every window element, attribute and part.
pub fn windows_document() -> String {
    let mut text = String::from(
        "# Windows\n\nWhat is done with every window element of a project, its attributes and its parts. Written from \
         `crates/model/src/grammar.rs`; a test compares (`UPDATE_EXPECT=1 cargo test -p mesh-model` rewrites). What is \
         not listed is reported as unknown, with line and column; what is refused is an error that says why and names \
         a way out.\n\nTime is the recorded clock: that of the last tick in the commit log. Every window saves and \
         restores its state.\n\n## Every window\n\n| name | what is done |\n|---|---|\n",
    );
    let row = |text: &mut String, name: String, about: &str| {
        writeln!(text, "| {name} | {about} |").expect("a string takes all that is written");
    };
    for (name, about) in COMMON {
        row(&mut text, format!("`@{name}`"), about);
    }
    for (name, about) in PARTS {
        row(&mut text, format!("`<{name}>`"), about);
    }
    for kind in KINDS {
        write!(text, "\n## {}\n\n{}\n", kind.element, kind.about).expect("a string takes all that is written");
        if !kind.attributes.is_empty() || !kind.parts.is_empty() {
            text.push_str("\n| name | what is done |\n|---|---|\n");
        }
        kind.attributes.iter().for_each(|(name, about)| row(&mut text, format!("`@{name}`"), about));
        kind.parts.iter().for_each(|(name, about)| row(&mut text, format!("`<{name}>`"), about));
    }
    crate::kafka::document(&mut text);
    text.push_str("\n## Refused\n\n| window | because | way out |\n|---|---|---|\n");
    for Missing { element, because, way_out } in MISSING {
        row(&mut text, format!("`{element}`"), &format!("{because} | {way_out}"));
    }
    text
}
