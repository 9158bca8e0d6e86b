//! Whether a part really answers: one question in its own protocol, over plain sockets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::part::{BROKERS, Part, Ports};

const CONNECT_LIMIT: Duration = Duration::from_millis(500);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Longest answer that is read; the real ones are below 1 KB.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Asks a part once; an error says what it answered instead.
pub fn probe(part: Part, ports: &Ports) -> Result<()> {
    let port = ports.client_port(part);
    match part {
        Part::Kafka(number) => {
            let brokers = brokers_known_to(port)?;
            ensure!(
                brokers.contains(&i32::from(number)),
                "the cluster does not list broker {number} as alive (it lists {brokers:?})"
            );
        }
        Part::Zookeeper => {
            let answer = ask(port, b"srvr")?;
            ensure!(answer.contains("Mode:"), "asked srvr, got {answer:?}");
        }
        Part::Etcd => {
            let answer = http_get(port, "/health")?;
            ensure!(answer.contains("\"health\":\"true\""), "asked /health, got {answer:?}");
        }
        Part::Jaeger => {
            let answer = http_get(port, "/api/services")?;
            ensure!(answer.starts_with("HTTP/1.1 200"), "asked /api/services, got {answer:?}");
            connect(ports.otlp).context("its OTLP receiver")?;
        }
    }
    Ok(())
}

/// Whether a broker sees all brokers of the stack alive.
pub fn cluster_is_complete(ports: &Ports) -> Result<()> {
    for port in ports.kafka {
        let brokers = brokers_known_to(port)?;
        ensure!(brokers.len() == usize::from(BROKERS), "the broker on port {port} knows only {brokers:?}");
    }
    Ok(())
}

fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream =
        TcpStream::connect_timeout(&address, CONNECT_LIMIT).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).context("setting the read timeout")?;
    stream.set_write_timeout(Some(ANSWER_LIMIT)).context("setting the write timeout")?;
    Ok(stream)
}

fn ask(port: u16, question: &[u8]) -> Result<String> {
    let mut stream = connect(port)?;
    stream.write_all(question).context("sending the question")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).context("reading the answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn http_get(port: u16, path: &str) -> Result<String> {
    ask(port, format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").as_bytes())
}

/// Ids of the brokers that are registered and not fenced: a DescribeCluster (key 60, version 0) request.
fn brokers_known_to(port: u16) -> Result<Vec<i32>> {
    let mut stream = connect(port)?;
    let mut request: Vec<u8> = Vec::new();
    request.extend(60i16.to_be_bytes()); // key
    request.extend(0i16.to_be_bytes()); // version
    request.extend(1i32.to_be_bytes()); // correlation id
    request.extend((-1i16).to_be_bytes()); // no client id
    request.extend([0, 0, 0]); // header tags, authorized operations: no, body tags
    let length = u32::try_from(request.len()).expect("a request of 13 bytes");
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat()).context("sending DescribeCluster")?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("reading the answer to DescribeCluster")?;
    let length = u64::from(u32::from_be_bytes(length));
    ensure!(length <= ANSWER_BYTES, "an answer of {length} bytes to DescribeCluster");
    let mut answer = Vec::new();
    stream.take(length).read_to_end(&mut answer).context("reading the answer to DescribeCluster")?;
    parse_brokers(&answer).with_context(|| format!("reading the {} bytes that answer DescribeCluster", answer.len()))
}

fn parse_brokers(answer: &[u8]) -> Result<Vec<i32>> {
    let mut rest = Fields(answer);
    rest.skip(4 + 1 + 4)?; // correlation id, header tags, throttle time
    let error = rest.bytes(2)?;
    if error != [0, 0] {
        bail!("error code {}", i16::from_be_bytes([error[0], error[1]]));
    }
    rest.compact()?; // error message
    rest.compact()?; // cluster id
    rest.skip(4)?; // controller id
    let count = rest.length()?;
    let mut brokers = Vec::new();
    for _ in 0..count {
        let id = rest.bytes(4)?;
        brokers.push(i32::from_be_bytes([id[0], id[1], id[2], id[3]]));
        rest.compact()?; // host
        rest.skip(4)?; // port
        rest.compact()?; // rack
        rest.skip(1)?; // tags
    }
    Ok(brokers)
}

/// Reads Kafka's compact encoding, in lengths below 128, which is all that occurs here.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        ensure!(count <= self.0.len(), "it ends too early");
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(head)
    }

    fn skip(&mut self, count: usize) -> Result<()> {
        self.bytes(count).map(|_| ())
    }

    /// A compact length: stored plus one, zero stands for null.
    fn length(&mut self) -> Result<usize> {
        let stored = self.bytes(1)?[0];
        ensure!(stored < 128, "a length of more than 126");
        Ok(usize::from(stored).saturating_sub(1))
    }

    fn compact(&mut self) -> Result<()> {
        let length = self.length()?;
        self.skip(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_from_an_answer() {
        let mut answer = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        answer.extend([0, 3, b'i', b'd', 0, 0, 0, 2, 3]);
        for id in [1, 3] {
            answer.extend([0, 0, 0, id, 2, b'h', 0, 0, 0x4a, 0x94, 0, 0]);
        }
        answer.extend([0, 0, 0, 0, 0]);
        assert_eq!(parse_brokers(&answer).unwrap(), [1, 3]);
    }

    #[test]
    fn a_cut_or_refused_answer_is_an_error() {
        assert!(parse_brokers(&[0, 0, 0, 1, 0]).is_err());
        let refused = parse_brokers(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 35]).unwrap_err();
        assert_eq!(refused.to_string(), "error code 35");
    }
}
