//! Where the events of windows go: standard output, or files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use mesh_adapter::FsType;
use mesh_connector::subscribe::shape;
use mesh_event::Block;
use mesh_event::csv::{CsvEncoder, CsvHeader, CsvOutOptions, DateFormat};
use mesh_model::{Connector, Direction, Endpoint, Project};
use serde::Serialize;

use crate::commands::decode;
use crate::fail::Fail;
use crate::out;

/// Where the events of a window go.
pub(super) struct Sink {
    pub window: String,
    /// Several windows share standard output: each line says whose it is.
    pub named: bool,
    pub json: bool,
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
        if self.json {
            for row in 0..block.len() {
                let line = Line { window: &self.window, event: decode::event(block, row) };
                serde_json::to_writer(&mut self.text, &line)
                    .map_err(|error| Fail::fault(format!("an event of `{}` as JSON: {error}", self.window)))?;
                self.text.push(b'\n');
            }
        } else {
            self.encoder.encode(block, &mut self.text);
        }
        let written = if self.named && !self.json {
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
            let format =
                [FsType::Csv, FsType::Json].into_iter().find(|ty| fstype.eq_ignore_ascii_case(&ty.to_string()));
            let format = format.ok_or_else(|| wrong(&format!("fstype is `{fstype}`, expected csv or json")))?;
            let date_format = connector.property("dateformat").map(DateFormat::new).transpose();
            let header = match connector.property("header") {
                Some("full") => CsvHeader::Full,
                Some("true" | "1") => CsvHeader::Names,
                _ => CsvHeader::None,
            };
            let date_format = date_format.map_err(|error| wrong(&error.to_string()))?;
            let options = CsvOutOptions { header, date_format, ..CsvOutOptions::default() };
            let created = File::create(Path::new(file));
            let to = created.map_err(|error| wrong(&format!("creating `{file}`: {error}; or give --output")))?;
            let [endpoint] = project.named(&name)[..] else { continue };
            out::note(&format!("{name}: to {file}"));
            let sink = Sink {
                window: name.clone(),
                named: false,
                json: format == FsType::Json,
                collapse: connector.is_on("collapse"),
                drop_retention_deletes: connector.is_on("rmretdel"),
                encoder: CsvEncoder::new(options).map_err(|error| Fail::fault(error.to_string()))?,
                to: Box::new(BufWriter::new(to)),
                text: Vec::new(),
            };
            sinks.push((endpoint, sink));
        }
    }
    // One window has one output; a second connector of a window would get nothing.
    for (at, (endpoint, _)) in sinks.iter().enumerate() {
        let same =
            |(other, _): &&(Endpoint<'_>, Sink)| (other.query, other.window) == (endpoint.query, endpoint.window);
        if sinks[..at].iter().any(|sink| same(&sink)) {
            let name = format!("{}/{}", endpoint.query, endpoint.window);
            return Err(Fail::input(format!("`{name}` has two fs subscribe connectors; set active=\"false\" on one")));
        }
    }
    Ok(sinks)
}
