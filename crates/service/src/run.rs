//! The life of a service process: settings, log, listeners, work, signals, drain, exit code.

use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Command, Config, Problems, cli};
use crate::drain::Drain;
use crate::exit::Failure;
use crate::probe::probe;
use crate::scope::Scope;
use crate::security::Security;
use crate::security::renew::{self, Renewal};
use crate::{admin, telemetry};

/// What the work of a service gets. Both listeners are bound before anything else happens.
#[derive(Debug)]
pub struct Start<C> {
    /// The settings; `base().name` is never empty.
    pub config: C,
    /// Name of this instance.
    pub name: String,
    /// For the gRPC server (the gateway: REST).
    pub listener: TcpListener,
    /// `host:port` under which others reach the listener.
    pub address: String,
    /// `host:port` of the admin server.
    pub admin_address: String,
    /// Drain, readiness, metrics.
    pub scope: Scope,
}

/// Runs a service: `main` of every program. `work` returns when the drain has started and everything is done.
pub fn main<C, W, F>(work: W) -> ExitCode
where
    C: Config,
    W: FnOnce(Start<C>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let cli = match cli::<C>(std::env::args_os(), environment) {
        Ok(Ok(cli)) => cli,
        Ok(Err(text)) => {
            print(&text);
            return ExitCode::SUCCESS;
        }
        Err(text) => return fail(&Failure::config(text)),
    };
    match cli.command {
        Command::Check => {
            print("configuration is good\n");
            return ExitCode::SUCCESS;
        }
        Command::Dump => {
            return match toml::to_string(&cli.config) {
                Ok(text) => {
                    print(&text);
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&Failure::fault(format!("--dump-config: {error}"))),
            };
        }
        Command::Probe => {
            return match probe(cli.config.base()) {
                Ok(answer) => {
                    print(&format!("{answer}\n"));
                    ExitCode::SUCCESS
                }
                Err(failure) => fail(&failure),
            };
        }
        Command::Run => {}
    }
    // clients of other makers ask the process which one to use; it fails only if one has been chosen already
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name(C::SERVICE).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(&Failure::unavailable(format!("start of the threads: {error}")));
        }
    };
    let grace = cli.config.base().grace.0;
    let ended = runtime.block_on(run(cli.config, work));
    // blocking calls that are still on their way must not hold the process
    runtime.shutdown_timeout(grace / 10);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

async fn run<C, W, F>(config: C, work: W) -> Result<(), Failure>
where
    C: Config,
    W: FnOnce(Start<C>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let base = config.base().clone();
    let (listener, port) = bind("listen", &base.listen).await?;
    let (admin_listener, admin_port) = bind("admin_listen", &base.admin_listen).await?;
    let name = if base.name.is_empty() { format!("{}-{port}", C::SERVICE) } else { base.name.clone() };
    let guard = telemetry::init(&format!("esp-{}", C::SERVICE), &name, &base).map_err(Failure::config)?;
    let address = if base.advertise.is_empty() { reachable(&base.listen, port) } else { base.advertise.clone() };
    let admin_address = admin_address(&base.admin_listen, admin_port, &base.advertise);
    tracing::info!(
        service = C::SERVICE,
        version = env!("CARGO_PKG_VERSION"),
        name,
        address,
        admin = admin_address,
        pid = std::process::id(),
        "started"
    );

    // the settings were checked when they were read; a file may have changed since
    let mut problems = Problems::default();
    let scope = Scope::secured(Security::load(&base, &mut problems));
    if !problems.is_empty() {
        return Err(Failure::config(problems));
    }
    let admin_stop = Drain::new();
    let admin = tokio::spawn(admin::serve(admin_listener, scope.clone(), admin_stop.clone()));
    watch_signals(scope.drain.clone())?;
    let renewal = Renewal::new(base.clone(), scope.security.clone(), &scope.metrics);
    renew::watch(renewal, base.renew_interval.0, scope.drain.clone())?;
    let drain = scope.drain.clone();
    let work = work(Start { config, name, listener, address, admin_address, scope });
    let ended = within_grace(work, &drain, base.grace.0).await;
    match &ended {
        Ok(()) => tracing::info!(reason = drain.reason(), "ended"),
        Err(failure) => tracing::error!(%failure, "ended"),
    }
    admin_stop.start("service ended");
    admin.abort();
    // spans get the other half of the grace period; the exporter blocks
    let flush_max = base.grace.0 / 2;
    let _ = tokio::task::spawn_blocking(move || guard.shutdown(flush_max)).await;
    ended
}

/// Waits for the work; once the drain has started, for half of the grace period more.
async fn within_grace(
    work: impl Future<Output = Result<(), Failure>>,
    drain: &Drain,
    grace: Duration,
) -> Result<(), Failure> {
    let late = async {
        drain.started().await;
        tokio::time::sleep(grace / 2 + grace / 4).await;
    };
    tokio::select! {
        ended = work => ended,
        () = late => Err(Failure::fault(format!(
            "drain ({}): expected to end within three quarters of `grace` ({grace:?}), found work still going on; raise `grace`, or see the log for what was slow",
            drain.reason()
        ))),
    }
}

/// The first SIGTERM or SIGINT starts the drain, the second ends the process at once.
fn watch_signals(drain: Drain) -> Result<(), Failure> {
    let missing = |error| Failure::fault(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(missing)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(missing)?;
    tokio::spawn(async move {
        loop {
            let (name, number) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 15u8),
                _ = interrupt.recv() => ("SIGINT", 2u8),
            };
            if drain.is_started() {
                tracing::warn!(signal = name, "second signal, ending at once");
                std::process::exit(i32::from(128 + number));
            }
            tracing::info!(signal = name, "draining");
            drain.start(name);
        }
    });
    Ok(())
}

/// Binds a listener and tells the port it got.
pub async fn bind(setting: &str, address: &str) -> Result<(TcpListener, u16), Failure> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    };
    bound.await.map_err(|error: std::io::Error| {
        Failure::unavailable(format!("setting `{setting}`: listen on {address}: {error}; name a free port, or 0"))
    })
}

/// The address to tell others: the host as configured (all interfaces: this machine's loopback) and the real port.
fn reachable(configured: &str, port: u16) -> String {
    let host = configured.rsplit_once(':').map_or(configured, |(host, _)| host);
    let host = if matches!(host, "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
    format!("{host}:{port}")
}

/// The address of the admin server to tell others: on all interfaces, others reach it at the host that is advertised.
fn admin_address(configured: &str, port: u16, advertise: &str) -> String {
    let host = configured.rsplit_once(':').map_or(configured, |(host, _)| host);
    match advertise.rsplit_once(':') {
        Some((advertised, _)) if matches!(host, "0.0.0.0" | "[::]") => format!("{advertised}:{port}"),
        _ => reachable(configured, port),
    }
}

/// Prints to stdout; a reader that went away is not an error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn fail(failure: &Failure) -> ExitCode {
    let text = failure.to_string();
    let prefix = if text.starts_with("error") { "" } else { "error: " };
    eprintln!("{prefix}{}", text.trim_end());
    ExitCode::from(failure.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Kind;

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_heed_the_drain_is_given_up_in_time() {
        let drain = Drain::new();
        drain.start("SIGTERM");
        let began = tokio::time::Instant::now();
        let ended = within_grace(std::future::pending(), &drain, Duration::from_secs(10)).await;
        assert_eq!(began.elapsed(), Duration::from_millis(7_500), "the rest is for spans");
        let failure = ended.unwrap_err();
        assert_eq!(failure.kind(), Kind::Fault);
        assert!(failure.to_string().contains("drain (SIGTERM)"), "{failure}");
    }

    #[tokio::test]
    async fn work_that_ends_gives_its_own_result() {
        let ended =
            within_grace(async { Err(Failure::unavailable("kafka")) }, &Drain::new(), Duration::from_secs(10)).await;
        assert_eq!(ended.unwrap_err().exit_code(), 75);
    }

    #[test]
    fn others_are_told_an_address_they_can_reach() {
        assert_eq!(reachable("0.0.0.0:0", 7), "127.0.0.1:7");
        assert_eq!(reachable("[::]:0", 7), "127.0.0.1:7");
        assert_eq!(reachable("engine-1:5000", 5000), "engine-1:5000");
        assert_eq!(admin_address("0.0.0.0:0", 7, "engine-1:5000"), "engine-1:7");
        assert_eq!(admin_address("127.0.0.1:0", 7, "engine-1:5000"), "127.0.0.1:7");
        assert_eq!(admin_address("0.0.0.0:0", 7, ""), "127.0.0.1:7");
    }
}
