//! The open stream to a peer.

use std::net::SocketAddr;

/// An open stream to a peer.
#[derive(Debug)]
pub struct PeerStream<S> {
    /// The stream.
    pub stream: S,
    /// The address at the other end; `None` through a proxy.
    pub remote: Option<SocketAddr>,
    /// The address at our end; `None` through a proxy.
    pub local: Option<SocketAddr>,
}
