//! Where connectors read and write: files, and sockets (`host:port`), to which they connect.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use mesh_connector::subscribe::sink;
use mesh_model::is_address;

/// A connection is given up after this long.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The other side must say something, or take something, at least this often.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// `host:port`, where no file has that name.
fn is_socket(name: &str) -> bool {
    is_address(name) && !name.starts_with(':') && !Path::new(name).exists()
}

fn connect(name: &str) -> io::Result<TcpStream> {
    let stream = sink::connect(name, CONNECT_MAX)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

/// What a publish connector reads, to its end.
pub(super) fn open(name: &str) -> io::Result<Box<dyn Read>> {
    Ok(if is_socket(name) { Box::new(connect(name)?) } else { Box::new(File::open(name)?) })
}

/// What a subscribe connector writes to.
pub(super) fn create(name: &str) -> io::Result<Box<dyn Write>> {
    if is_socket(name) {
        return Ok(Box::new(BufWriter::new(connect(name)?)));
    }
    Ok(Box::new(BufWriter::new(File::create(Path::new(name))?)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a helper that panics fails its test
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_host_with_a_port_is_a_socket() {
        assert!(is_socket("localhost:9000"));
        for name in ["in.csv", "folder/x:9000", "C:file", ":9000", "host:99999"] {
            assert!(!is_socket(name), "{name}");
        }
    }

    #[test]
    fn what_is_sent_is_read_and_what_is_written_arrives() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let other = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            first.write_all(b"i,n,1\n").unwrap();
            drop(first);
            let (mut second, _) = listener.accept().unwrap();
            let mut text = String::new();
            second.read_to_string(&mut text).unwrap();
            text
        });
        let mut text = String::new();
        open(&name).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "i,n,1\n");
        let mut to = create(&name).unwrap();
        to.write_all(b"I,N, 1\n").unwrap();
        drop(to);
        assert_eq!(other.join().unwrap(), "I,N, 1\n");
    }
}
