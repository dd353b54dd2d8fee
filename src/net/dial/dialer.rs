//! Connects to peers, directly or through a SOCKS5 proxy.

use super::dns::Resolver;
use super::proxy::{DialError, Login, Proxy, ProxyAddress, ProxyError, ProxyFault};
use super::{happy_eyeballs, socks};
use crate::net::conn::{
    CONNECT_DEADLINE, Config, ConnectionEvent, Direction, PeerHandle, PeerStream, spawn_with,
};
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

/// How long connecting to a proxy and the greeting may take. The proxy is usually near, and has not dialled the peer
/// yet.
const PROXY_DEADLINE: Duration = Duration::from_secs(5);

/// Connects to peers.
///
/// # Security
/// With a proxy, the dialer resolves no name but the proxy's own, and connects to nothing but the proxy. The proxy gets the
/// names of peers unresolved, which is also how Tor reaches onion services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialer {
    /// A SOCKS5 proxy for every connection.
    pub proxy: Option<Proxy>,
    /// Resolves the names of peers or, if there is a proxy, only the proxy's own name.
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
        events: mpsc::Sender<ConnectionEvent>,
    ) -> PeerHandle {
        let (target, resolver, outbound) = (address.clone(), self.resolver, Direction::Outbound);
        let Some(proxy) = self.proxy.clone() else {
            let dial = async move { dial_directly(resolver, &target).await };
            return spawn_with(id, address, outbound, dial, config, events);
        };
        // This limit is shorter than that of the whole dial, so that a silent proxy is not reported as a silent peer.
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

async fn dial_directly(resolver: Resolver, address: &str) -> io::Result<PeerStream<TcpStream>> {
    let stream = open(resolver, address).await?;
    let (remote, local) = (stream.peer_addr().ok(), stream.local_addr().ok());
    Ok(PeerStream { stream, remote, local })
}

/// Connects to `host:port` through a SOCKS5 proxy, which resolves the name.
async fn dial_through<S, F>(
    proxy: &Proxy,
    limit: Duration,
    address: &str,
    open: impl Fn() -> F,
) -> Result<PeerStream<S>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = io::Result<S>>,
{
    let (host, port) = split(address)?;
    let stream = timeout(limit, connect_to_proxy(proxy, open)).await;
    let mut stream = stream.map_err(|_| proxy.error(ProxyFault::Silent { limit }))??;
    socks::request(&mut stream, host, port)
        .await
        .map_err(|error| io::Error::other(format!("proxy {proxy}: {error}")))?;
    Ok(PeerStream { stream, remote: None, local: None })
}

/// Connects to the proxy and logs in.
///
/// # Security
/// Tor uses a different circuit for each user name and password (`IsolateSOCKSAuth`, which is on by default). So each
/// connection makes up a login (Bitcoin Core `-proxyrandomize`), and no exit sees all our peers. If the user has set a
/// login, every connection uses that one. If the proxy refuses a made-up login, the connection is made without a login.
async fn connect_to_proxy<S, F>(proxy: &Proxy, open: impl Fn() -> F) -> Result<S, ProxyError>
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

/// Returns 16 random hex digits.
fn random_text() -> String {
    hex::encode(&rand::random::<[u8; 8]>())
}

/// Opens a TCP connection to `host:port`, to the first of the host's addresses that answers.
async fn open(resolver: Resolver, address: &str) -> io::Result<TcpStream> {
    let (host, port) = split(address)?;
    let addresses = resolver.lookup(host, CONNECT_DEADLINE).await?;
    let addresses: Vec<SocketAddr> =
        addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let stream = happy_eyeballs::connect(&addresses).await?;
    // Requests are small and answered one by one, so Nagle's algorithm would only delay them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Splits `host:port`. An IPv6 address is in brackets.
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
    fn host_and_port_are_split() {
        assert_eq!(split("seed.example:8333").unwrap(), ("seed.example", 8333));
        assert_eq!(split("[::1]:1").unwrap(), ("::1", 1));
        assert_eq!(split("127.0.0.1:65535").unwrap(), ("127.0.0.1", 65535));
        for bad in ["host", "host:", "host:65536", "host:x"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
