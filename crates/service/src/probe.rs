//! `--probe`: asks a running instance of this service whether it is ready, as a container's health check does.
//!
//! The settings are read as the service itself reads them, so the probe finds the admin server without being told, and
//! shows it the service's own certificate where one is asked for.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::config::{Base, Problems};
use crate::exit::Failure;
use crate::security::tls;

/// How long a connect, and how long the whole answer may take; a health check's own limit is longer.
const LIMIT: Duration = Duration::from_secs(2);

/// More of an answer is not read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// Asks `/readyz` of the admin server of these settings: what it says, or why this is not ready.
pub fn probe(base: &Base) -> Result<String, Failure> {
    let address = target(&base.admin_listen)?;
    let tls = if base.admin_secured && !base.tls.cert.is_empty() { Some(client(base)?) } else { None };
    let answer = ask(&address, tls)
        .map_err(|error| Failure::unavailable(format!("probe: GET /readyz of the admin server at {address}: {error}; is the service running, with the same settings?")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body = body.trim();
    if head.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    let status = head.lines().next().unwrap_or_default();
    Err(Failure::unavailable(format!("probe: {address} is not ready: {}", if body.is_empty() { status } else { body })))
}

/// Where the probe, which runs beside the service, reaches it.
fn target(admin_listen: &str) -> Result<String, Failure> {
    let (host, port) = admin_listen.rsplit_once(':').unwrap_or((admin_listen, "0"));
    if port == "0" {
        return Err(Failure::config(format!(
            "probe: setting `admin_listen`: expected a fixed port, found `{admin_listen}`; a probe cannot know which port the service got: set one, such as 127.0.0.1:7300"
        )));
    }
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    Ok(format!("{host}:{port}"))
}

/// How the admin server is reached over TLS. Its certificate is for the host of `advertise`, or else for the one that it
/// listens on.
fn client(base: &Base) -> Result<ClientConnection, Failure> {
    let mut problems = Problems::default();
    let config = tls::client_config(&base.tls, &mut problems);
    let Some(config) = config else { return Err(Failure::config(problems)) };
    let address = if base.advertise.is_empty() { &base.admin_listen } else { &base.advertise };
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    let wrong = |error: String| {
        Failure::config(format!("probe: `{host}` as the name in a certificate: {error}; set `advertise`"))
    };
    let name =
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| wrong(error.to_string()))?;
    ClientConnection::new(Arc::<ClientConfig>::new(config), name).map_err(|error| wrong(error.to_string()))
}

fn ask(address: &str, tls: Option<ClientConnection>) -> std::io::Result<String> {
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    let socket = address.to_socket_addrs()?.next().ok_or_else(none)?;
    let stream = TcpStream::connect_timeout(&socket, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    match tls {
        None => exchange(stream, address),
        Some(tls) => exchange(StreamOwned::new(tls, stream), address),
    }
}

fn exchange(mut stream: impl Read + Write, address: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    match stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer) {
        // servers close without the good-bye of TLS; the answer is there
        Err(error) if error.kind() != ErrorKind::UnexpectedEof || answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_runs_beside_the_service() {
        assert_eq!(target("0.0.0.0:7300").unwrap(), "127.0.0.1:7300");
        assert_eq!(target("[::]:7300").unwrap(), "[::1]:7300");
        assert_eq!(target("engine-1:7300").unwrap(), "engine-1:7300");
    }

    #[test]
    fn a_port_that_nobody_knows_is_refused_with_a_way_out() {
        let failure = target("127.0.0.1:0").unwrap_err();
        assert_eq!(failure.exit_code(), 64);
        assert!(failure.to_string().contains("`admin_listen`"), "{failure}");
        assert!(failure.to_string().contains("set one"), "{failure}");
    }
}
