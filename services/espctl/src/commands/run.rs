//! `espctl project run`: a project over files, in this process, without any service.
//!
//! `bad`: the file of bad events; `places`: files and sockets; `properties`: what `@NAME@` stands for; `sink`: where events go.

mod bad;
mod places;
pub(super) mod properties;
mod sink;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use mesh_adapter::{FsType, PublisherOptions};
use mesh_connector::{documents, order};
use mesh_event::csv::{CsvBlock, CsvDecoder, CsvEncoder, CsvHeader, CsvOutOptions};
use mesh_event::{Block, BlockKind};
use mesh_model::{Connector, Direction, Endpoint, Project, parse_project};
use mesh_windows::{Executor, OutputBlock};
use serde_json::json;

use crate::cli::RunProject;
use crate::commands::{files, project};
use crate::fail::Fail;
use crate::out;
use bad::BadEvents;
use properties::{located, properties};
use sink::{Sink, connector_sinks};

/// Bytes read from a file at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// A JSON or XML document is read whole.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;
/// Blocks applied at a time.
const BLOCKS_MAX: usize = 64;
/// Bad events of one step that are told.
const BAD_EVENTS_TOLD: usize = 20;
/// The clock goes on at least this often while files are read.
const TICK_EVERY: Duration = Duration::from_millis(100);

/// A file for a source window.
struct Source {
    input: usize,
    options: PublisherOptions,
}

/// Runs the project.
pub fn run(arguments: &RunProject) -> Result<(), Fail> {
    let xml = files::project(&arguments.file, &arguments.property)?;
    let name = arguments.file.display().to_string();
    let properties = properties(&arguments.property, &xml, &arguments.file)?;
    let checked = parse_project(&xml, &name, &properties).map_err(|found| project::refused(&found))?;
    // What is not started here is told below, by name.
    let mut warnings = checked.warnings;
    warnings.0.retain(|warning| warning.id != "connector-not-started");
    if !warnings.is_empty() {
        out::note(&warnings.to_string());
    }
    let project = checked.project;
    let inputs = project.sources();
    let sources = sources(arguments, &project, &inputs)?;
    let (outputs, mut sinks) = sinks(arguments, &project)?;
    let bad_events = arguments.bad_events.as_deref().map(BadEvents::open).transpose()?;
    let mut runner = Runner::new(Executor::between(&project, &inputs, &outputs), arguments.clock, bad_events);
    let bar = progress_bar(&sources);
    let began = Instant::now();
    let mut events = 0;
    for source in &sources {
        for _ in 0..=source.options.repeats {
            events += runner.read(source, inputs[source.input], arguments.block, &bar, &mut sinks)?;
        }
    }
    runner.tick(&mut sinks)?;
    sinks.iter_mut().try_for_each(Sink::end)?;
    bar.finish_and_clear();
    report(&runner, events, began.elapsed());
    Ok(())
}

/// What happened, on standard error: standard output holds events alone.
fn report(runner: &Runner, events: u64, took: Duration) {
    let seconds = took.as_secs_f64().max(1e-9);
    let per_s = events as f64 / seconds;
    out::note(&format!("{events} events in, {} out, in {seconds:.3} s: {per_s:.0} events/s", runner.events_out));
    for (name, stats) in runner.executor.window_names().iter().zip(runner.executor.stats()) {
        if stats.bad_events + stats.expression_errors > 0 {
            out::warning(&format!(
                "window {name}: {} events could not be applied, {} expressions had no result",
                stats.bad_events, stats.expression_errors
            ));
        }
    }
    let result = json!({
        "name": "project_run", "events_in": events, "events_out": runner.events_out,
        "seconds": (seconds * 1e6).round() / 1e6, "events_per_s": per_s.round(),
    });
    out::note(&format!("RESULT {result}"));
}

/// The executor with its clock.
struct Runner {
    executor: Executor,
    fixed_clock: Option<i64>,
    ticked: Option<Instant>,
    outputs: Vec<OutputBlock>,
    events_out: u64,
    bad_events: Option<BadEvents>,
}

impl Runner {
    fn new(executor: Executor, fixed_clock: Option<i64>, bad_events: Option<BadEvents>) -> Runner {
        Runner { executor, fixed_clock, ticked: None, outputs: Vec::new(), events_out: 0, bad_events }
    }

    /// Moves the clock on, where it matters.
    fn tick(&mut self, sinks: &mut [Sink]) -> Result<(), Fail> {
        if !self.executor.needs_clock() || self.fixed_clock.is_some() && self.ticked.is_some() {
            return Ok(());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = self.fixed_clock.unwrap_or(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        let first = self.ticked.is_none();
        self.ticked = Some(Instant::now());
        if first || now > self.executor.clock_us() {
            self.executor.tick(now, &mut self.outputs);
        }
        self.write(sinks)
    }

    /// What expressions and scripts print goes to standard error: standard output holds events alone.
    fn tell(&mut self) -> Result<(), Fail> {
        let bad = self.executor.take_bad_events();
        let names = self.executor.window_names();
        match &mut self.bad_events {
            Some(file) => {
                bad.iter().try_for_each(|(window, event)| file.write(&names[*window], event.reason, &event.line))?;
            }
            None => {
                let told = bad.iter().take(BAD_EVENTS_TOLD);
                told.for_each(|(window, event)| out::note(&format!("{}: {event}", names[*window])));
            }
        }
        for (window, text) in self.executor.take_messages() {
            out::note(&format!("{}: {text}", self.executor.window_names()[window]));
        }
        Ok(())
    }

    fn read(
        &mut self,
        source: &Source,
        input: Endpoint<'_>,
        block: u32,
        bar: &ProgressBar,
        sinks: &mut [Sink],
    ) -> Result<u64, Fail> {
        let path = &source.options.common.fsname;
        let unreadable = |error: &dyn std::fmt::Display| {
            Fail::input(format!(
                "read `{path}` for window `{}`: {error}; expected {}, plain or .gz",
                input.window, source.options.common.fstype
            ))
        };
        let options = &source.options;
        let is_csv = options.common.fstype == FsType::Csv;
        let csv = if is_csv { options.csv_options() } else { documents::csv_options(options) };
        let mut decoder = CsvDecoder::new(input.schema.clone(), csv).map_err(|error| unreadable(&error))?;
        let file = bar.wrap_read(places::open(path).map_err(|error| unreadable(&error))?);
        let mut from: Box<dyn Read> =
            if path.ends_with(".gz") { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        if !is_csv {
            let lines = document(source, input, from).map_err(|error| unreadable(&error))?;
            from = Box::new(std::io::Cursor::new(lines));
        }
        let mut left = options.events_max.unwrap_or(u64::MAX);
        let rows = if source.options.block_events > 1 { source.options.block_events } else { block as usize };
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut events = 0;
        let mut blocks: Vec<Block> = Vec::new();
        loop {
            let read = from.read(&mut chunk).map_err(|error| unreadable(&error))?;
            let mut at = 0;
            loop {
                let take = |csv: CsvBlock| {
                    let mut block = csv.block;
                    if block.len() as u64 > left {
                        block = block.slice(0..left as usize);
                    }
                    left -= block.len() as u64;
                    if options.transactional {
                        block.kind = BlockKind::Transactional;
                    }
                    if !block.is_empty() {
                        blocks.push(block);
                    }
                };
                let done = decoder.decode(&chunk[at..read], read == 0, rows, BLOCKS_MAX, take);
                let bad = done.as_ref().err().map(ToString::to_string);
                events += blocks.iter().map(|block| block.len() as u64).sum::<u64>();
                if self.ticked.is_none_or(|ticked| ticked.elapsed() >= TICK_EVERY) {
                    self.tick(sinks)?;
                }
                self.executor.apply(source.input, &blocks, &mut self.outputs);
                blocks.clear();
                self.tell()?;
                self.write(sinks)?;
                if let Some(bad) = bad {
                    return Err(Fail::input(bad));
                }
                let Ok(done) = done else { break };
                at += done.consumed;
                if !done.more {
                    break;
                }
            }
            for error in decoder.take_errors() {
                out::warning(&error.to_string());
                if let Some(file) = &mut self.bad_events {
                    file.write(&format!("{}/{}", input.query, input.window), &error.to_string(), "")?;
                }
            }
            if read == 0 || left == 0 {
                return Ok(events);
            }
        }
    }

    fn write(&mut self, sinks: &mut [Sink]) -> Result<(), Fail> {
        for OutputBlock { output, block, .. } in self.outputs.drain(..) {
            self.events_out += block.len() as u64;
            for sink in sinks.iter_mut().filter(|sink| sink.output == output) {
                sink.write(&block)?;
            }
        }
        Ok(())
    }
}

/// The one window of that name.
fn window<'a>(project: &'a Project, name: &str) -> Result<Endpoint<'a>, Fail> {
    match project.named(name)[..] {
        [window] => Ok(window),
        [] => {
            let all = project.queries.iter().flat_map(|query| query.windows.iter().map(|window| window.name.as_str()));
            let all = all.collect::<Vec<_>>().join(", ");
            Err(Fail::input(format!("window `{name}`: the project has none of this name; it has {all}")))
        }
        _ => Err(Fail::input(format!("window `{name}`: several queries have one; say `query/{name}`"))),
    }
}

fn sources(arguments: &RunProject, project: &Project, inputs: &[Endpoint<'_>]) -> Result<Vec<Source>, Fail> {
    let mut sources = Vec::new();
    for text in &arguments.input {
        let Some((name, settings)) = text.split_once('=') else {
            return Err(Fail::input(format!("--input `{text}`: expected WINDOW=FILE[,KEY=VALUE...]")));
        };
        let wanted = window(project, name)?;
        let is_wanted = |input: &Endpoint<'_>| (input.query, input.window) == (wanted.query, wanted.window);
        let input = inputs.iter().position(is_wanted).ok_or_else(|| {
            let all = inputs.iter().map(|input| input.window).collect::<Vec<_>>().join(", ");
            Fail::input(format!("--input `{text}`: `{name}` is no source window; the source windows are {all}"))
        })?;
        sources.push(source(input, &inputs[input], &format!("fsname={settings}"))?);
    }
    if arguments.input.is_empty() {
        let mut places = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let window = &project.queries[input.query_index].windows[input.window_index];
            let publish = |c: &Connector| c.active && c.direction == Direction::Publish;
            for (at, connector) in window.connectors.iter().enumerate().filter(|(_, c)| publish(c)) {
                if connector.class == "fs" && connector.property("fsname").is_some() {
                    places.push((index, at));
                } else {
                    out::warning(&format!(
                        "connector {}/{}/{} of class {} is not started here; give --input {}=FILE for its events",
                        input.query, input.window, connector.name, connector.class, input.window
                    ));
                }
            }
        }
        for (index, at) in order::ordered(project, inputs, &places) {
            let input = &inputs[index];
            let connector = &project.queries[input.query_index].windows[input.window_index].connectors[at];
            let skipped = ["fsname", "type", "rate", "growinginputfile", "prebuffer", "snapshot"];
            let more = connector.properties.iter().filter(|(key, _)| !skipped.contains(&key.as_str()));
            let more: String = more.map(|(key, value)| format!(",{key}={}", quoted(value))).collect();
            let file = located(connector.property("fsname").unwrap_or_default(), &arguments.file);
            sources.push(source(index, input, &format!("fsname={}{more}", quoted(&file)))?);
        }
    }
    if sources.is_empty() {
        let all = inputs.iter().map(|input| input.window).collect::<Vec<_>>().join(", ");
        return Err(Fail::input(format!(
            "nothing to read: the project has no fs connector with a file; give --input WINDOW=FILE for {all}"
        )));
    }
    Ok(sources)
}

/// A value in a line of settings: commas separate.
fn quoted(value: &str) -> String {
    if value.contains(',') { format!("\"{value}\"") } else { value.to_owned() }
}

fn source(input: usize, to: &Endpoint<'_>, settings: &str) -> Result<Source, Fail> {
    let (query, window) = (to.query, to.window);
    let line = format!("type=pub,url=dfESP://localhost:1/project/{query}/{window},{settings}");
    let checked = PublisherOptions::from_line(&line).map_err(|error| Fail::input(error.to_string()))?;
    for warning in &checked.warnings {
        out::warning(&format!("{}: {}", warning.place, warning.message));
    }
    Ok(Source { input, options: checked.options })
}

/// A JSON or XML file as lines of CSV.
fn document(source: &Source, input: Endpoint<'_>, from: impl Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    from.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(format!("it is longer than {DOCUMENT_BYTES_MAX} bytes; split it, or convert it to CSV"));
    }
    let shape = documents::Shape::of(input.schema, &source.options);
    documents::lines(text, source.options.common.fstype, &shape)
}

fn sinks<'a>(arguments: &RunProject, project: &'a Project) -> Result<(Vec<Endpoint<'a>>, Vec<Sink>), Fail> {
    let files = if arguments.output.is_empty() { connector_sinks(project)? } else { Vec::new() };
    if !files.is_empty() {
        // Several connectors may write the events of one window.
        let (mut outputs, mut sinks): (Vec<Endpoint<'a>>, Vec<Sink>) = Default::default();
        for (endpoint, sink) in files {
            let same = |other: &Endpoint<'_>| (other.query, other.window) == (endpoint.query, endpoint.window);
            let output = outputs.iter().position(same).unwrap_or(outputs.len());
            if output == outputs.len() {
                outputs.push(endpoint);
            }
            sinks.push(Sink { output, ..sink });
        }
        return Ok((outputs, sinks));
    }
    let wanted: Vec<(Endpoint<'a>, Option<&str>)> = if arguments.output.is_empty() {
        project.outputs().into_iter().map(|window| (window, None)).collect()
    } else {
        let parts = arguments.output.iter().map(|text| match text.split_once('=') {
            Some((name, file)) => (name, Some(file)),
            None => (text.as_str(), None),
        });
        parts.map(|(name, file)| Ok((window(project, name)?, file))).collect::<Result<_, Fail>>()?
    };
    let shared = wanted.iter().filter(|(_, file)| file.is_none()).count() > 1;
    let mut sinks = Vec::with_capacity(wanted.len());
    for (output, (window, file)) in wanted.iter().enumerate() {
        let to: Box<dyn Write> = match file {
            None => Box::new(std::io::stdout()),
            Some(file) => Box::new(BufWriter::new(File::create(Path::new(file)).map_err(|error| {
                Fail::input(format!("--output {}={file}: creating the file: {error}", window.window))
            })?)),
        };
        let header = if arguments.header { CsvHeader::Names } else { CsvHeader::None };
        let options = CsvOutOptions { header, ..CsvOutOptions::default() };
        sinks.push(Sink {
            output,
            window: format!("{}/{}", window.query, window.window),
            named: shared && file.is_none(),
            format: if arguments.json { FsType::Json } else { FsType::Csv },
            date_format: None,
            collapse: false,
            drop_retention_deletes: false,
            encoder: CsvEncoder::new(options).map_err(|error| Fail::fault(error.to_string()))?,
            to,
            text: Vec::new(),
        });
    }
    Ok((wanted.into_iter().map(|(window, _)| window).collect(), sinks))
}

/// Over the bytes of all files, on a terminal.
fn progress_bar(sources: &[Source]) -> ProgressBar {
    if !out::is_terminal() {
        return ProgressBar::hidden();
    }
    let size = |source: &Source| std::fs::metadata(&source.options.common.fsname).map_or(0, |file| file.len());
    let bar = ProgressBar::new(sources.iter().map(size).sum());
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
