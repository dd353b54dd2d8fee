//! The options of a listener, and its errors.

use crate::chain::Params;
use crate::net::{OwnNonces, Timers};
use crate::primitives::Work;
use crate::wire::ServiceFlags;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long the handshake may take. Source: Bitcoin Core `DEFAULT_PEER_CONNECT_TIMEOUT`.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(60);

/// The options of a listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenOptions {
    /// The network.
    pub params: &'static Params,
    /// The address to listen on.
    pub address: SocketAddr,
    /// The services that our `version` offers.
    pub services: ServiceFlags,
    /// A chain with less work is not served.
    pub min_chain_work: Work,
    /// The folder of the address manager whose addresses are sent to peers that ask; `None` to send none.
    pub addrman_folder: Option<PathBuf>,
    /// The `version` nonces of all our connections, by which we recognise a connection to ourselves.
    pub own_nonces: OwnNonces,
    /// The deadlines of a connection.
    pub timers: Timers,
}

impl ListenOptions {
    /// Returns the options of a listener that offers no services and serves any chain.
    pub(crate) fn new(params: &'static Params, address: SocketAddr) -> Self {
        Self {
            params,
            address,
            services: ServiceFlags::NONE,
            min_chain_work: Work::default(),
            addrman_folder: None,
            own_nonces: OwnNonces::new(),
            timers: Timers { handshake: HANDSHAKE_DEADLINE, ..Timers::default() },
        }
    }
}

/// Returns what to do if the system does not let a server listen on an address. `address` and `port` are the options to
/// change.
pub(crate) fn bind_advice(source: &io::Error, address: &str, port: &str) -> String {
    match source.kind() {
        io::ErrorKind::AddrNotAvailable => {
            format!("this computer does not have the address: choose another {address}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need privileges: choose another {port}")
        }
        _ if address == port => format!("is another node running? Choose another {address}"),
        _ => format!("is another node running? Choose another {address} or {port}"),
    }
}

/// Why peers cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The system does not let us listen on the address, for example because the address is in use.
    #[error(
        "cannot listen for peers on {address}: {source}: {}",
        bind_advice(source, "--listen", "--listen")
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system did not start a thread.
    #[error("cannot start to serve peers: {source}")]
    Thread {
        /// The system's error.
        source: io::Error,
    },
}
