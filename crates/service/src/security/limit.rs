//! How much a caller may ask for: requests in work, requests in a second; what is too much is refused with when to come
//! again, before anything is done for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request as RestRequest};
use axum::middleware::Next;
use axum::response::Response as RestResponse;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codegen::http::header::RETRY_AFTER;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic_types::StatusExt;
use tower::{Layer, Service};

use super::listen::Peer;
use super::roles::{Role, needed};
use super::seldom::Seldom;
use crate::rest;
use crate::status::{Kind, Refusal};

/// By which gRPC clients know when they may try again, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What is proposed to a caller that has too many requests in work: nobody knows when one of them ends.
const PAUSE: Duration = Duration::from_millis(100);

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Requests in a second, at most; as many may come at once after a second of silence.
///
/// One number is enough: the moment at which the next request would be due if they came evenly.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u64,
    began: Instant,
    due_ns: AtomicU64,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        Rate { per_second: u64::from(per_second.max(1)), began: Instant::now(), due_ns: AtomicU64::new(0) }
    }

    /// One more request, or how long until there is room for one.
    fn take(&self) -> Result<(), Duration> {
        self.take_at(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn take_at(&self, now: u64) -> Result<(), Duration> {
        let step = NANOS_PER_SECOND / self.per_second;
        let latest = now.saturating_add(NANOS_PER_SECOND - step);
        let taken = self.due_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            (due <= latest).then(|| due.max(now).saturating_add(step))
        });
        taken.map(|_| ()).map_err(|due| Duration::from_nanos(due - latest))
    }
}

/// What all connections of a server may ask for together.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    requests_max: usize,
    all: Arc<Rate>,
    told: Arc<Seldom>,
}

/// Too much, and how long to wait.
struct TooMuch {
    refusal: Refusal,
    wait: Duration,
}

impl TooMuch {
    fn new(what: &str, expected: String, wait: Duration) -> Self {
        let wait = wait.max(Duration::from_millis(1));
        let refusal = Refusal::new(Kind::Exhausted, what)
            .expected(expected)
            .found("more")
            .way_out(format!("try again in {} ms, or raise the setting", wait.as_millis()));
        TooMuch { refusal, wait }
    }
}

impl Limits {
    /// `requests_max`: in work, per connection; `per_second_max`: of the whole server.
    pub(crate) fn new(requests_max: usize, per_second_max: u32) -> Self {
        Limits { requests_max, all: Arc::new(Rate::new(per_second_max)), told: Arc::default() }
    }

    /// Permits for the requests of one connection.
    pub(super) fn in_work(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.requests_max.min(Semaphore::MAX_PERMITS)))
    }

    /// The mesh's own calls and health count for their connection only: a flood from elsewhere must not make the mesh
    /// believe that this part of it is gone.
    fn admit(&self, what: &str, peer: Option<&Peer>, of_the_mesh: bool) -> Result<(), TooMuch> {
        let of_peer = peer.map_or(Ok(()), |peer| peer.rate.take().map_err(|wait| (peer.rate.per_second, wait)));
        let admitted = match of_peer {
            Err((most, wait)) => {
                let expected = format!("at most {most} requests a second on one connection (`connection_rate_max`)");
                Err(TooMuch::new(what, expected, wait))
            }
            Ok(()) if of_the_mesh => Ok(()),
            Ok(()) => self.all.take().map_err(|wait| {
                let most = self.all.per_second;
                TooMuch::new(what, format!("at most {most} requests a second (`server_rate_max`)"), wait)
            }),
        };
        admitted.inspect_err(|too_much| self.tell(too_much, peer))
    }

    fn tell(&self, too_much: &TooMuch, peer: Option<&Peer>) {
        if self.told.due() {
            let peer = peer.map(|peer| peer.address.to_string()).unwrap_or_default();
            tracing::warn!(peer, refusal = %too_much.refusal, "refused");
        }
    }
}

/// The limits in front of gRPC services.
#[derive(Debug, Clone)]
pub(crate) struct LimitLayer(pub(crate) Limits);

/// Service made by [`LimitLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Limited<S> {
    inner: S,
    limits: Limits,
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limits: self.0.clone() }
    }
}

impl<S, B> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let what = format!("call of {path}");
        let of_the_mesh = needed(path).is_none_or(|role| role == Role::Mesh);
        let peer = request.extensions().get::<Peer>();
        let admitted = self.limits.admit(&what, peer, of_the_mesh).and_then(|()| {
            let Some(peer) = peer else { return Ok(None) };
            peer.in_work.clone().try_acquire_owned().map(Some).map_err(|_| {
                let most = self.limits.requests_max;
                let expected = format!("at most {most} requests in work on one connection (`requests_max`)");
                let too_much = TooMuch::new(&what, expected, PAUSE);
                self.limits.tell(&too_much, Some(peer));
                too_much
            })
        });
        match admitted {
            Err(too_much) => Box::pin(std::future::ready(Ok(answer(&too_much)))),
            Ok(permit) => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let _in_work = permit;
                    answer.await
                })
            }
        }
    }
}

/// `RESOURCE_EXHAUSTED` with when to try again, in the two ways that clients know.
fn answer(too_much: &TooMuch) -> Response<Body> {
    let status = tonic::Status::from(&too_much.refusal);
    let mut details = status.get_error_details();
    details.set_retry_info(Some(too_much.wait));
    let mut answer = tonic::Status::with_error_details(status.code(), status.message(), details).into_http::<Body>();
    answer.headers_mut().insert(PUSHBACK, HeaderValue::from(too_much.wait.as_millis() as u64));
    answer
}

/// The limits in front of REST: 429 with `Retry-After`.
pub(crate) async fn rest_limit(limits: Limits, request: RestRequest, next: Next) -> RestResponse {
    let what = format!("{} {}", request.method(), request.uri().path());
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| &info.0);
    match limits.admit(&what, peer, false) {
        Ok(()) => next.run(request).await,
        Err(too_much) => {
            let mut answer = rest::refusal(&too_much.refusal);
            // whole seconds; 0 would be at once
            let seconds = too_much.wait.as_secs() + u64::from(too_much.wait.subsec_nanos() > 0);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_rate_come_at_once_and_then_one_at_a_time() {
        let rate = Rate::new(4);
        let quarter = NANOS_PER_SECOND / 4;
        for _ in 0..4 {
            rate.take_at(0).unwrap();
        }
        assert_eq!(rate.take_at(0), Err(Duration::from_millis(250)));
        assert_eq!(rate.take_at(quarter - 1), Err(Duration::from_nanos(1)));
        rate.take_at(quarter).unwrap();
        rate.take_at(quarter).unwrap_err();
        // a long silence saves nothing up beyond a second's worth
        let later = 100 * NANOS_PER_SECOND;
        assert_eq!((0..9).filter(|_| rate.take_at(later).is_ok()).count(), 4);
    }
}
