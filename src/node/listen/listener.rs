//! Accepts inbound connections, and starts a task for each.

use super::admission::Origin;
use super::connection::{InboundConnection, Shared};
use super::inbound::InboundPeers;
use super::new_tip::NewTip;
use super::options::{ListenError, ListenOptions};
use super::read_ahead::MAX_AHEAD;
use super::tips;
use crate::chainstate::unix_now_secs;
use crate::net::{Config, spawn_accepted};
use crate::node::peer_options::net_config;
use crate::node::sync_task::Live;
use crate::store::{HeaderStore, SledStore};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

/// The longest payload, in bytes, that a peer may send. The longest useful message is a full `headers` (162 kB).
const MAX_PAYLOAD: u32 = 256 * 1024;

/// How many events of a connection may be queued for its task. When the queue is full, the connection stops reading.
const EVENT_QUEUE: usize = 1;

/// How long to wait after the system could not accept a connection, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that peers can connect to.
#[derive(Debug)]
pub(crate) struct PeerListener {
    options: ListenOptions,
    socket: StdListener,
    address: SocketAddr,
    peers: InboundPeers,
}

impl PeerListener {
    /// Starts to listen. [`PeerListener::run`] accepts the connections, and `peers` lists them.
    ///
    /// # Errors
    /// The system does not let us listen on the address, for example because the address is in use.
    pub(crate) fn bind(options: ListenOptions, peers: InboundPeers) -> Result<Self, ListenError> {
        let address = options.address;
        let bound = StdListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        });
        let (socket, address) = bound.map_err(|source| ListenError::Bind { address, source })?;
        peers.set_services(options.services);
        Ok(Self { options, socket, address, peers })
    }

    /// Returns the socket's address. If the options say port 0, the system has chosen the port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves peers from the stored chain until `stop` becomes true. Once this returns, the listener no longer uses the
    /// store.
    ///
    /// New tips are announced while `live` says that the sync follows the chain.
    ///
    /// # Errors
    /// The system cannot wait for connections.
    pub(crate) async fn run(
        self,
        store: Arc<SledStore>,
        live: watch::Receiver<Live>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ListenError> {
        let address = self.address;
        let socket = TcpListener::from_std(self.socket);
        let socket = socket.map_err(|source| ListenError::Bind { address, source })?;
        let reading = Arc::new(Semaphore::new(1));
        let (tip_sender, tips) = watch::channel(None);
        let server = HeaderListener {
            shared: Arc::new(Shared {
                options: self.options,
                store: Arc::clone(&store),
                reading: Arc::clone(&reading),
                ahead: Arc::new(Semaphore::new(MAX_AHEAD)),
                addresses: tokio::sync::Mutex::default(),
                budgets: Mutex::default(),
                warned: AtomicBool::new(false),
                started: Instant::now(),
            }),
            peers: self.peers,
            tips,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(tips::follow(store, Arc::clone(&reading), live, tip_sender));
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            never = server.accept_all(&socket, &mut tasks) => match never {},
        }
        tasks.shutdown().await;
        // A read on another thread may still use the store. Such a read keeps the permit until it ends.
        drop(reading.acquire().await);
        Ok(())
    }
}

/// Accepts connections, and starts their tasks.
struct HeaderListener {
    shared: Arc<Shared>,
    peers: InboundPeers,
    tips: watch::Receiver<Option<Arc<NewTip>>>,
}

impl HeaderListener {
    async fn accept_all(
        &self,
        socket: &TcpListener,
        tasks: &mut JoinSet<()>,
    ) -> std::convert::Infallible {
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok((stream, remote)) => self.accept(stream, remote, tasks),
                    Err(error) => {
                        warn!("cannot accept a connection: {error}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Starts the task of a connection, or closes the connection if it is not admitted.
    fn accept(&self, stream: TcpStream, remote: SocketAddr, tasks: &mut JoinSet<()>) {
        let Some(admitted) = self.peers.admit(remote, unix_now_secs()) else {
            debug!("refused a connection from {remote}");
            return;
        };
        // With this option, small messages do not wait for the acknowledgement of earlier messages. If the option
        // cannot be set, small messages are only slower.
        stream.set_nodelay(true).ok();
        let (shared, tips) = (Arc::clone(&self.shared), self.tips.clone());
        tasks.spawn(async move {
            let (sender, events) = mpsc::channel(EVENT_QUEUE);
            let Some(height) = tip_height(Arc::clone(&shared)).await else { return };
            let config = config(&shared.options, height);
            let peer = admitted.peer;
            let local = stream.local_addr().ok();
            let (config, ends) = (Arc::new(config), (remote, local));
            let handle = Arc::new(spawn_accepted(peer, stream, ends, config, sender));
            admitted.record_handle(&handle);
            let origin = Origin::of(remote.ip());
            InboundConnection { shared, admitted, origin, handle, events, tips }.run().await;
        });
    }
}

/// Returns the height of the stored tip; `None` if the program is ending, or the read panicked.
async fn tip_height(shared: Arc<Shared>) -> Option<u32> {
    // The read below waits while headers are being stored, so it runs on a thread that may block.
    let permit = Arc::clone(&shared.reading).acquire_owned().await.ok()?;
    let read = spawn_blocking(move || {
        let height = shared.store.tip().height;
        drop(shared);
        // The store must not be used any more when the next task gets the permit.
        drop(permit);
        height
    });
    read.await.ok()
}

/// Returns the settings of a connection. Our `version` states `height`, the height of the stored tip.
fn config(options: &ListenOptions, height: u32) -> Config {
    Config {
        services: options.services,
        max_payload: MAX_PAYLOAD,
        own_nonces: options.own_nonces.clone(),
        ..net_config(options.params, height, options.timers)
    }
}
