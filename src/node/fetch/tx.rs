//! Requests one transaction from several peers.

use super::options::{FetchError, FetchOptions};
use super::peers::{FetchPeers, NoEvent};
use crate::net::pool::RequiredData;
use crate::node::peers::PeerEvent;
use crate::primitives::{Hash256, PeerId, Txid};
use crate::wire::{Inventory, InventoryKind, Message, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for an answer, including the time to connect.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The peers' answers to a request for a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TxAnswer {
    /// A peer sent the transaction.
    Found {
        /// The transaction, whose txid is the requested one.
        transaction: Transaction,
        /// The address of the peer that sent it.
        peer: String,
    },
    /// No peer sent the transaction, and at least one peer answered that it does not have it.
    NotFound {
        /// The addresses of the peers that do not have the transaction.
        without: Vec<String>,
        /// The addresses of the peers that did not answer.
        silent: Vec<String>,
    },
    /// No peer answered.
    Silence {
        /// The addresses of the peers that were asked.
        silent: Vec<String>,
    },
}

/// Requests a transaction from several peers at once.
///
/// Bitcoin Core serves the transactions of its memory pool and of its newest block (`FindTxForGetData`), but only to peers
/// that want transactions announced. So this request sets `relay` in its `version`, and ignores the announcements.
///
/// # Errors
/// No peer could be connected to in time, or each disconnected without an answer.
pub(crate) async fn fetch_tx(options: FetchOptions, txid: Txid) -> Result<TxAnswer, FetchError> {
    let end = Instant::now() + options.timeout.unwrap_or(ANSWER_TIMEOUT);
    // A pruned node has a memory pool too.
    let peers = FetchPeers::new(&options, RequiredData::RecentBlocks, true);
    let mut fetch = TxFetch { peers, txid, asked: BTreeMap::new() };
    let answer = fetch.run(end).await;
    fetch.peers.finish().await;
    answer.map_or_else(|| fetch.into_answer(), Ok)
}

struct TxFetch {
    peers: FetchPeers,
    txid: Txid,
    /// The peers that were asked, without those that disconnected before they answered.
    asked: BTreeMap<PeerId, TxRequest>,
}

/// A request to one peer.
struct TxRequest {
    address: String,
    /// Whether the peer answered that it does not have the transaction.
    not_found: bool,
}

impl TxFetch {
    /// Asks peers until one sends the transaction, enough have answered that they do not have it, no peer is left, or `end`
    /// has passed. Returns the answer only if a peer sent the transaction.
    async fn run(&mut self, end: Instant) -> Option<TxAnswer> {
        while !self.is_answered() {
            match self.peers.next(end).await {
                Ok(PeerEvent::Connected(id, _)) => self.on_connected(id),
                Ok(PeerEvent::Message(id, Message::Tx(transaction))) => {
                    if transaction.view().txid() == self.txid {
                        let peer = self.peers.address(id);
                        return Some(TxAnswer::Found { transaction, peer });
                    }
                    self.on_other_tx(id, &transaction);
                }
                Ok(PeerEvent::Message(id, Message::NotFound(list))) => self.on_not_found(id, &list),
                Ok(PeerEvent::Disconnected(id)) => self.on_disconnected(id),
                Ok(PeerEvent::Message(..)) | Err(NoEvent::DialingIsOver) => {}
                Err(NoEvent::Deadline | NoEvent::Exhausted) => break,
            }
        }
        None
    }

    fn on_connected(&mut self, id: PeerId) {
        // Only the txid is known, so it is used even if the peer announces by wtxid.
        let inventory = Inventory { kind: InventoryKind::WitnessTx, hash: Hash256(self.txid.0) };
        self.peers.send(id, Message::GetData(vec![inventory]));
        self.asked.insert(id, TxRequest { address: self.peers.address(id), not_found: false });
    }

    fn on_other_tx(&mut self, id: PeerId, transaction: &Transaction) {
        let got = transaction.view().txid();
        let reason = format!("sent a wrong transaction: {} expected, got {got}", self.txid);
        self.peers.refuse(id, &reason);
        self.asked.remove(&id);
    }

    /// Removes a peer that disconnected without an answer, so that it is not listed as silent. If no peer is left, the
    /// error says why each one disconnected.
    fn on_disconnected(&mut self, id: PeerId) {
        self.asked.retain(|peer, request| *peer != id || request.not_found);
    }

    fn on_not_found(&mut self, id: PeerId, list: &[Inventory]) {
        if let Some(request) = self.asked.get_mut(&id)
            && list.iter().any(|entry| entry.hash.0 == self.txid.0)
        {
            request.not_found = true;
        }
    }

    /// Returns whether as many peers as wanted, or all that could be reached, have answered that they do not have the
    /// transaction.
    fn is_answered(&self) -> bool {
        // A peer that disconnected and was dialled again counts once.
        let without = self.asked.values().filter(|request| request.not_found);
        let without = without.map(|request| &request.address).collect::<BTreeSet<_>>().len();
        let is_open =
            |(id, request): (&PeerId, &TxRequest)| !request.not_found && self.peers.contains(*id);
        let waiting = self.asked.iter().any(is_open);
        without > 0 && !waiting && (without >= self.peers.wanted() || self.peers.dialing_is_over())
    }

    fn into_answer(mut self) -> Result<TxAnswer, FetchError> {
        let (without, silent): (Vec<TxRequest>, Vec<TxRequest>) =
            self.asked.into_values().partition(|request| request.not_found);
        // A peer that disconnected and was dialled again was asked twice, so repeated addresses are removed.
        let addresses = |list: Vec<TxRequest>| -> BTreeSet<String> {
            list.into_iter().map(|request| request.address).collect()
        };
        let (without, silent) = (addresses(without), addresses(silent));
        let silent: Vec<String> = silent.difference(&without).cloned().collect();
        match (without.is_empty(), silent.is_empty()) {
            (false, _) => Ok(TxAnswer::NotFound { without: without.into_iter().collect(), silent }),
            (true, false) => Ok(TxAnswer::Silence { silent }),
            (true, true) => {
                Err(FetchError::NoPeers { reasons: Box::new(self.peers.take_failures()) })
            }
        }
    }
}
