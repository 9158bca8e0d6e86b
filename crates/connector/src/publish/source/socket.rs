//! Sockets: wait for somebody who sends, or connect to them. What was sent once cannot be asked for again.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{Chunk, IDLE_WAIT, Source};
use crate::publish::error::PublishError;

/// How long a connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket; a listening one takes one sender at a time and waits for the next when one has gone.
pub struct SocketSource {
    listener: Option<TcpListener>,
    stream: Option<TcpStream>,
    /// The last byte read, so that a sender that goes in the middle of a line does not join it with the next one's.
    ended_line: bool,
}

impl SocketSource {
    /// Waits for senders on this address.
    pub fn listen(address: &str) -> Result<SocketSource, PublishError> {
        let failed = |reason| PublishError::Source { name: address.to_owned(), reason };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        tracing::info!(address, "waiting for senders");
        Ok(SocketSource { listener: Some(listener), stream: None, ended_line: true })
    }

    /// Connects to a sender.
    pub fn connect(address: &str) -> Result<SocketSource, PublishError> {
        let connected = || -> io::Result<TcpStream> {
            use std::net::ToSocketAddrs;
            let mut last = io::Error::other("the name has no address");
            for candidate in address.to_socket_addrs()? {
                match TcpStream::connect_timeout(&candidate, CONNECT_TIMEOUT) {
                    Ok(stream) => {
                        stream.set_read_timeout(Some(IDLE_WAIT))?;
                        return Ok(stream);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let stream = connected().map_err(|reason| PublishError::Source { name: address.to_owned(), reason })?;
        Ok(SocketSource { listener: None, stream: Some(stream), ended_line: true })
    }

    /// The next sender, if one is there.
    fn accept(&mut self) -> io::Result<bool> {
        let Some(listener) = &self.listener else { return Ok(false) };
        match listener.accept() {
            Ok((stream, from)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(IDLE_WAIT))?;
                tracing::info!(%from, "sender connected");
                self.stream = Some(stream);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Source for SocketSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        if self.stream.is_none() && !self.accept()? {
            std::thread::sleep(IDLE_WAIT);
            return Ok(Chunk::Idle);
        }
        let Some(stream) = &mut self.stream else { return Ok(Chunk::Idle) };
        let read = match stream.read(buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(Chunk::Idle);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && self.listener.is_some() => 0,
            other => other?,
        };
        if read > 0 {
            self.ended_line = buffer[read - 1] == b'\n';
            return Ok(Chunk::Bytes(read));
        }
        if self.listener.is_none() {
            return Ok(Chunk::End);
        }
        tracing::info!("sender gone, waiting for the next");
        self.stream = None;
        if self.ended_line || buffer.is_empty() {
            return Ok(Chunk::Idle);
        }
        buffer[0] = b'\n';
        self.ended_line = true;
        Ok(Chunk::Bytes(1))
    }
}
