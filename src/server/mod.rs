//! `serve`: JSON-RPC, REST, the page, events and metrics over HTTP.
//!
//! Headers come from the stored chain, through [`Client`] and `query`, while the client's sync runs. Blocks and
//! transactions come from peers.

mod auth;
mod block_cache;
mod call_body;
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
mod service;
mod state;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzz::{fuzz_http, fuzz_rpc};
pub(crate) use options::{RpcCredentials, ServerOptions};
pub(crate) use state::ServerState;

use crate::client::{Client, Events};
use crate::node::{Event, bind_advice, build_runtime};
use auth::RpcAuthenticator;
use notify::Notifier;
use page::PageContext;
use service::HttpService;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::warn;

/// The number of threads that answer requests. They read single headers themselves, which takes microseconds.
const HTTP_THREADS: usize = 2;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The server cannot listen on an address.
    #[error(
        "cannot listen on {address}: {source}: {}",
        bind_advice(source, "--rpc-bind", "--rpc-port")
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
        let service = HttpService::new(Arc::clone(&state), authenticator, options, page);
        let (stop, stopped) = watch::channel(false);
        let notifier = Notifier::new(options.block_notify.clone(), options.reorg_notify.clone());
        let record = record_events(events, Arc::clone(&state), notifier);
        let run = move || {
            runtime.spawn(record);
            runtime.spawn(metrics::upkeep());
            if let Some(publish) = publish {
                runtime.spawn(publish);
            }
            runtime.block_on(http::serve(listeners, service, stopped));
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
