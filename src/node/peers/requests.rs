//! Carries out requests to the peers of a task.

use super::Peers;
use crate::net::addrman::AddressNetwork;
use crate::node::peer_request::{AddressCount, ListedAddress, PeerChoice, PeerRequest};
use crate::primitives::PeerId;
use rand::seq::IteratorRandom;
use std::collections::BTreeMap;
use tokio::sync::oneshot::Sender;

/// Sends the answer to a request. The task calls this function once its published state shows the result.
pub(in crate::node) type SendAnswer = Box<dyn FnOnce() + Send>;

fn send_later<T: Send + 'static>(answer: Sender<T>, value: T) -> SendAnswer {
    // The receiver may be gone.
    Box::new(move || {
        answer.send(value).ok();
    })
}

impl<N: Default> Peers<N> {
    /// Carries out a request. Returns the function that sends the answer.
    pub(in crate::node) fn on_request(&mut self, request: PeerRequest) -> SendAnswer {
        let now = self.now();
        match request {
            PeerRequest::Add(address, answer) => {
                let added = self.pool.add_named(&address, now);
                send_later(answer, added)
            }
            PeerRequest::Remove(address, answer) => {
                let removed = self.pool.remove_named(&address);
                send_later(answer, removed)
            }
            PeerRequest::DialOnce(address, answer) => {
                let tried = self.pool.try_named(&address, now);
                send_later(answer, tried)
            }
            PeerRequest::Disconnect(choice, answer) => {
                let found = self.disconnect_chosen(&choice);
                send_later(answer, found)
            }
            PeerRequest::Ping(answer) => {
                self.pool.ping_all();
                send_later(answer, ())
            }
            PeerRequest::SetNetworkActive(active, answer) => {
                self.pool.set_network_active(active, now);
                send_later(answer, active)
            }
            PeerRequest::Addresses(count, network, answer) => {
                let addresses = self.random_addresses(count, network);
                send_later(answer, addresses)
            }
            PeerRequest::CountAddresses(answer) => {
                let counts = self.count_addresses();
                send_later(answer, counts)
            }
        }
    }

    fn disconnect_chosen(&mut self, choice: &PeerChoice) -> bool {
        let id = match choice {
            PeerChoice::Address(address) => self.pool.find(address),
            PeerChoice::Id(id) => Some(PeerId(*id)),
        };
        let now = self.now();
        id.is_some_and(|id| self.pool.disconnect_requested(id, now, &mut rand::rng()))
    }

    fn random_addresses(
        &self,
        count: usize,
        network: Option<AddressNetwork>,
    ) -> Vec<ListedAddress> {
        let known = self.pool.addrman().iter().map(ListedAddress::from);
        let wanted = known.filter(|known| network.is_none_or(|network| known.network == network));
        // `sample` reserves memory for as many addresses as are requested, so `count` is bounded first.
        wanted.sample(&mut rand::rng(), count.min(self.pool.addrman().len()))
    }

    fn count_addresses(&self) -> BTreeMap<AddressNetwork, AddressCount> {
        let mut counts: BTreeMap<AddressNetwork, AddressCount> = BTreeMap::new();
        for info in self.pool.addrman().iter() {
            let count = counts.entry(info.address.network()).or_default();
            let count = if info.tried { &mut count.tried } else { &mut count.new };
            *count += 1;
        }
        counts
    }
}
