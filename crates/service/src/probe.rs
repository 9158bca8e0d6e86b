//! `--probe`: asks a running instance of this service whether it is ready, as a container's health check does.
//!
//! The settings are read as the service itself reads them, so the probe finds the admin server without being told.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::exit::Failure;

/// How long a connect, and how long the whole answer may take; a health check's own limit is longer.
const LIMIT: Duration = Duration::from_secs(2);

/// More of an answer is not read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// Asks `/readyz` of the admin server that listens on `admin_listen`: what it says, or why this is not ready.
pub fn probe(admin_listen: &str) -> Result<String, Failure> {
    let address = target(admin_listen)?;
    let answer = ask(&address)
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

fn ask(address: &str) -> std::io::Result<String> {
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    let socket = address.to_socket_addrs()?.next().ok_or_else(none)?;
    let mut stream = TcpStream::connect_timeout(&socket, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
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
