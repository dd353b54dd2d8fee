//! Announces a transaction to peers, and sends it to those that request it.

use super::options::{FetchError, FetchOptions};
use super::peers::{FetchPeers, NoEvent};
use crate::net::PeerInfo;
use crate::net::pool::RequiredData;
use crate::node::peers::PeerEvent;
use crate::primitives::{Hash256, PeerId, Txid, Wtxid};
use crate::wire::{Inventory, InventoryKind, Message, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// The broadcast is over once this many peers have fetched the transaction.
const ENOUGH_PEERS: usize = 2;

/// The longest time for a broadcast, including the time to connect. Bitcoin Core waits some seconds before it requests
/// a transaction from an inbound peer (`NONPREF_PEER_TX_DELAY`, `OVERLOADED_PEER_TX_DELAY`).
const BROADCAST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for a second peer after the first peer has requested the transaction. A second peer may never
/// request it, since the first peer may have relayed it to all others.
const SECOND_PEER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for the answer that shows that a peer has read the transaction.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The result of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broadcast {
    /// The transaction's txid.
    pub txid: Txid,
    /// The number of peers that the transaction was announced to.
    pub announced: usize,
    /// The number of peers that requested the transaction. A peer that already has the transaction does not request it.
    pub asked: usize,
}

/// Announces a transaction to peers, and sends it to those that request it. The broadcast ends once two peers have
/// fetched the transaction, once one peer has fetched it and no other peer is expected to, or at the timeout.
///
/// # Errors
/// No peer could be used.
pub(crate) async fn broadcast(
    options: FetchOptions,
    transaction: Transaction,
) -> Result<Broadcast, FetchError> {
    let end = Instant::now() + options.timeout.unwrap_or(BROADCAST_TIMEOUT);
    // Bitcoin Core answers requests for transactions only from peers that want transactions announced (`relay`). We
    // request the transaction back from each peer that fetched it, as a read receipt.
    let peers = FetchPeers::new(&options, RequiredData::RecentBlocks, true);
    let mut task = BroadcastTask {
        peers,
        announcement: Announcement::new(&transaction),
        transaction,
        announced_to: BTreeMap::new(),
        end,
    };
    task.run().await;
    task.peers.finish().await;
    task.into_result()
}

struct BroadcastTask {
    peers: FetchPeers,
    transaction: Transaction,
    announcement: Announcement,
    /// The peers that the transaction was announced to.
    announced_to: BTreeMap<PeerId, BroadcastPeer>,
    end: Instant,
}

/// A peer that the transaction was announced to.
struct BroadcastPeer {
    address: String,
    state: RequestState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestState {
    /// The peer has not requested the transaction yet.
    Announced,
    /// The transaction was sent to the peer at this time.
    Sent(Instant),
    /// The peer has read the transaction, had enough time to read it, or disconnected.
    Fetched,
}

impl BroadcastTask {
    async fn run(&mut self) {
        while let Some(wake_at) = self.wake_at() {
            match self.peers.next(wake_at).await {
                Ok(PeerEvent::Connected(id, info)) => self.announce(id, &info),
                Ok(PeerEvent::Message(id, message)) => self.on_message(id, &message),
                // A peer that disconnects after the transaction was sent has most likely read it.
                Ok(PeerEvent::Disconnected(id)) => self.take_receipt(id),
                Err(NoEvent::DialingIsOver) => {}
                Err(NoEvent::Deadline) if Instant::now() < self.end => self.take_late_receipts(),
                Err(NoEvent::Deadline | NoEvent::Exhausted) => return,
            }
        }
    }

    /// Returns the time until which to wait for the next event, or `None` if the broadcast is over.
    fn wake_at(&self) -> Option<Instant> {
        let receipt = |peer: &BroadcastPeer| match peer.state {
            RequestState::Sent(at) => Some(at + RECEIPT_TIMEOUT),
            RequestState::Announced | RequestState::Fetched => None,
        };
        if let Some(receipt) = self.announced_to.values().filter_map(receipt).min() {
            return Some(receipt.min(self.end));
        }
        let fetched =
            self.announced_to.values().filter(|peer| peer.state == RequestState::Fetched).count();
        let is_silent = |(id, peer): (&PeerId, &BroadcastPeer)| {
            peer.state == RequestState::Announced && self.peers.contains(*id)
        };
        let is_last = self.peers.dialing_is_over() && !self.announced_to.iter().any(is_silent);
        (fetched < ENOUGH_PEERS && !(fetched > 0 && is_last)).then_some(self.end)
    }

    fn announce(&mut self, id: PeerId, info: &PeerInfo) {
        if !info.relay {
            self.peers.dismiss(id, "wants no transactions");
            return;
        }
        self.peers.send(id, Message::Inv(vec![self.announcement.entry(info.wtxid_relay)]));
        self.announced_to.insert(
            id,
            BroadcastPeer { address: self.peers.address(id), state: RequestState::Announced },
        );
    }

    fn on_message(&mut self, id: PeerId, message: &Message) {
        match message {
            Message::GetData(list) => {
                if let Some(entry) = list.iter().find(|entry| self.announcement.names(entry)) {
                    self.send_to(id, *entry);
                }
            }
            Message::Tx(transaction) if transaction.view().txid() == self.announcement.txid => {
                self.take_receipt(id);
            }
            Message::NotFound(list) if list.iter().any(|entry| self.announcement.names(entry)) => {
                self.take_receipt(id);
            }
            Message::Reject(reject) if reject.message == b"tx" => {
                warn!(
                    "{} refuses the transaction: {}",
                    self.peers.address(id),
                    reject.reason_text()
                );
            }
            _ => {}
        }
    }

    /// Sends the transaction to a peer that has requested it, and requests the same transaction back. Peers answer in
    /// order, so the answer shows that the peer has read the transaction. If the connection were closed before the
    /// answer, the transaction could be lost.
    fn send_to(&mut self, id: PeerId, asked: Inventory) {
        let Some(peer) =
            self.announced_to.get_mut(&id).filter(|peer| peer.state == RequestState::Announced)
        else {
            return;
        };
        info!("{} asks for the transaction", peer.address);
        peer.state = RequestState::Sent(Instant::now());
        let transaction = match asked.kind {
            InventoryKind::Tx => self.transaction.view().without_witness(),
            _ => self.transaction.clone(),
        };
        self.peers.send(id, Message::Tx(transaction));
        self.peers.send(id, Message::GetData(vec![asked]));
        self.end = self.end.min(Instant::now() + SECOND_PEER_TIMEOUT);
    }

    fn take_receipt(&mut self, id: PeerId) {
        if let Some(peer) = self.announced_to.get_mut(&id)
            && matches!(peer.state, RequestState::Sent(_))
        {
            peer.state = RequestState::Fetched;
        }
    }

    fn take_late_receipts(&mut self) {
        let now = Instant::now();
        for peer in self.announced_to.values_mut() {
            if matches!(peer.state, RequestState::Sent(at) if at + RECEIPT_TIMEOUT <= now) {
                peer.state = RequestState::Fetched;
            }
        }
    }

    fn into_result(mut self) -> Result<Broadcast, FetchError> {
        // A peer that disconnected and was dialled again counts once.
        let addresses = |is_counted: fn(&BroadcastPeer) -> bool| -> BTreeSet<&str> {
            let counted = self.announced_to.values().filter(|peer| is_counted(peer));
            counted.map(|peer| peer.address.as_str()).collect()
        };
        let announced = addresses(|_| true).len();
        let asked = addresses(|peer| peer.state != RequestState::Announced).len();
        if announced == 0 {
            return Err(FetchError::NoPeers { reasons: Box::new(self.peers.take_failures()) });
        }
        let txid = self.announcement.txid;
        info!("transaction {txid} was announced to {announced} peers, and {asked} asked for it");
        Ok(Broadcast { txid, announced, asked })
    }
}

/// The ids by which peers name the transaction.
struct Announcement {
    txid: Txid,
    wtxid: Wtxid,
}

impl Announcement {
    fn new(transaction: &Transaction) -> Self {
        let view = transaction.view();
        Self { txid: view.txid(), wtxid: view.wtxid() }
    }

    /// Returns the entry for an `inv`: by wtxid if the peer supports that (BIP339), or else by txid.
    fn entry(&self, wtxid_relay: bool) -> Inventory {
        if wtxid_relay {
            Inventory { kind: InventoryKind::Wtx, hash: Hash256(self.wtxid.0) }
        } else {
            Inventory { kind: InventoryKind::Tx, hash: Hash256(self.txid.0) }
        }
    }

    /// Returns whether an entry of a `getdata` or `notfound` names the transaction.
    fn names(&self, entry: &Inventory) -> bool {
        match entry.kind {
            InventoryKind::Wtx => entry.hash.0 == self.wtxid.0,
            InventoryKind::Tx | InventoryKind::WitnessTx => entry.hash.0 == self.txid.0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Announcement, InventoryKind};
    use crate::primitives::Hash256;
    use crate::wire::{Block, Inventory};

    const BLOCK: &[u8] = include_bytes!("../../../fixtures/mainnet-0831332.bin");

    #[test]
    fn an_announcement_uses_the_agreed_kind_of_id_and_a_request_may_use_either() {
        let block = Block::decode(BLOCK.to_vec()).unwrap();
        let segwit = block.transactions().skip(1).find(|tx| tx.has_witness()).unwrap();
        let announcement = Announcement::new(&segwit.to_transaction());
        let (txid, wtxid) = (Hash256(segwit.txid().0), Hash256(segwit.wtxid().0));
        let entry = |kind, hash| Inventory { kind, hash };
        assert_eq!(announcement.entry(true), entry(InventoryKind::Wtx, wtxid));
        assert_eq!(announcement.entry(false), entry(InventoryKind::Tx, txid));
        for (kind, hash, is_named) in [
            (InventoryKind::Wtx, wtxid, true),
            (InventoryKind::Tx, txid, true),
            (InventoryKind::WitnessTx, txid, true),
            (InventoryKind::Wtx, txid, false),
            (InventoryKind::Tx, wtxid, false),
            (InventoryKind::Block, txid, false),
        ] {
            assert_eq!(announcement.names(&entry(kind, hash)), is_named, "{kind:?}");
        }
    }
}
