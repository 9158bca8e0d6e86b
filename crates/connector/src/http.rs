//! HTTP requests with limits: time, size of the answer, no redirects (they would lead to hosts that nobody permitted).

use std::time::Duration;

use ureq::{Agent, Body, http};

/// Longest time of a request, from the connect to the last byte of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
pub const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why a request gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The server says that it will never take it.
    Refused(String),
    /// It may go another time.
    Unavailable(String),
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HttpError::Refused(why) | HttpError::Unavailable(why) => f.write_str(why),
        }
    }
}

/// `host:port` of an address, the port of its scheme where it names none.
///
/// # Errors
/// What is wrong with it.
pub fn host_port(url: &str) -> Result<String, String> {
    let wrong = || format!("`{url}` is no address of the form http://host:port/path or https://host/path");
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    let port = match (uri.scheme_str(), uri.port_u16()) {
        (Some("http" | "https"), Some(port)) => port,
        (Some("http"), None) => 80,
        (Some("https"), None) => 443,
        _ => return Err(wrong()),
    };
    Ok(format!("{}:{port}", uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?))
}

/// Asks servers.
#[derive(Debug, Clone)]
pub struct Http(Agent);

impl Default for Http {
    fn default() -> Http {
        let config = Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("esp-mesh/", env!("CARGO_PKG_VERSION")))
            .build();
        Http(config.into())
    }
}

impl Http {
    /// The body of an answer.
    ///
    /// # Errors
    /// When there is none, or it is too long.
    pub fn get(&self, url: &str, headers: &[(String, String)]) -> Result<Vec<u8>, HttpError> {
        let request = headers.iter().fold(self.0.get(url), |request, (name, value)| request.header(name, value));
        let mut answer = taken(url, request.call())?;
        let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        read.map_err(|error| HttpError::Unavailable(format!("GET {}: {error}", shown(url))))
    }

    /// Hands something over.
    ///
    /// # Errors
    /// When the server did not take it.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(), HttpError> {
        let request = headers.iter().fold(self.0.post(url), |request, (name, value)| request.header(*name, *value));
        taken(url, request.send(body)).map(drop)
    }
}

/// An address without what may be secret: user, password, and what stands behind `?`.
fn shown(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    if url[..end].contains('@') { "an address with a password in it" } else { &url[..end] }
}

fn taken(url: &str, result: Result<http::Response<Body>, ureq::Error>) -> Result<http::Response<Body>, HttpError> {
    let url = shown(url);
    let answer = result.map_err(|error| HttpError::Unavailable(format!("{url}: {error}")))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let said = format!("{url} answers {status}, expected 2xx");
    // Too many requests, a time that ran out, a server in trouble: another time.
    let later = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    Err(if later { HttpError::Unavailable(said) } else { HttpError::Refused(said) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(host_port("http://a.org/x?y=1").as_deref(), Ok("a.org:80"));
        assert_eq!(host_port("https://a.org").as_deref(), Ok("a.org:443"));
        assert_eq!(host_port("https://a.org:8443/x").as_deref(), Ok("a.org:8443"));
        for wrong in ["a.org/x", "ftp://a.org/", "http://", "x", ""] {
            assert!(host_port(wrong).is_err(), "{wrong}");
        }
        assert_eq!(shown("http://a.org/x?token=1"), "http://a.org/x");
        assert!(!shown("http://user:secret@a.org/x").contains("secret"));
    }
}
