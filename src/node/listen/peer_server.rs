//! Runs a listener on its own thread.

use super::listener::PeerListener;
use super::options::ListenError;
use crate::node::build_runtime;
use crate::node::sync_task::Live;
use crate::store::SledStore;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{Builder as ThreadBuilder, JoinHandle};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tracing::error;

/// A listener that runs on its own thread, so that inbound peers cannot slow down the sync.
#[derive(Debug)]
pub(crate) struct PeerServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl PeerServer {
    /// Starts to serve peers from the stored chain. New tips are announced only while `live` says that the sync has
    /// caught up.
    ///
    /// # Errors
    /// The thread or its async runtime cannot be started.
    pub(crate) fn start(
        listener: PeerListener,
        store: Arc<SledStore>,
        live: watch::Receiver<Live>,
    ) -> Result<Self, ListenError> {
        let address = listener.address();
        let failed = |source: io::Error| ListenError::Thread { source };
        let runtime = build_runtime(&mut Builder::new_current_thread()).map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let run = move || {
            if let Err(error) = runtime.block_on(listener.run(store, live, stopped)) {
                error!("{error}");
            }
        };
        let thread = ThreadBuilder::new().name("listen".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { address, stop, thread })
    }

    /// Returns the address that the listener listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and waits until the thread no longer uses the store.
    pub(crate) fn end(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            error!("the thread that serves peers panicked");
        }
    }
}
