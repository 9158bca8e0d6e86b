//! A plain blocking connection that speaks a few requests of the Kafka protocol.

use bytes::{Buf, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::transport::{Stream, Transport};

/// Limit of an answer; ours are a few hundred bytes.
const ANSWER_MAX: usize = 1024 * 1024;

/// An API of Kafka in the one version that is spoken.
#[derive(Clone, Copy)]
pub(super) struct Api {
    pub(super) name: &'static str,
    pub(super) key: i16,
    pub(super) version: i16,
}

pub(super) struct Connection {
    stream: Stream,
    pub(super) address: String,
    client: StrBytes,
    correlation: i32,
}

fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

/// What is left until `until`; an error when nothing is.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    // A zero timeout means "none" to a socket.
    if left.is_zero() {
        return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
    }
    Ok(left)
}

impl Connection {
    /// Connects to `host:port`, trying each address that the name resolves to.
    pub(super) fn open(address: &str, transport: &Transport, client: &str, until: Instant) -> io::Result<Self> {
        let mut last = invalid(format!("`{address}` resolves to no address"));
        for resolved in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&resolved, left(until)?) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    return Ok(Self {
                        stream: transport.open(socket, address)?,
                        address: address.to_owned(),
                        client: StrBytes::from_string(client.to_owned()),
                        correlation: 0,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a request and waits for its answer. After an error the connection is of no use: drop it.
    pub(super) fn call<Q, A>(&mut self, api: Api, request: &Q, until: Instant) -> io::Result<A>
    where
        Q: Encodable + HeaderVersion,
        A: Decodable + HeaderVersion,
    {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(api.key)
            .with_request_api_version(api.version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(self.client.clone()));
        let mut out = BytesMut::with_capacity(256);
        out.extend_from_slice(&[0; 4]);
        header
            .encode(&mut out, Q::header_version(api.version))
            .and_then(|()| request.encode(&mut out, api.version))
            .map_err(|error| invalid(format!("encoding {}: {error}", api.name)))?;
        let length = i32::try_from(out.len() - 4).map_err(|_| invalid(format!("{} is too long", api.name)))?;
        out[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.set_timeout(left(until)?)?;
        self.stream.write_all(&out)?;
        self.stream.flush()?;

        let mut size = [0; 4];
        self.read(&mut size, until)?;
        let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if size > ANSWER_MAX {
            return Err(invalid(format!("{} was answered with {size} bytes, limit {ANSWER_MAX}", api.name)));
        }
        let mut answer = BytesMut::zeroed(size);
        self.read(&mut answer, until)?;
        let mut answer = answer.freeze();
        let header = ResponseHeader::decode(&mut answer, A::header_version(api.version))
            .map_err(|error| invalid(format!("decoding the answer to {}: {error}", api.name)))?;
        if header.correlation_id != self.correlation {
            return Err(invalid(format!("{} got the answer to another request", api.name)));
        }
        let decoded = A::decode(&mut answer, api.version)
            .map_err(|error| invalid(format!("decoding the answer to {}: {error}", api.name)))?;
        if answer.has_remaining() {
            return Err(invalid(format!("{} bytes too many in the answer to {}", answer.remaining(), api.name)));
        }
        Ok(decoded)
    }

    fn read(&mut self, mut into: &mut [u8], until: Instant) -> io::Result<()> {
        while !into.is_empty() {
            self.stream.set_timeout(left(until)?)?;
            match self.stream.read(into) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the broker closed the connection")),
                Ok(read) => into = &mut into[read..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
    use std::net::TcpListener;

    const API: Api = Api { name: "FindCoordinator", key: 10, version: 4 };

    /// A call to a broker that reads the request, writes `answer` and keeps the connection as long as it is told.
    fn call_to(answer: Vec<u8>, keep: Duration) -> (io::Error, Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let broker = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut size = [0; 4];
            stream.read_exact(&mut size).unwrap();
            let mut request = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&answer).unwrap();
            std::thread::sleep(keep);
        });
        let start = Instant::now();
        let until = start + Duration::from_millis(300);
        let mut connection = Connection::open(&address, &Transport::Plain, "test", until).unwrap();
        let called: io::Result<FindCoordinatorResponse> =
            connection.call(API, &FindCoordinatorRequest::default(), until);
        let took = start.elapsed();
        broker.join().unwrap();
        (called.unwrap_err(), took)
    }

    #[test]
    fn a_silent_broker_costs_the_deadline_and_no_more() {
        let (error, took) = call_to(Vec::new(), Duration::from_millis(600));
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(took < Duration::from_millis(550), "took {took:?}");
    }

    #[test]
    fn a_closed_connection_is_told_from_an_answer_that_makes_no_sense() {
        assert_eq!(call_to(Vec::new(), Duration::ZERO).0.kind(), ErrorKind::UnexpectedEof);
        // 2 GB announced; then another request's answer; then cut short inside.
        for answer in [&b"\x7f\xff\xff\xff"[..], b"\0\0\0\x05\0\0\0\x63\0", b"\0\0\0\x06\0\0\0\x01\0\0"] {
            let (error, _) = call_to(answer.to_vec(), Duration::ZERO);
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        }
    }
}
