//! The log of a process, on stderr. A line that is written while a span is current ends with the trace's ID.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::LogFormat;

/// Libraries that talk about every frame; the user's own directives are stronger.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry_otlp=warn,zookeeper_client=warn";

/// Changes what is logged; there is none before the log was started.
static FILTER: OnceLock<(reload::Handle<EnvFilter, Registry>, Mutex<String>)> = OnceLock::new();

fn filter(directives: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|error| {
        format!("setting `log`: expected levels as in `info,mesh_engine=debug`, found `{directives}`: {error}")
    })
}

/// Changes what is logged from now on; says what was before. `Ok(None)`: this process has no log of ours.
pub(crate) fn set(directives: &str) -> Result<Option<String>, String> {
    let filter = filter(directives)?;
    let Some((handle, current)) = FILTER.get() else { return Ok(None) };
    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
    handle.reload(filter).map_err(|error| error.to_string())?;
    Ok(Some(std::mem::replace(&mut *current, directives.to_owned())))
}

/// Starts the log; a second start in a process changes nothing.
pub(super) fn init(directives: &str, format: LogFormat) -> Result<(), String> {
    let (filter, handle) = reload::Layer::new(filter(directives)?);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // try_init fails only when a log is there already, as when espctl runs the services
    let started = match format {
        LogFormat::Human => {
            let layer = layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
            registry.with(layer.map_event_format(WithTrace)).try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true).map_event_format(WithTrace)).try_init(),
    };
    if started.is_ok() {
        let _ = FILTER.set((handle, Mutex::new(directives.to_owned())));
    }
    Ok(())
}

/// Lines of the inner format, with `trace_id` at their end while a span is current.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace) = current_trace() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&with_trace(line.trim_end(), &trace))
    }
}

/// The ID of the trace whose span is current on this thread or task.
fn current_trace() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    span.span_context().is_valid().then(|| span.span_context().trace_id().to_string())
}

fn with_trace(line: &str, trace: &str) -> String {
    match line.strip_suffix('}').filter(|_| line.starts_with('{')) {
        Some(object) => format!("{object},\"trace_id\":\"{trace}\"}}\n"),
        None => format!("{line} trace_id={trace}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::extract;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// What is logged outside and inside a trace.
        fn of<S: Subscriber + Send + Sync>(&self, subscriber: S) -> Vec<String> {
            let parent = extract("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(n = 1, "outside");
                let _current = parent.to_context().attach();
                tracing::info!(n = 2, "inside");
            });
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn a_line_inside_a_trace_carries_its_id() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let found = lines.of(tracing_subscriber::registry().with(layer.map_event_format(WithTrace)));
        assert!(found[0].ends_with("outside n=1"), "{found:?}");
        assert!(found[1].ends_with("inside n=2 trace_id=0af7651916cd43dd8448eb211c80319c"), "{found:?}");
    }

    #[test]
    fn as_json_it_is_a_field() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
        let found = lines.of(tracing_subscriber::registry().with(layer.map_event_format(WithTrace)));
        let fields = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        assert_eq!(fields(&found[0])["trace_id"], serde_json::Value::Null);
        assert_eq!(fields(&found[1])["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(fields(&found[1])["n"], 2);
    }
}
