//! The other direction: how this process calls the other parts of the mesh.

use tonic::codegen::http::HeaderValue;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity as ClientIdentity};

use super::current::Current;
use super::link::Link;
use super::tls::{self, Identity, authorities, read};
use crate::config::{Base, Problem, Problems, is_host_port};
use crate::status::Refusal;

/// What this process shows to those it calls, and whom it trusts. Cheap to clone; by default plain and without a token.
/// Clones show the same also after certificates and token were renewed.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub(super) shown: Current<Shown>,
}

/// What is shown at a moment.
#[derive(Default)]
pub(crate) struct Shown {
    /// Whom it trusts, and the certificate; `None`: calls are not encrypted.
    pub(super) tls: Option<ClientTlsConfig>,
    /// Value of `authorization`.
    pub(super) authorization: Option<HeaderValue>,
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
        let caller = Caller::of(ca, identity.as_ref(), token_file, problems);
        // certificate and key are read for real when a connection is made, which is too late to tell
        if let (Some(tls), Some(identity)) = (caller.tls(), identity)
            && let Err(error) = Endpoint::from_static("https://localhost:1").tls_config(tls)
        {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let problem = Problem::new(identity.cert_setting, identity.cert_path);
            problems.add(problem.expected("a certificate in PEM form, and the key that it was made with").found(cause));
        }
        caller
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
                Some(Identity { cert_pem, key_pem, .. }) => tls.identity(ClientIdentity::from_pem(cert_pem, key_pem)),
                None => tls,
            }
        });
        let authorization = if token_file.1.is_empty() { None } else { token(token_file, problems) };
        Caller { shown: Current::new(Shown { tls, authorization }) }
    }

    /// What is trusted and shown; `None`: calls are not encrypted.
    pub fn tls(&self) -> Option<ClientTlsConfig> {
        self.shown.get().tls.clone()
    }

    /// The value of `authorization`, if there is a token.
    pub fn authorization(&self) -> Option<MetadataValue<Ascii>> {
        // a header's value that was made of visible characters is one of metadata
        MetadataValue::try_from(self.shown.get().authorization.as_ref()?.as_bytes()).ok()
    }

    /// A channel to `host:port` that connects when it is first used, and anew when the connection is lost.
    pub fn connect(&self, address: &str) -> Result<Link, Refusal> {
        let wrong = || Refusal::invalid("connect").expected("an address `host:port`").found(format!("`{address}`"));
        if !is_host_port(address) {
            return Err(wrong());
        }
        Link::new(address, &self.shown).map_err(|_| wrong())
    }
}

/// The token in a file, without the line's end.
fn token((setting, path): (&str, &str), problems: &mut Problems) -> Option<HeaderValue> {
    let bytes = read(setting, path, "a file with a token", problems)?;
    let found = match std::str::from_utf8(&bytes).map(str::trim) {
        Ok("") => "an empty one",
        Ok(text) => match HeaderValue::try_from(format!("Bearer {text}")) {
            Ok(mut value) if !text.contains(char::is_whitespace) => {
                value.set_sensitive(true);
                return Some(value);
            }
            _ => "other characters",
        },
        Err(_) => "bytes that are no text",
    };
    problems.add(Problem::new(setting, path).expected("a file with one token, of visible characters").found(found));
    None
}
