//! Requests to a running sync: to add, remove, dial, disconnect and ping peers, to switch the network on or off, and to
//! list and count known addresses.

use crate::net::addrman::{AddrInfo, AddressNetwork};
use crate::net::pool::AddPeerError;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// How many requests may wait for the sync. While the queue is full, further senders wait.
const REQUEST_QUEUE: usize = 64;

/// The sync has ended, so there are no peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sync is over: no peers are connected")]
pub(crate) struct SyncEnded;

/// A peer to disconnect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerChoice {
    /// The peer that was dialled at this address, or whose socket has this remote address.
    Address(String),
    /// The peer whose connection has this number.
    Id(u64),
}

/// An address that the address manager knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedAddress {
    /// When the node was last seen, by us or according to gossip, in Unix seconds.
    pub(crate) time: u64,
    /// The service bits that the node is said to offer.
    pub(crate) services: u64,
    /// The host, without the port, and without brackets around an IPv6 address.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// The network of the address: IPv4, IPv6, onion or I2P.
    pub(crate) network: AddressNetwork,
}

/// How many addresses of an [`AddressNetwork`] the address manager knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressCount {
    /// Addresses in the new table: they have never answered, or were moved back from the tried table.
    pub(crate) new: usize,
    /// Addresses in the tried table, which have answered.
    pub(crate) tried: usize,
}

/// A request, and the sender of its answer.
#[derive(Debug)]
pub(crate) enum PeerRequest {
    /// Add a peer (`host:port`) to those that are kept connected (Bitcoin Core `addnode add`).
    Add(String, oneshot::Sender<Result<(), AddPeerError>>),
    /// Remove a peer from those that were added (`addnode remove`). The answer is whether the peer was among them.
    Remove(String, oneshot::Sender<bool>),
    /// Dial a peer once (`addnode onetry`).
    DialOnce(String, oneshot::Sender<Result<(), AddPeerError>>),
    /// Disconnect a peer. The answer is whether such a peer was found.
    Disconnect(PeerChoice, oneshot::Sender<bool>),
    /// Ping all peers.
    Ping(oneshot::Sender<()>),
    /// Switch the network on or off. The answer is whether it is on now.
    SetNetworkActive(bool, oneshot::Sender<bool>),
    /// Return at most this many random addresses of the address manager, of one network or, with `None`, of all.
    Addresses(usize, Option<AddressNetwork>, oneshot::Sender<Vec<ListedAddress>>),
    /// Count the address manager's addresses in each network.
    CountAddresses(oneshot::Sender<BTreeMap<AddressNetwork, AddressCount>>),
}

/// Sends requests about peers to a running sync.
#[derive(Clone, Debug)]
pub(crate) struct PeerControl(mpsc::Sender<PeerRequest>);

/// The end of the channel at which the sync receives the requests.
pub(crate) type PeerRequestReceiver = mpsc::Receiver<PeerRequest>;

impl PeerControl {
    /// Creates the two ends of the channel for requests.
    pub(crate) fn new() -> (Self, PeerRequestReceiver) {
        let (sender, receiver) = mpsc::channel(REQUEST_QUEUE);
        (Self(sender), receiver)
    }

    /// Sends a request, which `request` makes from the sender of its answer, and waits for the answer.
    ///
    /// # Errors
    /// The sync has ended.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> PeerRequest,
    ) -> Result<T, SyncEnded> {
        let (sender, answer) = oneshot::channel();
        self.0.send(request(sender)).await.map_err(|_| SyncEnded)?;
        answer.await.map_err(|_| SyncEnded)
    }
}

impl From<&AddrInfo> for ListedAddress {
    fn from(info: &AddrInfo) -> Self {
        let text = info.address.to_string();
        let host = text.rsplit_once(':').map_or(text.as_str(), |(host, _)| host);
        Self {
            time: info.last_seen,
            services: info.services.0,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: info.address.port,
            network: info.address.network(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ListedAddress, PeerControl, PeerRequest, SyncEnded};
    use crate::net::addrman::{AddrMan, AdvertisedAddress, NetGroup, Scope};
    use crate::wire::ServiceFlags;

    #[tokio::test]
    async fn a_request_is_answered_until_the_sync_is_over() {
        let (control, mut requests) = PeerControl::new();
        let answering = async {
            let Some(PeerRequest::Remove(address, answer)) = requests.recv().await else {
                panic!("another request");
            };
            assert_eq!(address, "a:1");
            answer.send(true).unwrap();
            // The second request arrives, and is never answered.
            drop(requests.recv().await);
            drop(requests);
        };
        let asking = async {
            let remove = |answer| PeerRequest::Remove("a:1".to_owned(), answer);
            assert_eq!(control.ask(remove).await, Ok(true));
            assert_eq!(control.ask(PeerRequest::Ping).await, Err(SyncEnded));
            assert_eq!(control.ask(PeerRequest::Ping).await, Err(SyncEnded));
        };
        tokio::join!(answering, asking);
    }

    #[test]
    fn a_listed_host_has_neither_brackets_nor_a_port() {
        let mut addrman = AddrMan::new([1; 32], Scope::Public);
        for text in ["8.8.8.8:8333", "[2001:470::1]:8334"] {
            let address = text.parse().unwrap();
            let claim =
                AdvertisedAddress { address, services: ServiceFlags(9), time: 1_800_000_000 };
            assert_eq!(addrman.add(&[claim], NetGroup::DNS, 1_800_000_000), 1);
        }
        let known: Vec<ListedAddress> = addrman.iter().map(ListedAddress::from).collect();
        let shown: Vec<_> = known.iter().map(|known| (known.host.as_str(), known.port)).collect();
        assert_eq!(shown, [("8.8.8.8", 8333), ("2001:470::1", 8334)]);
        assert_eq!(known[0].services, 9);
    }
}
