//! Arguments of `project run`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `project run`.
#[derive(Debug, Args)]
pub struct RunProject {
    /// The project file
    pub file: PathBuf,
    /// Events of a source window, one `--input` a file, read one after the other; settings as for the publisher
    /// adapter's `-C`, e.g. `header=1,addcsvopcode=true,addcsvflags=normal`. `fstype` may be csv, json or xml. Without
    /// any: the files that the project's own fs connectors name, in the order of its connector groups
    #[arg(long, value_name = "WINDOW=FILE[,KEY=VALUE...]")]
    pub input: Vec<String>,
    /// A window whose events are wanted, any window, to standard output or a file; without: the files of the
    /// project's own fs connectors, or else the last windows
    #[arg(long, value_name = "WINDOW[=FILE]")]
    pub output: Vec<String>,
    /// What `@NAME@` in the project stands for, where the project says nothing; without: the environment, and for
    /// ESP_PROJECT_HOME the folder of the project file, for ESP_PROJECT_OUTPUT the present one
    #[arg(long, value_name = "NAME=VALUE")]
    pub property: Vec<String>,
    /// A file for events that windows could not apply and lines that could not be read; it is gone on with, and a full
    /// one (16 MiB) is kept as FILE.1. Without: the first of each block are told on standard error
    #[arg(long, value_name = "FILE")]
    pub bad_events: Option<PathBuf>,
    /// Events per block, where the settings of an input do not say `blocksize`
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub block: u32,
    /// The clock stands still at this time, microseconds since 1970, so that time-based retention and functions of the
    /// clock give the same at every run; without: the system's clock
    #[arg(long, value_name = "MICROSECONDS")]
    pub clock: Option<i64>,
    /// A line with the field names first
    #[arg(long)]
    pub header: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}
