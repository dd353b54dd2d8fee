//! How a connection is made, and who we are on it.

use super::options::SyncOptions;
use crate::chain::params;
use crate::net::{
    Config, Direction, Event, Link, OwnNonces, PeerHandle, PeerId, Timers, spawn, spawn_with,
};
use crate::primitives::Network;
use crate::wire::ServiceFlags;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio_socks::tcp::Socks5Stream;

/// Who we are to peers.
pub(super) fn config(options: &SyncOptions, start_height: u32) -> Config {
    Config {
        magic: options.params.magic,
        services: ServiceFlags::NONE,
        user_agent: concat!("/lightclient:", env!("CARGO_PKG_VERSION"), "/").to_owned(),
        start_height: i32::try_from(start_height).unwrap_or(i32::MAX),
        relay: false,
        timers: Timers::default(),
        own_nonces: OwnNonces::new(),
        known_magics: Network::ALL.map(|network| (params(network).magic, network.name())).to_vec(),
    }
}

/// Starts a connection to `host:port`, through the proxy if there is one.
pub(super) fn connect(
    id: PeerId,
    address: String,
    proxy: Option<String>,
    config: Arc<Config>,
    events: Sender<Event>,
) -> PeerHandle {
    match proxy {
        None => spawn(id, address, config, events),
        Some(proxy) => {
            let dial = dial_through(proxy, address.clone());
            spawn_with(id, address, Direction::Outbound, dial, config, events)
        }
    }
}

/// Connects to an address through a SOCKS5 proxy, which resolves the name if it is one.
async fn dial_through(proxy: String, address: String) -> io::Result<Link<Socks5Stream<TcpStream>>> {
    let socket = TcpStream::connect(&proxy)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("proxy {proxy}: {error}")))?;
    socket.set_nodelay(true)?;
    let stream = Socks5Stream::connect_with_socket(socket, address.as_str())
        .await
        .map_err(|error| io::Error::other(format!("proxy {proxy}: {error}")))?;
    Ok(Link { stream, remote: None })
}
