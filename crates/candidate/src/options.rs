//! Who takes part, and where.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{ClientTlsConfig, Endpoint};

/// Shortest and longest time between signs of life.
const HEARTBEAT_SHORTEST: Duration = Duration::from_millis(5);
const HEARTBEAT_LONGEST: Duration = Duration::from_millis(200);

/// Time to open a connection to an election instance.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// An election instance that answers no ping for this long after this much silence is given up: together well below
/// the session timeout of ZooKeeper, so that a frozen instance loses its candidates to another one in time.
const PING_EVERY: Duration = Duration::from_millis(150);
const PING_TIMEOUT: Duration = Duration::from_millis(350);

/// Who takes part in which group, and where the election is.
#[derive(Debug, Clone)]
pub struct CandidateOptions {
    /// Name of the group, for engines `<host>_<port>.<project>`.
    pub group: String,
    /// Name of the candidate, unique in the group, the same after a restart.
    pub candidate: String,
    /// `host:port` of a listener of this process; a connect that is refused tells that the process has crashed.
    pub address: String,
    /// Number made anew at each start of the process.
    pub incarnation: u64,
    /// Election instances, each `host:port` or a URL; any will do.
    pub endpoints: Vec<String>,
    /// Time between signs of life, 50 to 100 ms.
    pub heartbeat: Duration,
    /// Whom it trusts and what it shows.
    pub credentials: CredentialsSource,
}

/// What a candidate shows when it opens a stream.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Whom it trusts, and its certificate; `None`: connections are not encrypted.
    pub tls: Option<ClientTlsConfig>,
    /// Value of `authorization`; `None`: none is sent.
    pub authorization: Option<MetadataValue<Ascii>>,
}

/// Gives the credentials that hold at the moment: they are asked for anew at every connection, since certificates and
/// tokens are renewed. By default there are none.
#[derive(Clone)]
pub struct CredentialsSource(Arc<dyn Fn() -> Credentials + Send + Sync>);

impl CredentialsSource {
    /// From whoever knows them.
    pub fn new(now: impl Fn() -> Credentials + Send + Sync + 'static) -> Self {
        CredentialsSource(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Credentials {
        (self.0)()
    }
}

impl Default for CredentialsSource {
    fn default() -> Self {
        CredentialsSource::new(Credentials::default)
    }
}

impl std::fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialsSource")
    }
}

/// A number that no earlier start of this process has had, for [`CandidateOptions::incarnation`].
pub fn new_incarnation() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX) ^ u64::from(std::process::id()).rotate_left(48)
}

/// Options that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// No election instance is named.
    #[error("candidate `{candidate}`: no election instance is named; expected at least one `host:port`")]
    NoEndpoint {
        /// Candidate.
        candidate: String,
    },
    /// An election instance is named wrongly.
    #[error(
        "candidate `{candidate}`: election instance `{found}`: {reason}; expected `host:port` or `http://host:port`"
    )]
    Endpoint {
        /// Candidate.
        candidate: String,
        /// What was found.
        found: String,
        /// Why it is wrong.
        reason: String,
    },
    /// A value is out of bounds.
    #[error("candidate `{candidate}`: {setting} is {found}, expected {expected}")]
    Value {
        /// Candidate.
        candidate: String,
        /// Which.
        setting: &'static str,
        /// What was found.
        found: String,
        /// What is right.
        expected: &'static str,
    },
}

/// An election instance as configured.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub name: String,
}

impl Instance {
    /// How to connect to it with these credentials.
    pub(crate) fn endpoint(&self, credentials: &Credentials) -> Result<Endpoint, tonic::transport::Error> {
        let scheme = if credentials.tls.is_some() { "https" } else { "http" };
        let name = &self.name;
        let url = if name.contains("://") { name.clone() } else { format!("{scheme}://{name}") };
        let mut endpoint = Endpoint::from_shared(url)?;
        if let Some(tls) = &credentials.tls {
            endpoint = endpoint.tls_config(tls.clone())?;
        }
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true))
    }
}

impl CandidateOptions {
    /// Checks everything.
    pub(crate) fn check(&self) -> Result<Vec<Instance>, OptionsError> {
        let candidate = || self.candidate.clone();
        for (setting, value) in [("group", &self.group), ("candidate", &self.candidate), ("address", &self.address)] {
            if value.is_empty() {
                let (found, expected) = ("empty".to_owned(), "a name");
                return Err(OptionsError::Value { candidate: candidate(), setting, found, expected });
            }
        }
        if !(HEARTBEAT_SHORTEST..=HEARTBEAT_LONGEST).contains(&self.heartbeat) {
            return Err(OptionsError::Value {
                candidate: candidate(),
                setting: "heartbeat",
                found: format!("{:?}", self.heartbeat),
                expected: "5ms to 200ms",
            });
        }
        if self.endpoints.is_empty() {
            return Err(OptionsError::NoEndpoint { candidate: candidate() });
        }
        self.endpoints.iter().map(|name| self.instance(name)).collect()
    }

    fn instance(&self, name: &str) -> Result<Instance, OptionsError> {
        let instance = Instance { name: name.to_owned() };
        match instance.endpoint(&self.credentials.now()) {
            Ok(_) => Ok(instance),
            Err(error) => Err(OptionsError::Endpoint {
                candidate: self.candidate.clone(),
                found: instance.name,
                reason: error.to_string(),
            }),
        }
    }
}
