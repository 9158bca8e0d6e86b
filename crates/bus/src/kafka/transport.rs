//! How the plain connection reaches a broker: as librdkafka is told to, without encryption or over TLS.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Settings of librdkafka's TLS that are followed; with any other `ssl.` setting the plain connection is not used.
const FOLLOWED: [&str; 3] = ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location"];

/// How connections are opened.
#[derive(Clone)]
pub(super) enum Transport {
    Plain,
    Tls(Arc<ClientConfig>),
}

/// An open connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    /// What the user's settings ask for; the error says why it cannot be done without librdkafka.
    pub(super) fn of(settings: &BTreeMap<String, String>) -> Result<Self, String> {
        match settings.get("security.protocol").map(|protocol| protocol.to_ascii_lowercase()).as_deref() {
            None | Some("plaintext") => return Ok(Transport::Plain),
            Some("ssl") => {}
            Some(other) => {
                return Err(format!("security.protocol={other}, and the fast fence speaks plaintext and ssl"));
            }
        }
        if let Some(other) = settings.keys().find(|key| key.starts_with("ssl.") && !FOLLOWED.contains(&key.as_str())) {
            return Err(format!("setting `{other}`: the fast fence follows {} only", FOLLOWED.join(", ")));
        }
        let file = |key: &str| -> Result<Option<Vec<u8>>, String> {
            let Some(path) = settings.get(key) else { return Ok(None) };
            std::fs::read(path).map(Some).map_err(|error| format!("setting `{key}={path}`: {error}"))
        };
        let Some(ca) = file("ssl.ca.location")? else {
            return Err("no setting `ssl.ca.location`, and the fast fence knows no other authorities".to_owned());
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ssl.ca.location", &ca)? {
            roots.add(certificate).map_err(|error| format!("setting `ssl.ca.location`: {error}"))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match (file("ssl.certificate.location")?, file("ssl.key.location")?) {
            (Some(chain), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(&key);
                let key = key.map_err(|error| format!("setting `ssl.key.location`: {error}"))?;
                let chain = certificates("ssl.certificate.location", &chain)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Transport::Tls(Arc::new(config)))
    }

    /// Opens a connection on a socket to `host:port`; the handshake happens with the first write.
    pub(super) fn open(&self, socket: TcpStream, address: &str) -> io::Result<Stream> {
        let Transport::Tls(config) = self else { return Ok(Stream::Plain(socket)) };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("`{host}`: {error}")))?;
        let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
    }
}

fn certificates(setting: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => Err(format!("setting `{setting}`: expected certificates, found none")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("setting `{setting}`: expected certificates in PEM form, found {error}")),
    }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Limits the next read and the next write of the socket; a handshake has several of each.
    pub(super) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket().set_read_timeout(Some(timeout))?;
        self.socket().set_write_timeout(Some(timeout))
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(into),
            Stream::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_settings;

    fn refused(settings: &str) -> String {
        Transport::of(&parse_settings(settings).unwrap()).err().unwrap_or_default()
    }

    #[test]
    fn the_fast_fence_follows_the_security_settings_or_says_why_not() {
        assert!(matches!(Transport::of(&BTreeMap::new()), Ok(Transport::Plain)));
        assert_eq!(refused("security.protocol=PLAINTEXT"), "");
        for (settings, expected) in [
            ("security.protocol=SASL_SSL", "speaks plaintext and ssl"),
            ("security.protocol=ssl", "no setting `ssl.ca.location`"),
            ("security.protocol=ssl;ssl.ca.location=/nowhere", "setting `ssl.ca.location=/nowhere`"),
            ("security.protocol=ssl;ssl.key.password=x", "setting `ssl.key.password`"),
        ] {
            assert!(refused(settings).contains(expected), "{settings}: {}", refused(settings));
        }
    }
}
