//! Asking peers for a transaction.

use super::crew::{Crew, Woken};
use super::options::{FetchError, FetchOptions};
use crate::net::pool::Needed;
use crate::node::peers::PeerEvent;
use crate::primitives::{Hash256, PeerId, Txid};
use crate::wire::{Inventory, InventoryKind, Message, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is waited for, connecting included.
const ANSWERS: Duration = Duration::from_secs(15);

/// What peers answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TxAnswer {
    /// One has it.
    Found {
        /// The transaction; its txid is the one asked for.
        transaction: Transaction,
        /// Address of the peer that sent it.
        peer: String,
    },
    /// At least one said that it does not have it, and none has it.
    NotFound {
        /// Addresses of those that said so.
        without: Vec<String>,
        /// Addresses of those that said nothing.
        silent: Vec<String>,
    },
    /// None said anything.
    Silence {
        /// Addresses of those that were asked.
        silent: Vec<String>,
    },
}

/// Asks several peers at once.
///
/// Source: Bitcoin Core `FindTxForGetData`: a peer serves what is in its memory pool and what is in its newest block,
/// and nothing at all to those that want no transactions announced; so they are, and ignored.
///
/// # Errors
/// No peer could be connected to in time.
pub(crate) async fn fetch_tx(options: FetchOptions, txid: Txid) -> Result<TxAnswer, FetchError> {
    let end = Instant::now() + options.timeout.unwrap_or(ANSWERS);
    // A node with pruned history has a memory pool like any other.
    let crew = Crew::new(&options, Needed::RecentBlocks, true);
    let mut request = Request { crew, txid, asked: BTreeMap::new() };
    let found = request.ask(end).await;
    request.crew.finish().await;
    found.map_or_else(|| request.verdict(), Ok)
}

struct Request {
    crew: Crew,
    txid: Txid,
    /// Who was asked.
    asked: BTreeMap<PeerId, Asked>,
}

struct Asked {
    address: String,
    /// Whether it said that it does not have it.
    without: bool,
}

impl Request {
    /// Asks until one has it, all have said that they do not, or the time is over.
    async fn ask(&mut self, end: Instant) -> Option<TxAnswer> {
        while !self.is_answered() {
            match self.crew.next(end).await {
                Ok(PeerEvent::Connected(id, _)) => self.on_connected(id),
                Ok(PeerEvent::Message(id, Message::Tx(transaction))) => {
                    if transaction.view().txid() == self.txid {
                        let peer = self.crew.address(id);
                        return Some(TxAnswer::Found { transaction, peer });
                    }
                    self.on_other(id, &transaction);
                }
                Ok(PeerEvent::Message(id, Message::NotFound(list))) => self.on_not_found(id, &list),
                Ok(PeerEvent::Disconnected(id)) => self.on_lost(id),
                Ok(PeerEvent::Message(..)) | Err(Woken::DialingIsOver) => {}
                Err(Woken::Deadline | Woken::Exhausted) => break,
            }
        }
        None
    }

    fn on_connected(&mut self, id: PeerId) {
        // By its txid even where the peer announces by wtxid: that is all that is known.
        let inventory = Inventory { kind: InventoryKind::WitnessTx, hash: Hash256(self.txid.0) };
        self.crew.send(id, Message::GetData(vec![inventory]));
        self.asked.insert(id, Asked { address: self.crew.address(id), without: false });
    }

    fn on_other(&mut self, id: PeerId, transaction: &Transaction) {
        let got = transaction.view().txid();
        let reason = format!("sent a wrong transaction: {} expected, got {got}", self.txid);
        self.crew.refuse(id, &reason);
        self.asked.remove(&id);
    }

    /// One that is gone without an answer is not silent: why it is gone is told where nobody answers.
    fn on_lost(&mut self, id: PeerId) {
        self.asked.retain(|asked, answer| *asked != id || answer.without);
    }

    fn on_not_found(&mut self, id: PeerId, list: &[Inventory]) {
        if let Some(asked) = self.asked.get_mut(&id)
            && list.iter().any(|entry| entry.hash.0 == self.txid.0)
        {
            asked.without = true;
        }
    }

    /// Whether all that were to be asked have said that they do not have it.
    fn is_answered(&self) -> bool {
        let without = self.asked.values().filter(|asked| asked.without).count();
        let waiting = self.asked.iter().any(|(id, asked)| !asked.without && self.crew.has(*id));
        without > 0 && !waiting && (without >= self.crew.wanted() || self.crew.dialing_is_over())
    }

    fn verdict(mut self) -> Result<TxAnswer, FetchError> {
        let (without, silent): (Vec<Asked>, Vec<Asked>) =
            self.asked.into_values().partition(|asked| asked.without);
        // One that hung up and was dialled again was asked twice.
        let addresses = |list: Vec<Asked>| -> BTreeSet<String> {
            list.into_iter().map(|asked| asked.address).collect()
        };
        let (without, silent) = (addresses(without), addresses(silent));
        let silent: Vec<String> = silent.difference(&without).cloned().collect();
        match (without.is_empty(), silent.is_empty()) {
            (false, _) => Ok(TxAnswer::NotFound { without: without.into_iter().collect(), silent }),
            (true, false) => Ok(TxAnswer::Silence { silent }),
            (true, true) => Err(FetchError::NoPeers { reasons: Box::new(self.crew.reasons()) }),
        }
    }
}
