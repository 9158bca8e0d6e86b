//! The timeline as one HTML page that needs nothing else: faults, terms, roles and the output's rate, minute by minute.

use std::fmt::Write as _;
use std::time::Instant;

use mesh_proto::election::Role;

use crate::report::Story;
use crate::roles::Since;

/// Seconds in a row.
const ROW_S: f64 = 60.0;
/// Pixels: left margin, a row's width, heights of its lanes.
const LEFT: f64 = 80.0;
const WIDTH: f64 = 1200.0;
const LANE: f64 = 16.0;
const RATE: f64 = 60.0;
/// Width of a bar of the rate, seconds.
const BIN_S: f64 = 0.1;
const TERM_COLOURS: [&str; 6] = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2", "#edc948"];

/// The page.
pub fn html(story: &Story) -> String {
    let end = story.began.elapsed().as_secs_f64();
    let verdict = if story.is_good() { "Every promise was kept" } else { "VIOLATED" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Chaos, seed {seed}</title>\n<style>\n\
         body {{ font: 13px sans-serif; margin: 2em; }} td, th {{ padding: 2px 8px; text-align: right; border-bottom: 1px solid #ddd; }}\n\
         td:first-child {{ text-align: left; }} svg {{ display: block; margin-bottom: 14px; }} text {{ font: 10px sans-serif; }}\n\
         .bad {{ color: #c00; font-weight: bold; }}\n</style>\n<h1>Chaos, seed {seed}: {verdict}</h1>\n\
         <p>{faults} faults in {end:.0} s. In each row: faults (red where one was violated), the term of the output, the \
         role that each engine says it has (green active, blue standby, orange taking over, yellow recovering, red \
         quarantined, grey no answer), and output blocks by tenth of a second. Hover for more.</p>\n",
        seed = story.seed,
        faults = story.outcomes.len(),
    );
    let mut from = 0.0;
    while from < end {
        page += &row(story, from, end);
        from += ROW_S;
    }
    page += &table(story);
    page + "</html>\n"
}

struct Strip {
    from: f64,
    svg: String,
}

impl Strip {
    /// A bar from one second to another, with what it says on hovering; nothing if it lies outside of the row.
    fn bar(&mut self, (y, height): (f64, f64), (start, end): (f64, f64), colour: &str, label: &str, title: &str) {
        let (start, end) = (start.max(self.from) - self.from, end.min(self.from + ROW_S) - self.from);
        if end <= start || start >= ROW_S {
            return;
        }
        let (x, width) = (LEFT + start / ROW_S * WIDTH, ((end - start) / ROW_S * WIDTH).max(1.0));
        let _ = write!(
            self.svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"><title>{}</title></rect>",
            escape(title)
        );
        if !label.is_empty() {
            let _ = write!(self.svg, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 2.0, y + LANE - 5.0, escape(label));
        }
    }

    fn name(&mut self, y: f64, name: &str) {
        let _ = write!(self.svg, "<text x=\"2\" y=\"{:.1}\">{}</text>", y + LANE - 5.0, escape(name));
    }
}

fn row(story: &Story, from: f64, end: f64) -> String {
    let at = |instant: Instant| instant.saturating_duration_since(story.began).as_secs_f64();
    let mut strip = Strip { from, svg: String::new() };
    let mut y = 0.0;
    strip.name(y, &format!("{from:.0} s"));
    for outcome in &story.outcomes {
        let colour = if outcome.is_good() { "#f4b6b6" } else { "#d00" };
        let until = outcome.at_s + outcome.lasted_ms as f64 / 1000.0;
        let what = format!(
            "{} {} {}: {} ms, gap {} ms, well {} ms later",
            outcome.fault,
            outcome.targets.join(" "),
            outcome.detail,
            outcome.lasted_ms,
            outcome.gap_ms,
            outcome.well_after_ms
        );
        strip.bar((y, LANE - 1.0), (outcome.at_s, until.max(outcome.at_s + 0.2)), colour, outcome.fault, &what);
    }
    y += LANE;
    strip.name(y, "term");
    for (i, led) in story.leaders.iter().enumerate() {
        let until = story.leaders.get(i + 1).map_or(end, |next| at(next.at));
        let (colour, label) =
            (TERM_COLOURS[led.term as usize % TERM_COLOURS.len()], format!("{} {}", led.term, led.engine));
        strip.bar((y, LANE - 1.0), (at(led.at), until), colour, &label, &label);
    }
    for (engine, changes) in &story.roles {
        y += LANE;
        strip.name(y, engine);
        for (i, (since, role)) in changes.iter().enumerate() {
            let until = changes.get(i + 1).map_or(end, |(next, _): &Since| at(*next));
            strip.bar((y, LANE - 1.0), (at(*since), until), colour_of(*role), "", role.as_str_name());
        }
    }
    y += LANE;
    strip.name(y, "blocks");
    let mut bins = vec![0_u32; (ROW_S / BIN_S) as usize];
    let first = story.seen.partition_point(|(seen, _)| at(*seen) < from);
    for (seen, _) in story.seen[first..].iter().take_while(|(seen, _)| at(*seen) < from + ROW_S) {
        if let Some(bin) = bins.get_mut(((at(*seen) - from) / BIN_S) as usize) {
            *bin += 1;
        }
    }
    let most = f64::from(bins.iter().copied().max().unwrap_or(0).max(1));
    for (i, bin) in bins.iter().enumerate().filter(|(_, bin)| **bin > 0) {
        let height = (f64::from(*bin) / most * RATE).max(1.0);
        let start = from + i as f64 * BIN_S;
        strip.bar(
            (y + RATE - height, height),
            (start, start + BIN_S),
            "#666",
            "",
            &format!("{bin} blocks at {start:.1} s"),
        );
    }
    let (width, height) = (LEFT + WIDTH, y + RATE);
    format!("<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">{}</svg>\n", strip.svg)
}

fn colour_of(role: Role) -> &'static str {
    match role {
        Role::Active => "#59a14f",
        Role::Standby => "#a0cbe8",
        Role::TakingOver => "#f28e2b",
        Role::Recovering => "#edc948",
        Role::Quarantined => "#d00",
        Role::Unspecified => "#ddd",
    }
}

fn table(story: &Story) -> String {
    let mut text =
        "<table><tr><th>fault<th>#<th>at s<th>struck<th>lasted ms<th>gap ms<th>plain producer ms<th>well after \
                    ms<th>leaders<th>verdict</tr>\n"
            .to_owned();
    for outcome in &story.outcomes {
        let led: Vec<String> = outcome.led.iter().map(|(term, engine)| format!("{term} {engine}")).collect();
        let verdict = if outcome.is_good() {
            "kept".to_owned()
        } else {
            format!(
                "<span class=\"bad\">lost {}, doubled {}, reordered {}, not expected {}; {}</span>",
                outcome.lost,
                outcome.doubled,
                outcome.reordered,
                outcome.foreign,
                escape(&outcome.problems.join("; "))
            )
        };
        let _ = writeln!(
            text,
            "<tr><td>{} {}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{verdict}</tr>",
            outcome.fault,
            escape(&outcome.detail),
            outcome.n,
            outcome.at_s,
            outcome.targets.join(" "),
            outcome.lasted_ms,
            outcome.gap_ms,
            outcome.plain_gap_ms,
            outcome.well_after_ms,
            led.join(", ")
        );
    }
    text + "</table>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
