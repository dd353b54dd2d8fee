//! How peers are reached: directly, or through a SOCKS5 proxy that nothing goes around.

use super::dns::Resolver;
use super::proxy::{DialError, Login, Proxy, ProxyAddress, ProxyError, ProxyFault};
use super::{happy_eyeballs, socks};
use crate::net::conn::{CONNECT_DEADLINE, Config, Direction, Event, Link, PeerHandle, spawn_with};
use crate::primitives::{PeerId, hex};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a proxy may take to be connected to and to greet us. It is near, and nothing of the peer is known to it yet.
const PROXY_DEADLINE: Duration = Duration::from_secs(5);

/// How peers are reached.
///
/// # Security
/// With a proxy no name is resolved here and no socket is opened to anything but the proxy: names go to it as they
/// are, which is also how onion services are reached through Tor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialer {
    /// A SOCKS5 proxy for every connection.
    pub proxy: Option<Proxy>,
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
        let Some(proxy) = self.proxy.clone() else {
            let dial = async move { dial_directly(resolver, &target).await };
            return spawn_with(id, address, outbound, dial, config, events);
        };
        // What is left is the peer's, so that the proxy is blamed if it is silent.
        let limit = PROXY_DEADLINE.min(config.timers.connect.mul_f64(0.8));
        match proxy.address.clone() {
            ProxyAddress::Tcp(at) => {
                let open = move || {
                    let at = at.clone();
                    async move { open(resolver, &at).await }
                };
                let dial = async move { dial_through(&proxy, limit, &target, open).await };
                spawn_with(id, address, outbound, dial, config, events)
            }
            ProxyAddress::Unix(path) => {
                let open = move || UnixStream::connect(path.clone());
                let dial = async move { dial_through(&proxy, limit, &target, open).await };
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
async fn dial_through<S, F>(
    proxy: &Proxy,
    limit: Duration,
    address: &str,
    open: impl Fn() -> F,
) -> Result<Link<S>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = io::Result<S>>,
{
    let (host, port) = split(address)?;
    let greeted = timeout(limit, greeted(proxy, open)).await;
    let mut stream = greeted.map_err(|_| proxy.error(ProxyFault::Silent { limit }))??;
    socks::request(&mut stream, host, port)
        .await
        .map_err(|error| io::Error::other(format!("proxy {proxy}: {error}")))?;
    Ok(Link { stream, remote: None })
}

/// A connection to the proxy that waits for a request.
///
/// # Security
/// Tor puts connections with different user names and passwords on different circuits, so that no exit sees who all our
/// peers are. A proxy that refuses made-up names, or to be offered any, takes us without.
/// Source: Bitcoin Core `-proxyrandomize`; Tor's `IsolateSOCKSAuth`, which is on unless it is turned off.
async fn greeted<S, F>(proxy: &Proxy, open: impl Fn() -> F) -> Result<S, ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = io::Result<S>>,
{
    let opened =
        || async { open().await.map_err(|error| proxy.error(ProxyFault::unreachable(&error))) };
    let mut stream = opened().await?;
    if let Some(login) = proxy.login.as_deref() {
        let greeted = socks::greet(&mut stream, Some(login)).await;
        return greeted.map(|()| stream).map_err(|fault| proxy.error(fault));
    }
    let made_up = Login { user: random_text(), password: random_text() };
    if socks::greet(&mut stream, Some(&made_up)).await.is_ok() {
        return Ok(stream);
    }
    drop(stream);
    let mut stream = opened().await?;
    let greeted = socks::greet(&mut stream, None).await;
    greeted.map(|()| stream).map_err(|fault| proxy.error(fault))
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
