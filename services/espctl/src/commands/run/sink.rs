//! Where the events of windows go: standard output, files, sockets.

use std::io::Write;

use mesh_adapter::FsType;
use mesh_connector::documents::json_value;
use mesh_connector::subscribe::shape;
use mesh_event::csv::{CsvEncoder, CsvHeader, CsvOutOptions, DateFormat};
use mesh_event::{Block, FieldType, Value};
use mesh_model::{Connector, Direction, Endpoint, Project};
use serde::Serialize;

use super::places;
use crate::commands::decode;
use crate::fail::Fail;
use crate::out;

/// Where the events of a window go.
pub(super) struct Sink {
    /// Which output of the executor.
    pub output: usize,
    pub window: String,
    /// Several windows share standard output: each line says whose it is.
    pub named: bool,
    pub format: FsType,
    /// How dates stand in XML; without, as numbers.
    pub date_format: Option<DateFormat>,
    /// Of a connector: update blocks become updates; deletes by retention are dropped.
    pub collapse: bool,
    pub drop_retention_deletes: bool,
    pub encoder: CsvEncoder,
    pub to: Box<dyn Write>,
    pub text: Vec<u8>,
}

/// An event as `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    window: &'a str,
    #[serde(flatten)]
    event: decode::Event,
}

impl Sink {
    pub fn write(&mut self, block: &Block) -> Result<(), Fail> {
        self.text.clear();
        let shaped;
        let block = if self.collapse || self.drop_retention_deletes {
            shaped = shape(block.clone(), self.collapse, self.drop_retention_deletes);
            &shaped
        } else {
            block
        };
        match self.format {
            FsType::Csv => self.encoder.encode(block, &mut self.text),
            FsType::Xml => self.xml(block),
            FsType::Json => {
                for row in 0..block.len() {
                    let line = Line { window: &self.window, event: decode::event(block, row) };
                    serde_json::to_writer(&mut self.text, &line)
                        .map_err(|error| Fail::fault(format!("an event of `{}` as JSON: {error}", self.window)))?;
                    self.text.push(b'\n');
                }
            }
        }
        let written = if self.named && self.format == FsType::Csv {
            let lines = self.text.split_inclusive(|&byte| byte == b'\n');
            lines.into_iter().try_for_each(|line| {
                self.to.write_all(self.window.as_bytes())?;
                self.to.write_all(b": ")?;
                self.to.write_all(line)
            })
        } else {
            self.to.write_all(&self.text)
        };
        written.map_err(|error| Fail::input(format!("write the events of `{}`: {error}", self.window)))
    }

    /// What stands before all events.
    fn begin(&mut self) -> std::io::Result<()> {
        if self.format == FsType::Xml { self.to.write_all(b"<events>\n") } else { Ok(()) }
    }

    /// What stands behind all events; everything is written out.
    pub fn end(&mut self) -> Result<(), Fail> {
        let last = if self.format == FsType::Xml { self.to.write_all(b"</events>\n") } else { Ok(()) };
        let done = last.and_then(|()| self.to.flush());
        done.map_err(|error| Fail::input(format!("write the events of `{}`: {error}", self.window)))
    }

    /// As public files have it: `<event><opcode>i</opcode><id key="true">1</id><name>a</name></event>`.
    fn xml(&mut self, block: &Block) {
        for row in 0..block.len() {
            let opcode = block.opcodes[row].letters().to_ascii_lowercase();
            let mut text = format!("<event><opcode>{opcode}</opcode>");
            for (field, value) in block.schema.fields().iter().zip(block.row(row)) {
                let Some(shown) = self.shown(field.ty, &value) else { continue };
                let key = if field.key { " key=\"true\"" } else { "" };
                text.push_str(&format!("<{name}{key}>{}</{name}>", escaped(&shown), name = field.name));
            }
            text.push_str("</event>\n");
            self.text.extend_from_slice(text.as_bytes());
        }
    }

    /// The text of a value; `None` for null.
    fn shown(&self, ty: FieldType, value: &Value) -> Option<String> {
        let micros = match (ty, value) {
            (FieldType::Date, Value::Date(seconds)) => seconds.checked_mul(1_000_000),
            (FieldType::Stamp, Value::Stamp(micros)) => Some(*micros),
            _ => None,
        };
        if let (Some(micros), Some(format)) = (micros, &self.date_format) {
            let mut text = Vec::new();
            if format.print(micros, &mut text) {
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
        }
        match json_value(value) {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Array(items) => {
                Some(format!("[{}]", items.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")))
            }
            other => Some(other.to_string()),
        }
    }
}

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The files that the project's own fs connectors write.
pub(super) fn connector_sinks(project: &Project) -> Result<Vec<(Endpoint<'_>, Sink)>, Fail> {
    let mut sinks = Vec::new();
    let windows = project.queries.iter().flat_map(|query| query.windows.iter().map(move |window| (query, window)));
    for (query, window) in windows {
        let subscribe = |c: &&Connector| c.active && c.direction == Direction::Subscribe && c.class == "fs";
        for connector in window.connectors.iter().filter(subscribe) {
            let name = format!("{}/{}", query.name, window.name);
            let Some(file) = connector.property("fsname") else { continue };
            let wrong = |what: &str| Fail::input(format!("connector {name}/{}: {what}", connector.name));
            let fstype = connector.property("fstype").unwrap_or("csv");
            let format = [FsType::Csv, FsType::Json, FsType::Xml];
            let format = format.into_iter().find(|ty| fstype.eq_ignore_ascii_case(&ty.to_string()));
            let format = format.ok_or_else(|| wrong(&format!("fstype is `{fstype}`, expected csv, json or xml")))?;
            let date_format = connector.property("dateformat").map(DateFormat::new).transpose();
            let header = match connector.property("header") {
                Some("full") => CsvHeader::Full,
                Some("true" | "1") => CsvHeader::Names,
                _ => CsvHeader::None,
            };
            let date_format = date_format.map_err(|error| wrong(&error.to_string()))?;
            let options = CsvOutOptions { header, date_format: date_format.clone(), ..CsvOutOptions::default() };
            let opened = places::create(file);
            let to = opened.map_err(|error| wrong(&format!("opening `{file}`: {error}; or give --output")))?;
            let [endpoint] = project.named(&name)[..] else { continue };
            out::note(&format!("{name}: to {file}"));
            let mut sink = Sink {
                output: 0,
                window: name.clone(),
                named: false,
                format,
                date_format,
                collapse: connector.is_on("collapse"),
                drop_retention_deletes: connector.is_on("rmretdel"),
                encoder: CsvEncoder::new(options).map_err(|error| Fail::fault(error.to_string()))?,
                to,
                text: Vec::new(),
            };
            sink.begin().map_err(|error| wrong(&format!("writing to `{file}`: {error}")))?;
            sinks.push((endpoint, sink));
        }
    }
    Ok(sinks)
}
