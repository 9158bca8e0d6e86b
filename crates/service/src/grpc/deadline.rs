//! Every request has a deadline: the caller's `grpc-timeout`, or the server's default.
//!
//! For streams it covers the time until the stream is opened, not its life.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::status::{Kind, Refusal};

/// Answers DEADLINE_EXCEEDED when the time is up.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeadlineLayer {
    pub(super) default: Duration,
}

/// Service made by [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub(super) struct Deadline<S> {
    inner: S,
    default: Duration,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, default: self.default }
    }
}

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let limit = grpc_timeout(request.headers()).unwrap_or(self.default);
        // a little less than the caller's own timer, so that our answer is there before it gives up;
        // tonic's server has the same timer but answers `Cancelled`
        let limit = limit - (limit / 20).min(Duration::from_millis(20));
        let path = request.uri().path().to_owned();
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    let refusal = Refusal::new(Kind::Deadline, format!("call of {path}"))
                        .expected(format!("an answer within {limit:?}"))
                        .found("none yet")
                        .way_out("allow more time, or see in the logs what it waits for");
                    Ok(tonic::Status::from(refusal).into_http())
                }
            }
        })
    }
}

/// Reads `grpc-timeout`: up to 8 digits and a unit. Malformed: as if it were not there.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_as_the_protocol_says() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            grpc_timeout(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        for wrong in ["", "m", "123456789m", "1x", "-1m"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
