//! Certificates and keys from PEM files, for both directions.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::Security;
use super::current::Current;
use crate::config::{ClientTls, Problem, Problems, TlsConfig};
use crate::exit::Failure;

/// A file of certificates or a key larger than this is something else.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Certificate and key of this process, as read.
pub(super) struct Identity {
    pub(super) cert_setting: String,
    pub(super) cert_path: String,
    pub(super) cert_pem: Vec<u8>,
    pub(super) key_pem: Vec<u8>,
}

/// Answers handshakes. gRPC needs HTTP/2, clients of REST expect HTTP/1.1; each server offers its own.
#[derive(Clone)]
pub(crate) struct Acceptor {
    grpc: TlsAcceptor,
    rest: TlsAcceptor,
}

/// How connections come in at one server.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    acceptor: Option<Current<Acceptor>>,
    protocol: Protocol,
    pub(super) connections_max: usize,
    pub(super) connection_rate_max: u32,
}

/// What a server speaks over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Grpc,
    Rest,
}

impl Door {
    pub(super) fn new(security: &Security, protocol: Protocol) -> Self {
        Door {
            acceptor: security.acceptor.clone(),
            protocol,
            connections_max: security.connections_max,
            connection_rate_max: security.connection_rate_max,
        }
    }

    /// What answers the next handshake; `None`: connections are not encrypted.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let acceptor = self.acceptor.as_ref()?.get();
        Some(match self.protocol {
            Protocol::Grpc => acceptor.grpc.clone(),
            Protocol::Rest => acceptor.rest.clone(),
        })
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// Reads a setting's file; an empty or wrong one is a problem of the setting.
pub(super) fn read(setting: &str, path: &str, expected: &str, problems: &mut Problems) -> Option<Vec<u8>> {
    let found = match std::fs::metadata(Path::new(path)) {
        Ok(metadata) if metadata.len() > PEM_BYTES_MAX => format!("{} bytes", metadata.len()),
        Ok(_) => match std::fs::read(path) {
            Ok(bytes) => return Some(bytes),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    problems.add(Problem::new(setting, path).expected(expected).found(found));
    None
}

fn certificates(
    setting: &str,
    path: &str,
    pem: &[u8],
    problems: &mut Problems,
) -> Option<Vec<CertificateDer<'static>>> {
    let found = match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => "none".to_owned(),
        Ok(certificates) => return Some(certificates),
        Err(error) => error.to_string(),
    };
    problems.add(Problem::new(setting, path).expected("certificates in PEM form").found(found));
    None
}

/// Authorities of a PEM file, with the text of the file.
pub(super) fn authorities(setting: &str, path: &str, problems: &mut Problems) -> Option<(RootCertStore, Vec<u8>)> {
    let pem = read(setting, path, "a PEM file with the certificates of authorities", problems)?;
    let mut store = RootCertStore::empty();
    for certificate in certificates(setting, path, &pem, problems)? {
        if let Err(error) = store.add(certificate) {
            let expected = "certificates of authorities";
            problems.add(Problem::new(setting, path).expected(expected).found(error.to_string()));
            return None;
        }
    }
    Some((store, pem))
}

/// Certificate and key, if they are named, each with its setting; one without the other is a problem.
pub(super) fn identity(named: [(&str, &str); 2], problems: &mut Problems) -> Option<Identity> {
    let [(cert, cert_path), (key, key_path)] = named;
    if cert_path.is_empty() && key_path.is_empty() {
        return None;
    }
    for (setting, path, other) in [(cert, cert_path, key), (key, key_path, cert)] {
        problems.check(!path.is_empty(), setting, &format!("a path, since `{other}` is set"), path);
    }
    if cert_path.is_empty() || key_path.is_empty() {
        return None;
    }
    let cert_pem = read(cert, cert_path, "a PEM file with a certificate", problems);
    let key_pem = read(key, key_path, "a PEM file with a private key", problems);
    let (cert_setting, cert_path) = (cert.to_owned(), cert_path.to_owned());
    Some(Identity { cert_setting, cert_path, cert_pem: cert_pem?, key_pem: key_pem? })
}

/// What answers handshakes, if there is a certificate.
pub(super) fn acceptor(config: &TlsConfig, identity: Option<&Identity>, problems: &mut Problems) -> Option<Acceptor> {
    let Some(identity) = identity else {
        let expected = "empty, as long as `tls.cert` is: without TLS no certificate is shown";
        let unset = config.cert.is_empty() && config.key.is_empty();
        problems.check(!unset || config.client_ca.is_empty(), "tls.client_ca", expected, &config.client_ca);
        return None;
    };
    let chain = certificates("tls.cert", &config.cert, &identity.cert_pem, problems);
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem);
    if let Err(error) = &key {
        // the error tells the kind of section that is missing, nothing of the key
        let problem = Problem::new("tls.key", config.key.as_str()).expected("a private key in PEM form");
        problems.add(problem.found(error.to_string()));
    }
    let clients = match config.client_ca.as_str() {
        "" => None,
        path => Some(authorities("tls.client_ca", path, problems)?.0),
    };
    let (chain, key) = (chain?, key.ok()?);
    let grpc = match server_config(chain, key, clients) {
        Ok(server_config) => server_config,
        Err(error) => {
            let problem = Problem::new("tls.cert", config.cert.as_str());
            problems.add(problem.expected("a certificate that `tls.key` belongs to").found(error.to_string()));
            return None;
        }
    };
    let with_protocol = |protocol: &[u8]| {
        let mut server_config = grpc.clone();
        server_config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(server_config))
    };
    Some(Acceptor { grpc: with_protocol(b"h2"), rest: with_protocol(b"http/1.1") })
}

/// For a client of our own servers: trusts `tls.ca`, shows `tls.cert`.
pub(crate) fn client_config(config: &TlsConfig, problems: &mut Problems) -> Option<rustls::ClientConfig> {
    if config.ca.is_empty() {
        problems.check(false, "tls.ca", "a PEM file with the authorities of the mesh", "nothing");
        return None;
    }
    let (roots, _) = authorities("tls.ca", &config.ca, problems)?;
    let identity = identity([("tls.cert", &config.cert), ("tls.key", &config.key)], problems)?;
    let chain = certificates("tls.cert", &config.cert, &identity.cert_pem, problems)?;
    let shown =
        |error: String| Problem::new("tls.key", config.key.as_str()).expected("a private key in PEM form").found(error);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let built = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|error| error.to_string()).and_then(|key| {
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots);
        builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
    });
    built.map_err(|error| problems.add(shown(error))).ok()
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<RootCertStore>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
        }
    };
    builder.with_single_cert(chain, key)
}

/// What the files of a [`ClientTls`] hold, as text.
pub struct ClientPem {
    /// The authorities.
    pub ca: String,
    /// Certificate and key, if they are set.
    pub identity: Option<(String, String)>,
}

impl ClientPem {
    /// For the start of a program: the same as [`ClientPem::load`], with all problems as one failure.
    pub fn require(table: &str, config: &ClientTls) -> Result<Option<Self>, Failure> {
        let mut problems = Problems::default();
        let pem = ClientPem::load(table, config, &mut problems);
        if problems.is_empty() { Ok(pem) } else { Err(Failure::config(problems)) }
    }

    /// Reads the files of a setting's table, such as `etcd.tls`; `None` when none is set, or something is wrong.
    pub fn load(table: &str, config: &ClientTls, problems: &mut Problems) -> Option<Self> {
        let setting = |name: &str| format!("{table}.{name}");
        let named = [(&setting("cert"), &config.cert), (&setting("key"), &config.key)];
        let identity = identity(named.map(|(setting, path)| (setting.as_str(), path.as_str())), problems);
        if config.ca.is_empty() {
            let expected = format!("empty, as long as `{}` is: without TLS no certificate is shown", setting("ca"));
            problems.check(identity.is_none(), &setting("cert"), &expected, &config.cert);
            return None;
        }
        let (_, ca) = authorities(&setting("ca"), &config.ca, problems)?;
        // PEM is text; what was read as PEM above has only such parts that matter
        let text = |pem: Vec<u8>| String::from_utf8_lossy(&pem).into_owned();
        Some(ClientPem { ca: text(ca), identity: identity.map(|both| (text(both.cert_pem), text(both.key_pem))) })
    }
}
