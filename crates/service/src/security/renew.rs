//! Certificates and tokens that are renewed while the process runs: their files are looked at again and again, and at
//! SIGHUP. What is good is used from then on; what is wrong is told once, and what was used before stays.

use std::time::Duration;

use ring::digest::{Context, SHA256};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Security;
use crate::config::{Base, Problems};
use crate::drain::Drain;
use crate::exit::Failure;
use crate::metrics::{Counter, Gauge, Metrics};

/// The files of a process, watched.
#[derive(Debug)]
pub struct Renewal {
    base: Base,
    security: Security,
    seen: Vec<u8>,
    renewals: Counter,
    wrong: Gauge,
}

/// What a look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// They are as they were.
    Same,
    /// They are other ones, and are used from now on.
    Renewed,
    /// They are other ones, and something is wrong; what was used before stays.
    Wrong(Problems),
}

impl Renewal {
    /// `security` was made of these settings.
    pub fn new(base: Base, security: Security, metrics: &Metrics) -> Self {
        let renewals =
            metrics.counter("esp_service_renewals", "Times that renewed certificates or tokens were taken", &[]);
        let wrong = metrics.gauge(
            "esp_service_renewal_wrong",
            "1 while the files of certificates or tokens are wrong and the ones read before are used, else 0",
            &[],
        );
        let seen = fingerprint(&base);
        Renewal { base, security, seen, renewals, wrong }
    }

    /// Reads the files if they have changed since the last look. Blocks.
    pub fn look(&mut self) -> Looked {
        let found = fingerprint(&self.base);
        if found == self.seen {
            return Looked::Same;
        }
        self.seen = found;
        let mut problems = Problems::default();
        let renewed = Security::load(&self.base, &mut problems);
        self.wrong.set(i64::from(!problems.is_empty()));
        if !problems.is_empty() {
            return Looked::Wrong(problems);
        }
        self.security.take(renewed);
        self.renewals.inc();
        Looked::Renewed
    }
}

/// One fingerprint of all files, by content: what is mounted into a container changes by a link that is turned.
fn fingerprint(base: &Base) -> Vec<u8> {
    let mut all = Context::new(&SHA256);
    let tls = &base.tls;
    for path in [&tls.cert, &tls.key, &tls.client_ca, &tls.ca, &base.auth.tokens, &base.auth.token_file] {
        // a file that cannot be read is another one than an empty one; why is told when it is loaded
        let content = if path.is_empty() { None } else { std::fs::read(path).ok() };
        let length = content.as_ref().map_or(u64::MAX, |content| content.len() as u64);
        all.update(&length.to_le_bytes());
        all.update(&content.unwrap_or_default());
    }
    all.finish().as_ref().to_vec()
}

/// Looks every `interval` and at SIGHUP, until the drain starts.
pub(crate) fn watch(mut renewal: Renewal, interval: Duration, drain: Drain) -> Result<(), Failure> {
    let hangup = signal(SignalKind::hangup()).map_err(|error| Failure::fault(format!("signals: {error}")))?;
    tokio::spawn(async move {
        let mut hangup = hangup;
        while let Some(asked) = next(&mut hangup, interval, &drain).await {
            let looked = tokio::task::spawn_blocking(move || {
                let looked = renewal.look();
                (renewal, looked)
            });
            let Ok((back, looked)) = looked.await else { return };
            renewal = back;
            match looked {
                Looked::Same if asked => tracing::info!("SIGHUP: certificates and tokens are as they were"),
                Looked::Same => {}
                Looked::Renewed => tracing::info!("renewed certificates and tokens are used from now on"),
                Looked::Wrong(problems) => {
                    tracing::error!(%problems, "renewed certificates and tokens are wrong; those read before are used");
                }
            }
        }
    });
    Ok(())
}

/// Waits for the next look: true when it was asked for. `None`: there is none any more.
async fn next(hangup: &mut Signal, interval: Duration, drain: &Drain) -> Option<bool> {
    tokio::select! {
        () = drain.started() => None,
        _ = hangup.recv() => Some(true),
        () = tokio::time::sleep(interval) => Some(false),
    }
}
