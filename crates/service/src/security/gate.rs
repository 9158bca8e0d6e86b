//! Asks at every request for a token that may do this.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request as RestRequest;
use axum::middleware::Next;
use axum::response::Response as RestResponse;
use tonic::body::Body;
use tonic::codegen::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use tonic::codegen::http::{HeaderValue, Method, Request, Response};
use tower::{Layer, Service};

use super::current::Current;
use super::roles::{Role, needed};
use super::seldom::Seldom;
use super::tokens::{Holder, Tokens};
use crate::config::Problems;
use crate::rest;
use crate::status::{Kind, Refusal};

/// Decides who may call what. Without tokens: everybody, everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    pub(super) tokens: Option<Current<Tokens>>,
    told: Arc<Seldom>,
}

impl Gate {
    /// From the setting `auth.tokens`.
    pub(super) fn load(path: &str, problems: &mut Problems) -> Self {
        let tokens = if path.is_empty() { None } else { Tokens::load(path, problems) };
        Gate { tokens: tokens.map(Current::new), told: Arc::default() }
    }

    fn tell(&self, refusal: &Refusal) {
        if self.told.due() {
            tracing::warn!(%refusal, "refused");
        }
    }

    /// True when tokens are asked for.
    pub(crate) fn is_closed(&self) -> bool {
        self.tokens.is_some()
    }

    /// Whether a caller with this token may do what needs a role. `Ok(None)`: nobody is asked for a token here.
    fn admit(&self, what: &str, token: Option<&str>, needed: Option<Role>) -> Result<Option<Holder>, Refusal> {
        let (Some(tokens), Some(needed)) = (&self.tokens, needed) else { return Ok(None) };
        let refusal = |kind, found: String| {
            Refusal::new(kind, what)
                .expected(format!("a token with the role `{}`", needed.name()))
                .found(found)
                .way_out(
                    "send `authorization: Bearer TOKEN`; tokens and roles are in the file that `auth.tokens` names",
                )
        };
        let Some(token) = token else { return Err(refusal(Kind::Unauthenticated, "none".to_owned())) };
        match tokens.get().holder(token) {
            None => Err(refusal(Kind::Unauthenticated, "one that is not known".to_owned())),
            Some(holder) if holder.role < needed => {
                Err(refusal(Kind::Denied, format!("`{}`, whose role is `{}`", holder.name, holder.role.name())))
            }
            Some(holder) => Ok(Some(holder.clone())),
        }
    }
}

/// The token of `authorization: Bearer TOKEN`, or of `Basic`, whose password it is (clients that know only passwords).
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        use base64::Engine as _;
        let decoded = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
        return Some(String::from_utf8(decoded).ok()?.split_once(':')?.1.to_owned());
    }
    None
}

/// Name of the token that a call came with: an extension of the request, where tokens are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(pub String);

/// The gate in front of gRPC services.
#[derive(Debug, Clone)]
pub(crate) struct GateLayer(pub(crate) Gate);

/// Service made by [`GateLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.0.clone() }
    }
}

impl<S, B> Service<Request<B>> for Gated<S>
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !self.gate.is_closed() {
            return Box::pin(self.inner.call(request));
        }
        let path = request.uri().path().to_owned();
        let (needed, token) = (needed(&path), bearer(request.headers()));
        match self.gate.admit(&format!("call of {path}"), token.as_deref(), needed) {
            Err(refusal) => {
                self.gate.tell(&refusal);
                let answer = tonic::Status::from(refusal).into_http();
                Box::pin(std::future::ready(Ok(answer)))
            }
            Ok(holder) => {
                if let Some(holder) = holder {
                    // who changed what is told once, here, for every call
                    if needed.is_some_and(|role| (Role::Operate..Role::Mesh).contains(&role)) {
                        tracing::info!(caller = holder.name, path, "call");
                    }
                    request.extensions_mut().insert(TokenName(holder.name));
                }
                Box::pin(self.inner.call(request))
            }
        }
    }
}

/// The gate in front of REST: looking needs `view`, everything else `deploy`. Clients that cannot set a header may send
/// `?access_token=TOKEN`.
pub(crate) async fn rest_gate(gate: Gate, request: RestRequest, next: Next) -> RestResponse {
    let looks = request.method() == Method::GET || request.method() == Method::HEAD;
    let role = if looks { Role::View } else { Role::Deploy };
    let in_query = || {
        let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == "access_token").map(|(_, token)| token.to_owned())
    };
    let token = bearer(request.headers()).or_else(in_query);
    let what = format!("{} {}", request.method(), request.uri().path());
    match gate.admit(&what, token.as_deref(), Some(role)) {
        Ok(_) => next.run(request).await,
        Err(refusal) => {
            gate.tell(&refusal);
            let mut answer = rest::refusal(&refusal);
            if refusal.kind == Kind::Unauthenticated {
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            answer
        }
    }
}
