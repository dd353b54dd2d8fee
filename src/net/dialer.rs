//! How peers are reached: directly, or through a SOCKS5 proxy that nothing goes around.

use super::config::{CONNECT_DEADLINE, Config};
use super::dns::Resolver;
use super::event::{Direction, Event, PeerId};
use super::handle::PeerHandle;
use super::happy_eyeballs;
use super::peer::{Link, spawn_with};
use crate::primitives::hex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_socks::tcp::Socks5Stream;

/// How peers are reached.
///
/// # Security
/// With a proxy no name is resolved here and no socket is opened to anything but the proxy: names go to it as they
/// are, which is also how onion services are reached through Tor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialer {
    /// A SOCKS5 proxy (`host:port`) for every connection.
    pub proxy: Option<String>,
    /// Who resolves names; without a proxy peers' names, with one the proxy's own.
    pub resolver: Resolver,
}

impl Dialer {
    /// Starts a task that dials `address` (`host:port`), shakes hands and keeps the connection.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(
        &self,
        id: PeerId,
        address: String,
        config: Arc<Config>,
        events: mpsc::Sender<Event>,
    ) -> PeerHandle {
        let (target, resolver, outbound) = (address.clone(), self.resolver, Direction::Outbound);
        match self.proxy.clone() {
            None => {
                let dial = async move { dial_directly(resolver, &target).await };
                spawn_with(id, address, outbound, dial, config, events)
            }
            Some(proxy) => {
                let dial = async move { dial_through(resolver, &proxy, &target).await };
                spawn_with(id, address, outbound, dial, config, events)
            }
        }
    }
}

async fn dial_directly(resolver: Resolver, address: &str) -> io::Result<Link<TcpStream>> {
    let stream = open(resolver, address).await?;
    let remote = stream.peer_addr().ok();
    Ok(Link { stream, remote })
}

/// Connects to an address through a SOCKS5 proxy, which resolves the name if it is one.
///
/// # Security
/// Tor puts connections with different user names and passwords on different circuits, so that no exit sees who all our
/// peers are. A proxy that knows no authentication takes us without.
/// Source: Bitcoin Core `-proxyrandomize`; Tor's `IsolateSOCKSAuth`, which is on unless it is turned off.
async fn dial_through(
    resolver: Resolver,
    proxy: &str,
    address: &str,
) -> io::Result<Link<Socks5Stream<TcpStream>>> {
    let socket = open(resolver, proxy)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("proxy {proxy}: {error}")))?;
    let (user, password) = (random_text(), random_text());
    let connecting =
        Socks5Stream::connect_with_password_and_socket(socket, address, &user, &password);
    let stream =
        connecting.await.map_err(|error| io::Error::other(format!("proxy {proxy}: {error}")))?;
    Ok(Link { stream, remote: None })
}

/// 16 hex digits.
fn random_text() -> String {
    hex::encode(&rand::random::<[u8; 8]>())
}

/// Opens a TCP connection to `host:port`: to whichever of the name's addresses answers first.
async fn open(resolver: Resolver, address: &str) -> io::Result<TcpStream> {
    let (host, port) = split(address)?;
    let addresses = resolver.lookup(host, CONNECT_DEADLINE).await?;
    let addresses: Vec<SocketAddr> =
        addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let stream = happy_eyeballs::connect(&addresses).await?;
    // Requests are small and answered one by one: waiting to fill a segment would only delay them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The two parts of `host:port`; an IPv6 address is in brackets.
fn split(address: &str) -> io::Result<(&str, u16)> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Some((bare.unwrap_or(host), port.parse().ok()?))
    });
    parts.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{address:?}: expected host:port"))
    })
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn hosts_and_ports_come_apart() {
        assert_eq!(split("seed.example:8333").unwrap(), ("seed.example", 8333));
        assert_eq!(split("[::1]:1").unwrap(), ("::1", 1));
        assert_eq!(split("127.0.0.1:65535").unwrap(), ("127.0.0.1", 65535));
        for bad in ["host", "host:", "host:65536", "host:x"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
