//! The log of a process, on stderr.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Libraries that talk about every frame; the user's own directives are stronger.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry_otlp=warn,zookeeper_client=warn";

/// Starts the log; a second start in a process changes nothing.
pub(super) fn init(directives: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|error| {
        format!("setting `log`: expected levels as in `info,mesh_engine=debug`, found `{directives}`: {error}")
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // try_init fails only when a log is there already, as when espctl runs the services
    let _ = match format {
        LogFormat::Human => {
            registry.with(layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    Ok(())
}
