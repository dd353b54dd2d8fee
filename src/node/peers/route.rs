//! Whether the network under us has changed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(10);

/// The address of our own that leads to a peer.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The peer, and the address; `None` for a peer that no route led to.
    last: Option<(SocketAddr, Option<IpAddr>)>,
    next: Duration,
}

impl Route {
    /// Whether the address that leads to a peer is another one than last time.
    pub(super) fn has_changed(
        &mut self,
        now: Duration,
        far_end: impl FnOnce() -> Option<SocketAddr>,
    ) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + INTERVAL;
        // The same peer as last time, as long as the comparison is open; else one that is connected.
        let Some(remote) = self.last.map(|(remote, _)| remote).or_else(far_end) else {
            return false;
        };
        let local = local_address(remote);
        let before = self.last.replace((remote, local));
        match (before, local) {
            (Some((_, Some(before))), Some(local)) => before != local,
            // A network that comes back is news; one that goes is not worth a dial.
            (Some((_, None)), Some(_)) => true,
            _ => false,
        }
    }
}

/// The address that packets to a peer would leave from. No packet is sent: connecting a datagram socket only asks the
/// system for the route.
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
    fn a_route_that_stays_is_no_change_and_another_address_is_one() {
        let at = |seconds| Duration::from_secs(seconds);
        let mut route = Route::default();
        assert!(!route.has_changed(at(0), || None));
        assert!(!route.has_changed(at(10), || Some(PEER)));
        assert_eq!(local_address(PEER), Some(Ipv4Addr::LOCALHOST.into()));
        assert!(!route.has_changed(at(20), || Some(PEER)));
        route.last = Some((PEER, Some(Ipv4Addr::new(10, 0, 0, 1).into())));
        assert!(!route.has_changed(at(29), || Some(PEER)), "not looked yet");
        assert!(route.has_changed(at(30), || Some(PEER)));
        route.last = Some((PEER, None));
        assert!(route.has_changed(at(40), || Some(PEER)), "the network is back");
        assert!(!route.has_changed(at(50), || Some(PEER)));
    }
}
