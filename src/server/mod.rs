//! `serve`: JSON-RPC, REST, the page, events and metrics over HTTP.
//!
//! Headers come from the stored chain, through [`Client`] and `query`, while the client's sync runs. Blocks and
//! transactions come from peers.

mod auth;
mod block_cache;
mod cross_site;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod fuzz;
mod health;
mod http;
mod metrics;
mod notify;
mod options;
mod page;
mod peer_requests;
mod rest;
mod rpc;
mod state;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzz::{fuzz_http, fuzz_rpc};
pub(crate) use options::{RpcCredentials, ServerOptions};
pub(crate) use state::ServerState;

use crate::client::{Client, Events};
use crate::config::HostPort;
use crate::node::{Event, build_runtime};
use auth::RpcAuthenticator;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt, Limited};
use notify::Notifier;
use page::PageContext;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
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

/// The number of threads that answer requests. They read single headers themselves, which takes microseconds.
const HTTP_THREADS: usize = 2;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The server cannot listen on an address.
    #[error(
        "cannot listen on {address}: {source}: is another node running? Choose another --rpc-bind or --rpc-port"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The cookie file cannot be written.
    #[error("cannot write the cookie file {}: {source}: choose another --rpc-cookie-file, or set --rpc-user and --rpc-password", path.display())]
    Cookie {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system did not start a thread.
    #[error("cannot start the server: {0}")]
    Thread(io::Error),
}

/// A running server, which has its own threads.
#[derive(Debug)]
pub(crate) struct Server {
    state: Arc<ServerState>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens, and answers requests with the data of `client` until [`Server::end`]. The RPC method `stop` sets
    /// `stop_program` to true.
    ///
    /// # Errors
    /// The server cannot listen on an address, write the cookie file, or start a thread.
    pub(crate) fn start(
        options: &ServerOptions,
        client: Arc<Client>,
        stop_program: watch::Sender<bool>,
    ) -> Result<Self, ServerError> {
        metrics::start();
        let runtime = start_runtime().map_err(ServerError::Thread)?;
        let mut listeners = Vec::new();
        for address in &options.bind {
            let bound = runtime.block_on(TcpListener::bind(address));
            listeners
                .push(bound.map_err(|source| ServerError::Bind { address: *address, source })?);
        }
        let cookie =
            |source| ServerError::Cookie { path: options.credentials.cookie_file.clone(), source };
        let authenticator = Arc::new(RpcAuthenticator::new(&options.credentials).map_err(cookie)?);
        let (events, page_events) = (client.events(), client.events());
        let state = Arc::new(ServerState::new(client, stop_program));
        let addresses: Vec<_> =
            listeners.iter().filter_map(|bound| bound.local_addr().ok()).collect();
        let page = || PageContext::new(Arc::clone(&state), options, &addresses);
        let page = options.page.then(|| Arc::new(page()));
        let publish = page.clone().map(|page| page::publish(page, page_events));
        let router = router(Arc::clone(&state), authenticator, options, page);
        let (stop, stopped) = watch::channel(false);
        let notifier = Notifier::new(options.block_notify.clone(), options.reorg_notify.clone());
        let record = record_events(events, Arc::clone(&state), notifier);
        let run = move || {
            runtime.spawn(record);
            runtime.spawn(metrics::upkeep());
            if let Some(publish) = publish {
                runtime.spawn(publish);
            }
            runtime.block_on(http::serve(listeners, router, stopped));
            runtime.shutdown_timeout(Duration::from_millis(100));
        };
        let thread = thread::Builder::new().name("http".to_owned()).spawn(run);
        Ok(Self { state, addresses, stop, thread: thread.map_err(ServerError::Thread)? })
    }

    /// Returns the addresses that the server listens on.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the state that all requests share.
    pub(crate) fn state(&self) -> &ServerState {
        &self.state
    }

    /// Ends all connections within about a second, and removes the cookie file.
    pub(crate) fn end(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            warn!("the server's thread panicked");
        }
    }
}

/// Records warnings and whether a peer is connected, and runs the user's commands, until the sync is over.
async fn record_events(mut events: Events, state: Arc<ServerState>, mut notifier: Notifier) {
    while let Some(event) = events.next().await {
        notifier.on_event(&event);
        match event {
            Event::Warning(text) => state.add_warning(text),
            Event::Offline(text) => state.set_offline(Some(text)),
            Event::Online => state.set_offline(None),
            _ => {}
        }
    }
}

fn start_runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    build_runtime(builder.worker_threads(HTTP_THREADS).thread_name("http"))
}

/// What answering JSON-RPC requests needs: the state of all requests, the credentials, and memory for bodies.
#[derive(Clone)]
struct RpcService {
    state: Arc<ServerState>,
    authenticator: Arc<RpcAuthenticator>,
    /// The free memory for small bodies and for longer ones, in KiB.
    bodies: Arc<[Semaphore; 2]>,
}

fn router(
    state: Arc<ServerState>,
    authenticator: Arc<RpcAuthenticator>,
    options: &ServerOptions,
    page: Option<Arc<PageContext>>,
) -> Router {
    let bodies = Arc::new(BODIES_KIB.map(Semaphore::new));
    let rpc =
        RpcService { state: Arc::clone(&state), authenticator: Arc::clone(&authenticator), bodies };
    let mut without_credentials = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics));
    if options.rest {
        without_credentials = without_credentials.merge(rest::router());
    }
    let page = page.map(page::router).unwrap_or_default();
    let allowed_hosts: Arc<[HostPort]> = options.allowed_hosts.clone().into();
    Router::new()
        .route("/", post(answer_rpc))
        .with_state(rpc)
        .merge(without_credentials.with_state(state))
        .merge(page)
        .layer(middleware::from_fn_with_state((authenticator, allowed_hosts), refuse_cross_site))
}

/// Refuses requests that a browser sends for a page of another site, unless they have credentials. RPC calls are not
/// refused here: [`answer_rpc`] answers calls without credentials with a challenge, as Bitcoin Core does.
async fn refuse_cross_site(
    State((authenticator, allowed_hosts)): State<(Arc<RpcAuthenticator>, Arc<[HostPort]>)>,
    request: Request,
    next: Next,
) -> Response {
    match cross_site::refusal(request.headers(), request.uri(), &allowed_hosts) {
        Some(reason) if !is_call(&request) && !authenticator.accepts(request.headers()) => {
            info!("http: request refused: {}", reason.trim_end());
            (StatusCode::FORBIDDEN, reason).into_response()
        }
        _ => next.run(request).await,
    }
}

fn is_call(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == "/"
}

async fn answer_rpc(State(service): State<RpcService>, headers: HeaderMap, body: Body) -> Response {
    if !service.authenticator.accepts(&headers) {
        if headers.contains_key(header::AUTHORIZATION) {
            warn!("http: a call with wrong credentials");
            sleep(WRONG_PASSWORD_DELAY).await;
        }
        // Source: Bitcoin Core `WWW_AUTH_HEADER_DATA`.
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"jsonrpc\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(MAX_BODY);
    if length > MAX_BODY {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let kib = u32::try_from(length.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
    let read = async {
        let memory = &service.bodies[usize::from(kib > SMALL_BODY_KIB)];
        let permit = memory.acquire_many(kib).await.ok()?;
        let body = Limited::new(body, MAX_BODY).collect().await;
        Some((permit, body.map(http_body_util::Collected::to_bytes)))
    };
    match timeout(BODY_TIMEOUT, read).await {
        Ok(Some((_permit, Ok(body)))) => rpc::answer(Arc::clone(&service.state), body).await,
        Ok(Some((_, Err(error)))) if error.is::<http_body_util::LengthLimitError>() => {
            StatusCode::PAYLOAD_TOO_LARGE.into_response()
        }
        Ok(_) => StatusCode::BAD_REQUEST.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
