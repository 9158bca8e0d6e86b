//! The command line that every service has.

use clap::{Arg, ArgAction};
use std::ffi::OsString;
use std::path::PathBuf;

use super::layers::{env_name, known_settings};
use super::{Config, Layers, Problem, Problems, load_apart, load_into};

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Run the service.
    Run,
    /// Only check the configuration.
    Check,
    /// Only print the configuration.
    Dump,
    /// Only ask the instance that runs with this configuration whether it is ready.
    Probe,
}

/// A command line, read.
#[derive(Debug)]
pub struct Cli<C> {
    /// What it asks for.
    pub command: Command,
    /// The configuration that file, environment and flags give.
    pub config: C,
}

/// Reads arguments and environment. `Err` has the text for the user; help and version come as `Ok(Err(text))`.
pub fn cli<C: Config>(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Result<Cli<C>, String>, String> {
    let known = known_settings(&C::default());
    let mut parser = C::arguments(parser::<C>());
    for (path, default) in &known {
        let flag = path.replace(['.', '_'], "-");
        if parser.get_arguments().any(|argument| argument.get_long() == Some(flag.as_str())) {
            continue; // the service's own argument is stronger
        }
        let help = format!("default: {default}; environment: {}", env_name(C::SERVICE, path));
        parser = parser.arg(Arg::new(path.clone()).long(flag).value_name("VALUE").help(help).help_heading("Settings"));
    }
    let matches = match parser.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return Err(error.to_string()),
        Err(error) => return Ok(Err(error.to_string())),
    };

    let mut problems = Problems::default();
    let mut layers = Layers::default();
    if let Some(file) = matches.get_one::<PathBuf>("config") {
        match std::fs::read_to_string(file) {
            Ok(text) => layers.file(file, &text, &mut problems),
            Err(error) => problems.add(
                Problem::new("--config", file.display().to_string())
                    .expected("a readable file")
                    .found(error.to_string()),
            ),
        }
    }
    layers.environment::<C>(environment);
    C::from_arguments(&matches, &mut layers, &mut problems);
    for set in matches.get_many::<String>("set").into_iter().flatten() {
        match set.split_once('=') {
            Some((path, value)) => layers.text(path.trim(), value, format!("--set {path}")),
            None => problems.add(Problem::new(set, "--set").expected("`setting=value`").found(format!("`{set}`"))),
        }
    }
    for path in known.keys() {
        if let Ok(Some(value)) = matches.try_get_one::<String>(path) {
            layers.text(path, value, format!("--{}", path.replace(['.', '_'], "-")));
        }
    }
    let asked = [("probe", Command::Probe), ("dump-config", Command::Dump), ("check-config", Command::Check)];
    let command =
        asked.into_iter().find(|(flag, _)| matches.get_flag(flag)).map_or(Command::Run, |(_, command)| command);
    let loaded = match command {
        Command::Probe => load_apart::<C>(&layers, &mut problems),
        Command::Run | Command::Check | Command::Dump => load_into::<C>(&layers, &mut problems),
    };
    let config = loaded.ok_or_else(|| problems.to_string())?;
    Ok(Ok(Cli { command, config }))
}

/// The arguments that do not depend on the settings.
fn parser<C: Config>() -> clap::Command {
    clap::Command::new(format!("esp-{}", C::SERVICE))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Settings: defaults < file < environment < flags")
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("TOML file with settings"),
        )
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("SETTING=VALUE")
                .action(ArgAction::Append)
                .help("one setting, as in `kafka.brokers=127.0.0.1:9092`"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("check the settings, then end"),
        )
        .arg(
            Arg::new("probe")
                .long("probe")
                .action(ArgAction::SetTrue)
                .help("ask the instance that runs with these settings whether it is ready, then end"),
        )
        .arg(
            Arg::new("dump-config").long("dump-config").action(ArgAction::SetTrue).help("print the settings, then end"),
        )
}
