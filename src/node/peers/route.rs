//! Detects that this computer has moved to another network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How often the local address is checked.
const INTERVAL: Duration = Duration::from_secs(10);

/// The local address from which packets to a peer leave. If it changes, this computer has moved to another network.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The peer's address, and the local address, which is `None` if there was no route to the peer.
    last: Option<(SocketAddr, Option<IpAddr>)>,
    next_check: Duration,
}

impl Route {
    /// Returns whether the network has changed since the last check: whether there is another local address, or a route
    /// to the peer again. Returns `false` while the next check is not due. `any_remote` returns the address of the peer
    /// to use for all checks.
    pub(super) fn has_changed(
        &mut self,
        now: Duration,
        any_remote: impl FnOnce() -> Option<SocketAddr>,
    ) -> bool {
        if now < self.next_check {
            return false;
        }
        self.next_check = now + INTERVAL;
        // The local address depends on the destination, so it is always determined for the same peer.
        let Some(remote) = self.last.map(|(remote, _)| remote).or_else(any_remote) else {
            return false;
        };
        let local = local_address(remote);
        let before = self.last.replace((remote, local));
        match (before, local) {
            (Some((_, Some(before))), Some(local)) => before != local,
            // A network that comes back counts as a change. A lost network does not, since no peer can be dialled
            // without it.
            (Some((_, None)), Some(_)) => true,
            _ => false,
        }
    }
}

/// Returns the local address from which packets to `remote` would leave. No packet is sent: connecting a UDP socket
/// only looks up the route.
fn local_address(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::{Duration, Ipv4Addr, Route, local_address};
    use std::net::SocketAddr;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8333);

    #[test]
    fn only_another_local_address_or_a_returning_network_is_a_change() {
        let at = |seconds| Duration::from_secs(seconds);
        let mut route = Route::default();
        assert!(!route.has_changed(at(0), || None));
        assert!(!route.has_changed(at(10), || Some(PEER)));
        assert_eq!(local_address(PEER), Some(Ipv4Addr::LOCALHOST.into()));
        assert!(!route.has_changed(at(20), || Some(PEER)));
        route.last = Some((PEER, Some(Ipv4Addr::new(10, 0, 0, 1).into())));
        assert!(!route.has_changed(at(29), || Some(PEER)), "the next check is not due yet");
        assert!(route.has_changed(at(30), || Some(PEER)));
        route.last = Some((PEER, None));
        assert!(route.has_changed(at(40), || Some(PEER)), "the network is back");
        assert!(!route.has_changed(at(50), || Some(PEER)));
    }
}
