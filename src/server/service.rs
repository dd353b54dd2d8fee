//! Answers HTTP requests: JSON-RPC calls directly, all others through axum's router.

use super::auth::RpcAuthenticator;
use super::call_body::{BodyMemory, discard};
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
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tower::ServiceExt;
use tracing::{info, warn};

/// How long the answer to wrong credentials is delayed, which slows down guessing.
///
/// Source: Bitcoin Core `HTTPReq_JSONRPC`.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_millis(250);

/// Answers requests.
pub(super) struct HttpService {
    state: Arc<ServerState>,
    authenticator: Arc<RpcAuthenticator>,
    bodies: BodyMemory,
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
        Self { state, authenticator, bodies: BodyMemory::new(), router }
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
        // None of these requests needs a body, so none is read.
        let has_body = !request.body().is_end_stream();
        match self.router.clone().oneshot(request.map(Body::new)).await {
            Ok(response) if has_body => closing(response),
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn answer_rpc<B>(&self, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        if !self.authenticator.accepts(&head.headers) {
            let response = challenge(&head.headers).await;
            // A client that waits for `100 Continue` does not send its body. To read it would ask for it.
            let is_read = !head.headers.contains_key(header::EXPECT) && discard(body).await;
            return if is_read { response } else { closing(response) };
        }
        match self.bodies.read(body).await {
            Ok(body) => rpc::answer(&self.state, &body.bytes).await,
            Err(status) => closing(status.into_response()),
        }
    }
}

/// Tells the client that the connection ends after this answer, because the rest of the request is not read.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
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
