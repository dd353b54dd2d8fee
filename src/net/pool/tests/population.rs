//! The nodes of a simulated world.

use crate::net::addrman::PeerAddress;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How a node behaves while it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Honest,
    /// Accepts connections and never sends anything.
    Mute,
    /// Shakes hands, and never sends anything again.
    Silent,
    /// Shakes hands, then sends headers that break a rule.
    Liar,
    /// Shakes hands and answers pings, but its tip never changes.
    Stuck,
    /// Follows the chain that split off (service bit 28).
    OtherChain,
    /// Keeps only the last blocks.
    Limited,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) address: PeerAddress,
    pub(super) kind: Kind,
    pub(super) up: bool,
    pub(super) latency: Duration,
    /// The index of the first node whose address this node sends.
    pub(super) first_sent: usize,
}

/// Returns `count` nodes, four in each network group. About the share `up` (0 to 1) of them is up. `kinds` has each
/// kind and its share; all other nodes are honest.
pub(super) fn population(count: u32, up: f64, kinds: &[(Kind, f64)], seed: u64) -> Vec<Node> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let ip = Ipv4Addr::from((20 << 24) + ((number / 4) << 16) + (number % 4) * 771 + 5);
            let mut drawn = rng.random::<f64>();
            let kind = kinds.iter().find(|(_, part)| {
                drawn -= part;
                drawn < 0.0
            });
            Node {
                address: SocketAddr::from((ip, 8333)).into(),
                kind: kind.map_or(Kind::Honest, |(kind, _)| *kind),
                up: rng.random_bool(up),
                latency: Duration::from_millis(rng.random_range(10..400)),
                first_sent: rng.random_range(0..1000),
            }
        })
        .collect()
}
