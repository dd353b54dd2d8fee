//! Answers HTTP requests: JSON-RPC calls directly, all others through axum's router.

use super::auth::RpcAuthenticator;
use super::options::ServerOptions;
use super::page::{self, PageContext};
use super::state::ServerState;
use super::{cross_site, health, metrics, rest, rpc};
use crate::config::HostPort;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::{info, warn};

/// Longest body of a request in bytes. Source: Bitcoin Core `MIN_SUPPORTED_BODY_SIZE`.
const MAX_BODY: usize = 0x0200_0000;

/// Bodies up to this many KiB do not wait behind longer ones.
const SMALL_BODY_KIB: u32 = 64;

/// How much memory all small bodies together, and all longer ones together, may take, in KiB. Further bodies wait.
const BODIES_KIB: [usize; 2] = [8 << 10, 33 << 10];

/// How long a request may take in total to get memory for its body and to send the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the answer to wrong credentials is delayed, which slows down guessing.
///
/// Source: Bitcoin Core `HTTPReq_JSONRPC`.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_millis(250);

/// Answers requests.
pub(super) struct HttpService {
    state: Arc<ServerState>,
    authenticator: Arc<RpcAuthenticator>,
    /// The free memory for the bodies of calls, in KiB: small ones and longer ones.
    bodies: [Semaphore; 2],
    /// Answers all requests but calls.
    router: Router,
}

impl HttpService {
    /// Makes a service that answers calls with these credentials, and the requests that `options` allow.
    pub(super) fn new(
        state: Arc<ServerState>,
        authenticator: Arc<RpcAuthenticator>,
        options: &ServerOptions,
        page: Option<Arc<PageContext>>,
    ) -> Self {
        let router = router(&state, &authenticator, options, page);
        Self { state, authenticator, bodies: BODIES_KIB.map(Semaphore::new), router }
    }

    /// Answers a request.
    ///
    /// Calls do not pass the router: its layers would take as long as most calls do.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if request.method() == Method::POST && request.uri().path() == "/" {
            return self.answer_rpc(request).await;
        }
        match self.router.clone().oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn answer_rpc<B>(&self, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        if !self.authenticator.accepts(&head.headers) {
            return challenge(&head.headers).await;
        }
        let length = head.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(MAX_BODY);
        if length > MAX_BODY {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        let kib = u32::try_from(length.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
        let read = async {
            let memory = &self.bodies[usize::from(kib > SMALL_BODY_KIB)];
            let permit = memory.acquire_many(kib).await.ok()?;
            let body = Limited::new(body, MAX_BODY).collect().await;
            Some((permit, body.map(http_body_util::Collected::to_bytes)))
        };
        match timeout(BODY_TIMEOUT, read).await {
            Ok(Some((_permit, Ok(body)))) => rpc::answer(&self.state, &body).await,
            Ok(Some((_, Err(error)))) if error.is::<LengthLimitError>() => {
                StatusCode::PAYLOAD_TOO_LARGE.into_response()
            }
            Ok(_) => StatusCode::BAD_REQUEST.into_response(),
            Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
        }
    }
}

/// Answers a call without the right credentials, after [`WRONG_PASSWORD_DELAY`] if it has wrong ones.
async fn challenge(headers: &HeaderMap) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        warn!("http: a call with wrong credentials");
        sleep(WRONG_PASSWORD_DELAY).await;
    }
    // Source: Bitcoin Core `WWW_AUTH_HEADER_DATA`.
    let basic = HeaderValue::from_static("Basic realm=\"jsonrpc\"");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, basic)]).into_response()
}

fn router(
    state: &Arc<ServerState>,
    authenticator: &Arc<RpcAuthenticator>,
    options: &ServerOptions,
    page: Option<Arc<PageContext>>,
) -> Router {
    let mut router = Router::new()
        // POST does not come here. The route makes the answer to other methods 405, with POST as what is allowed.
        .route("/", post(|| async { StatusCode::METHOD_NOT_ALLOWED }))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics));
    if options.rest {
        router = router.merge(rest::router());
    }
    let page = page.map(page::router).unwrap_or_default();
    let allowed_hosts: Arc<[HostPort]> = options.allowed_hosts.clone().into();
    let cross_site_state = (Arc::clone(authenticator), allowed_hosts);
    router
        .with_state(Arc::clone(state))
        .merge(page)
        .layer(middleware::from_fn_with_state(cross_site_state, refuse_cross_site))
}

/// Refuses requests that a browser sends for a page of another site, unless they have credentials. RPC calls do not
/// come here: a call without credentials is answered with a challenge, as Bitcoin Core does.
async fn refuse_cross_site(
    State((authenticator, allowed_hosts)): State<(Arc<RpcAuthenticator>, Arc<[HostPort]>)>,
    request: Request,
    next: Next,
) -> Response {
    match cross_site::refusal(request.headers(), request.uri(), &allowed_hosts) {
        Some(reason) if !authenticator.accepts(request.headers()) => {
            info!("http: request refused: {}", reason.trim_end());
            (StatusCode::FORBIDDEN, reason).into_response()
        }
        _ => next.run(request).await,
    }
}
