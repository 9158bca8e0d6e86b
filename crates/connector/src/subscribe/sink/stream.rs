//! Sinks that keep no position: at least once, and from the topic's start (or end) again after a restart.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use mesh_replication::adapter::SinkPosition;

use super::{Mark, Sink};
use crate::subscribe::error::SubscribeError;

/// How long a connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a write may wait for a reader that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a broken connection is made anew for one write.
const RECONNECTS_MAX: u32 = 5;
/// Wait before the first of them, doubled each time.
const RECONNECT_WAIT: Duration = Duration::from_millis(200);

/// Connects to the first address of a `host:port` that answers, each within this time.
pub fn connect(name: &str, within: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in name.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, within) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A socket or the standard output.
pub struct StreamSink {
    name: String,
    stream: Option<Box<dyn Write + Send>>,
    reconnects: bool,
}

impl StreamSink {
    /// Connects to a listener.
    pub fn connect(address: &str) -> Result<StreamSink, SubscribeError> {
        let mut sink = StreamSink { name: address.to_owned(), stream: None, reconnects: true };
        sink.reconnect().map_err(|reason| SubscribeError::Sink { name: address.to_owned(), reason })?;
        tracing::warn!(address, "a socket keeps no position: events are delivered at least once");
        Ok(sink)
    }

    /// The standard output.
    pub fn stdout() -> StreamSink {
        StreamSink { name: "standard output".to_owned(), stream: Some(Box::new(io::stdout())), reconnects: false }
    }

    fn reconnect(&mut self) -> io::Result<()> {
        let stream = connect(&self.name, CONNECT_TIMEOUT)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        self.stream = Some(Box::new(stream));
        Ok(())
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.stream.is_none() {
            self.reconnect()?;
        }
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.write_all(bytes)?;
        stream.flush()
    }
}

impl Sink for StreamSink {
    fn write(&mut self, bytes: &[u8], _mark: Mark) -> Result<(), SubscribeError> {
        let mut wait = RECONNECT_WAIT;
        for _ in 0..RECONNECTS_MAX {
            match self.try_write(bytes) {
                Ok(()) => return Ok(()),
                Err(error) if self.reconnects => {
                    tracing::warn!(sink = self.name, %error, "write failed, connecting again and sending it once more");
                    self.stream = None;
                    std::thread::sleep(wait);
                    wait *= 2;
                }
                Err(reason) => return Err(SubscribeError::Sink { name: self.name.clone(), reason }),
            }
        }
        self.try_write(bytes).map_err(|reason| SubscribeError::Sink { name: self.name.clone(), reason })
    }

    fn position(&self) -> Option<&SinkPosition> {
        None
    }
}
