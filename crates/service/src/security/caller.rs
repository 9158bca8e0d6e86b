//! The other direction: how this process calls the other parts of the mesh.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as ClientIdentity};
use tonic::{Request, Status};

use super::tls::{self, Identity, authorities, read};
use crate::config::{Base, Problem, Problems, is_host_port};
use crate::status::Refusal;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection is asked whether it lives at this interval, even when nothing is called:
/// HTTP/2 does not notice a dead peer by itself.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);

/// It must answer within this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers of an answer that are taken: a refused project comes with all its problems, percent-encoded up to threefold.
const HEADERS_BYTES_MAX: u32 = 64 << 10;

/// A channel whose requests carry this process's token.
pub type Link = InterceptedService<Channel, Bearer>;

/// What this process shows to those it calls, and whom it trusts. Cheap to clone; by default plain and without a token.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    tls: Option<ClientTlsConfig>,
    bearer: Bearer,
}

/// Puts a token on each request.
#[derive(Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Bearer(***)" } else { "Bearer" })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Bearer {
    /// From the text of a token; `None` for what cannot be in a header.
    fn of(token: &str) -> Option<Self> {
        let mut value = MetadataValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Bearer(Some(value)))
    }

    /// The value of `authorization`, if there is a token.
    pub fn value(&self) -> Option<&MetadataValue<Ascii>> {
        self.0.as_ref()
    }
}

impl Caller {
    /// From the settings `tls.ca`, `auth.token_file`, and the identity of this process.
    pub(super) fn load(base: &Base, identity: Option<&Identity>, problems: &mut Problems) -> Self {
        let ca = ("tls.ca", base.tls.ca.as_str());
        Caller::of(ca, identity, ("auth.token_file", &base.auth.token_file), problems)
    }

    /// For a program without settings: from files, each with the name that its user knows; an empty path is none.
    /// `identity`: certificate and key.
    pub fn from_files(
        ca: (&str, &str),
        identity: [(&str, &str); 2],
        token_file: (&str, &str),
        problems: &mut Problems,
    ) -> Self {
        let identity = tls::identity(identity, problems);
        Caller::of(ca, identity.as_ref(), token_file, problems)
    }

    fn of(
        (setting, path): (&str, &str),
        identity: Option<&Identity>,
        token_file: (&str, &str),
        problems: &mut Problems,
    ) -> Self {
        let trusted = if path.is_empty() { None } else { authorities(setting, path, problems) };
        let tls = trusted.map(|(_, pem)| {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            match identity {
                Some(Identity { cert_pem, key_pem }) => tls.identity(ClientIdentity::from_pem(cert_pem, key_pem)),
                None => tls,
            }
        });
        let bearer = if token_file.1.is_empty() { Bearer::default() } else { token(token_file, problems) };
        Caller { tls, bearer }
    }

    /// What is trusted and shown; `None`: calls are not encrypted.
    pub fn tls(&self) -> Option<&ClientTlsConfig> {
        self.tls.as_ref()
    }

    /// The token that is shown.
    pub fn bearer(&self) -> &Bearer {
        &self.bearer
    }

    /// A channel to `host:port` that connects when it is first used, and anew when the connection is lost.
    pub fn connect(&self, address: &str) -> Result<Link, Refusal> {
        let wrong = || Refusal::invalid("connect").expected("an address `host:port`").found(format!("`{address}`"));
        if !is_host_port(address) {
            return Err(wrong());
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(|_| wrong())?;
        if let Some(tls) = &self.tls {
            let with_tls = endpoint.tls_config(tls.clone());
            endpoint = with_tls.map_err(|error| {
                Refusal::invalid("TLS of a connection").expected("certificates that fit").found(error.to_string())
            })?;
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(HEADERS_BYTES_MAX)
            .connect_lazy();
        Ok(InterceptedService::new(channel, self.bearer.clone()))
    }
}

/// The token in a file, without the line's end.
fn token((setting, path): (&str, &str), problems: &mut Problems) -> Bearer {
    let Some(bytes) = read(setting, path, "a file with a token", problems) else { return Bearer::default() };
    let found = match std::str::from_utf8(&bytes).map(str::trim) {
        Ok("") => "an empty one",
        Ok(text) => match Bearer::of(text).filter(|_| !text.contains(char::is_whitespace)) {
            Some(bearer) => return bearer,
            None => "other characters",
        },
        Err(_) => "bytes that are no text",
    };
    problems.add(Problem::new(setting, path).expected("a file with one token, of visible characters").found(found));
    Bearer::default()
}
