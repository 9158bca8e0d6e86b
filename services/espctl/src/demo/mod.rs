//! `espctl demo`: a whole mesh in this process, whose active engine is killed again and again under load.
//!
//! - [`run`] starts it, [`script`] is what happens to it, [`watch`] follows the mesh's status
//! - [`outputs`] is what the subscriber sees, [`verify`] compares its file with a run without failures
//! - [`screen`] shows it
//!
//! **Invariant:** what is killed is not asked: it loses the bus, its sockets and its threads at one moment.

mod outputs;
mod screen;
mod script;
mod verify;
mod watch;

use serde::Serialize;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::cli::Demo;
use crate::fail::Fail;
use crate::local::Local;
use crate::out;

use outputs::{Order, Outputs};
use screen::Screen;
use script::Script;
use verify::{Run, Verdict, verify};

/// The project.
const PROJECT: &str = include_str!("../../../../examples/weather/project.xml");
/// Name of its file, for messages.
const PROJECT_FILE: &str = "examples/weather/project.xml";
/// The observations.
const OBSERVATIONS: &[u8] = include_bytes!("../../../../examples/weather/weather.csv.gz");
/// Form of the times in them.
const DATE_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";
/// Engines.
const ENGINES: [&str; 3] = ["engine-a", "engine-b", "engine-c"];
/// Events of a block.
const BLOCK_EVENTS: usize = 16;
/// Time between two of the things that are done to the mesh.
const BETWEEN: Duration = Duration::from_millis(2600);
/// How long the subscriber may take to write the last output.
const LAST_OUTPUT: Duration = Duration::from_secs(20);

/// The `RESULT` line.
#[derive(Debug, Serialize)]
struct Figures {
    name: &'static str,
    events_in: u64,
    events_out: u64,
    takeovers: usize,
    switchovers: usize,
    lost: u64,
    doubled: u64,
    reordered: u64,
    foreign: u64,
    gap_p50_ms: f64,
    gap_max_ms: f64,
    switchover_gap_ms: f64,
    commits: u64,
    terms: u64,
    seconds: f64,
}

/// Runs the demo.
pub async fn run(arguments: Demo) -> Result<(), Fail> {
    let screen = Screen::new(ENGINES.len());
    let ended = play(&arguments, &screen).await;
    screen.finish();
    ended
}

async fn play(arguments: &Demo, screen: &Screen) -> Result<(), Fail> {
    let csv = unpack()?;
    let total = csv.iter().filter(|&&byte| byte == b'\n').count() as u64 - 1;
    let folder = tempfile::tempdir().map_err(|error| Fail::fault(format!("make a folder for the files: {error}")))?;
    let (input, output) = (folder.path().join("weather.csv.gz"), folder.path().join("report.csv"));
    std::fs::write(&input, OBSERVATIONS)
        .map_err(|error| Fail::fault(format!("write the observations to {}: {error}", input.display())))?;

    screen.say("in this process, over gRPC: 2 election instances, coordinator, 3 engines, 2 adapters, gateway");
    let local = Local::start(true).await?;
    let outputs = Outputs::default();
    let mut script = Script::start(&local, screen, outputs.clone(), arguments.seed(), total).await?;
    script.say(&format!("gateway at http://{}/SASESP/server, coordinator at {}", local.gateway, local.coordinator));
    script.adapters(&input, &output, rate(total, arguments.kills)).await?;
    let gaps = script.play(arguments.kills).await?;
    script.finish(LAST_OUTPUT).await?;

    let verdict = check(&script, &outputs.seen().order, &csv, &input, &output)?;
    report(screen, &verdict, &gaps);
    if !verdict.is_good() {
        let kept = folder.keep();
        return Err(Fail::input(format!(
            "the output differs from that of an engine that never failed; the subscriber's file is {}",
            kept.join("report.csv").display()
        )));
    }
    if arguments.stay {
        stay(&local, screen).await;
    }
    script.stop().await;
    local.stop();
    Ok(())
}

/// The observations as lines.
fn unpack() -> Result<Vec<u8>, Fail> {
    let mut csv = Vec::new();
    let read = flate2::read::GzDecoder::new(OBSERVATIONS).read_to_end(&mut csv);
    read.map_err(|error| Fail::fault(format!("unpack the observations: {error}")))?;
    Ok(csv)
}

/// So many events per second that they last for all that is to happen.
fn rate(total: u64, kills: u32) -> u64 {
    let seconds = BETWEEN.as_secs_f64() * f64::from(kills + 2);
    (total as f64 / seconds).ceil() as u64
}

/// The verdict on the subscriber's file, and on the sequences that it read.
fn check(script: &Script<'_>, order: &Order, csv: &[u8], input: &Path, output: &Path) -> Result<Verdict, Fail> {
    script.say("comparing with the run of one engine that never failed");
    let written = std::fs::read(output)
        .map_err(|error| Fail::fault(format!("read the subscriber's file {}: {error}", output.display())))?;
    let mut verdict = verify(&Run {
        bus: &script.local.bus,
        project: &script.project,
        url_host_port: &script.url_host_port,
        input_topic: &script.input_topic,
        csv,
        options: verify::csv_options(&input.display().to_string()),
        block_events: BLOCK_EVENTS,
        written: &written,
    })?;
    let (lost, doubled, reordered) = (order.lost(), order.doubled(), order.reordered());
    if lost + doubled + reordered > 0 {
        verdict.wrong.push(format!("output sequences: {lost} lost, {doubled} doubled, {reordered} reordered"));
    }
    Ok(verdict)
}

fn report(screen: &Screen, verdict: &Verdict, gaps: &script::Gaps) {
    let lines = &verdict.lines;
    let word = if verdict.is_good() { out::styled(out::GOOD, "equal") } else { out::styled(out::ERROR, "DIFFERENT") };
    screen.say(&format!(
        "{word}: {} events in, {} out, in {} commits of {} terms; lost {}, doubled {}, reordered {}, not expected {}",
        verdict.events_in,
        verdict.events_out,
        verdict.commits,
        verdict.terms,
        lines.lost,
        lines.doubled,
        lines.reordered,
        lines.foreign
    ));
    lines.shown.iter().chain(&verdict.wrong).for_each(|text| screen.say(&format!("  {text}")));
    let figures = Figures {
        name: "demo",
        events_in: verdict.events_in,
        events_out: verdict.events_out,
        takeovers: gaps.takeovers.len(),
        switchovers: gaps.switchovers.len(),
        lost: lines.lost,
        doubled: lines.doubled,
        reordered: lines.reordered,
        foreign: lines.foreign,
        gap_p50_ms: quantile(&gaps.takeovers, 0.5),
        gap_max_ms: quantile(&gaps.takeovers, 1.0),
        switchover_gap_ms: quantile(&gaps.switchovers, 1.0),
        commits: verdict.commits,
        terms: verdict.terms,
        seconds: tenth(screen.elapsed().as_secs_f64()),
    };
    screen.finish();
    let line = serde_json::to_string(&figures).unwrap_or_default();
    // a reader that went away does not change what was found: the exit code tells
    let _ = out::line(&format!("RESULT {line}"));
}

/// In milliseconds; 0 when there are none.
fn quantile(gaps: &[Duration], share: f64) -> f64 {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(index).map_or(0.0, |gap| tenth(gap.as_secs_f64() * 1e3))
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

async fn stay(local: &Local, screen: &Screen) {
    screen.say("staying until Ctrl-C; look around:");
    screen.say(&format!("  curl http://{}/SASESP/server", local.gateway));
    screen.say(&format!("  espctl --coordinator {} status", local.coordinator));
    screen.say(&format!("  espctl --coordinator {} promote weather", local.coordinator));
    // without a signal to wait for there is nothing better than to end
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_of_few_values_is_one_of_them() {
        let gaps = [30, 10, 20].map(Duration::from_millis);
        assert_eq!((quantile(&gaps, 0.5), quantile(&gaps, 1.0), quantile(&[], 0.5)), (20.0, 30.0, 0.0));
    }

    #[test]
    fn the_events_last_for_everything_that_is_to_happen() {
        assert_eq!(rate(26_115, 3), 2009);
        assert_eq!(unpack().unwrap().iter().filter(|&&byte| byte == b'\n').count(), 26_116);
    }
}
