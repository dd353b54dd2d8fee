//! A stream to a peer, before anything was said on it.

use std::net::SocketAddr;

/// An open stream to a peer.
#[derive(Debug)]
pub struct Link<S> {
    /// The stream.
    pub stream: S,
    /// The address at the other end, unless that is a proxy's.
    pub remote: Option<SocketAddr>,
}
