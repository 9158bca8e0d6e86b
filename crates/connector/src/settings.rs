//! Settings that both adapters have as processes: the `-C` line, the old options, the group, the cluster.

use clap::{Arg, ArgAction, ArgMatches, Command};
use mesh_adapter::legacy::{LETTERS, to_line};
use mesh_adapter::{Common, Refused, Target, line};
use mesh_bus::parse_settings;
use mesh_service::Problems;
use mesh_service::config::{Layers, Problem};

/// The url names the topics; a wrong one is told before anything is connected to.
const URL: &str = "`url=dfESP://host:port/project/query/window`";

/// Checks settings and line; true when the adapter is one of a group.
pub fn check(
    problems: &mut Problems,
    (kafka, kafka_settings, elections): (&str, &str, &[String]),
    line: Result<&Common, &Refused>,
) -> bool {
    problems.check_addresses("kafka", kafka.split(',').filter(|_| !kafka.is_empty()));
    problems.check_read("kafka_settings", "`key=value;key=value`", parse_settings(kafka_settings));
    problems.check_addresses("elections", elections.iter().map(String::as_str));
    let common = match line {
        Ok(common) => common,
        Err(refused) => {
            for problem in &refused.problems {
                problems.add(Problem::new("-C", problem.place.to_string()).found(problem.message.clone()));
            }
            return false;
        }
    };
    problems.check_read("line", URL, Target::parse(&common.url));
    let in_group = common.transport.failover.is_some();
    problems.check(
        !in_group || !elections.is_empty(),
        "elections",
        "`host:port` of an election service, since the transport file says hotfailover=true",
        "none",
    );
    in_group
}

/// The options of the command line; `help` is of `-C`.
pub fn arguments(command: Command, help: &'static str) -> Command {
    let new = Arg::new("adapter-line").short('C').value_name("KEY=VALUE,...").help(help);
    // -h was the url before it was help
    let help = Arg::new("help").long("help").action(ArgAction::Help).help("print help");
    let command = command.disable_help_flag(true).arg(new).arg(help);
    LETTERS.iter().fold(command, |command, old| {
        let action = if old.fixed.is_some() { ArgAction::SetTrue } else { ArgAction::Set };
        let arg = Arg::new(format!("old-{}", old.letter)).short(old.letter).action(action);
        command.arg(arg.help(format!("old form of {}", old.key)).help_heading("Old options"))
    })
}

/// What the command line says, as settings.
pub fn from_arguments(matches: &ArgMatches, layers: &mut Layers) {
    let mut old = Vec::new();
    for known in LETTERS {
        let id = format!("old-{}", known.letter);
        match known.fixed {
            Some(value) if matches.get_flag(&id) => old.push((known.key, value.to_owned())),
            Some(_) => {}
            None => old.extend(matches.get_one::<String>(&id).map(|value| (known.key, value.clone()))),
        }
    }
    let new = matches.get_one::<String>("adapter-line").cloned();
    let parts: Vec<String> = new.into_iter().chain((!old.is_empty()).then(|| to_line(&old))).collect();
    if parts.is_empty() {
        return;
    }
    let text = parts.join(",");
    if let Some(level) = line::parse(&text).ok().and_then(|all| all.into_iter().find(|s| s.key == "loglevel")) {
        let level = if level.value.eq_ignore_ascii_case("fatal") { "error".to_owned() } else { level.value };
        layers.text("log", level, "-C loglevel");
    }
    layers.text("line", text, "-C");
}
