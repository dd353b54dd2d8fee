//! Downloading one block from whoever has it.

use super::crew::{Crew, Woken};
use super::options::{FetchError, FetchOptions};
use super::turns::Turns;
use crate::net::pool::Needed;
use crate::node::peers::PeerEvent;
use crate::primitives::{BlockHash, Hash256, PeerId};
use crate::spv::{BlockFault, CheckedBlock};
use crate::wire::{Block, Inventory, InventoryKind, Message};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// Longest time for one peer to deliver: 67 kB/s for the largest block.
const DELIVERY: Duration = Duration::from_secs(60);

/// After this time without the block another peer is asked as well.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many times the time for one peer all of them together have.
const ROUNDS: u32 = 4;

/// How many blocks from its tip a node serves that keeps only the last ones (BIP159).
const LIMITED_DEPTH: u32 = 288;

/// A block whose header is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WantedBlock {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height.
    pub height: u32,
}

/// A block that came, and was held to its header.
#[derive(Clone, Debug)]
pub(crate) struct FetchedBlock {
    /// The block.
    pub checked: CheckedBlock,
    /// Address of the peer that sent it.
    pub peer: String,
}

/// Downloads a block: from one peer, from further ones as well while those before are slow, from others if one is of
/// no use.
///
/// # Errors
/// No peer could be used, or none of them delivered it.
pub(crate) async fn fetch_block(
    options: FetchOptions,
    wanted: WantedBlock,
) -> Result<FetchedBlock, FetchError> {
    let mut download = Download::new(options, wanted);
    let fetched = download.run().await;
    download.crew.finish().await;
    fetched
}

struct Download {
    crew: Crew,
    options: FetchOptions,
    wanted: WantedBlock,
    delivery: Duration,
    turns: Turns,
}

impl Download {
    fn new(options: FetchOptions, wanted: WantedBlock) -> Self {
        let delivery = options.timeout.unwrap_or(DELIVERY);
        let recent = options.height.saturating_sub(wanted.height) < LIMITED_DEPTH;
        let needed = if recent { Needed::RecentBlocks } else { Needed::AllBlocks };
        Self {
            crew: Crew::new(&options, needed, false),
            wanted,
            delivery,
            turns: Turns::new(delivery, PATIENCE.min(delivery / 2), Instant::now()),
            options,
        }
    }

    async fn run(&mut self) -> Result<FetchedBlock, FetchError> {
        let end = Instant::now() + self.delivery * ROUNDS;
        loop {
            self.ask();
            let wake_at = self.turns.wake_at(Instant::now());
            match self.crew.next(wake_at.min(end)).await {
                Ok(PeerEvent::Connected(id, _)) => self.turns.add(id),
                Ok(PeerEvent::Message(id, Message::Block(block))) => {
                    if let Some(checked) = self.on_block(id, block).await? {
                        let peer = self.crew.address(id);
                        return Ok(FetchedBlock { checked, peer });
                    }
                }
                Ok(PeerEvent::Message(id, Message::NotFound(list))) => self.on_not_found(id, &list),
                Ok(PeerEvent::Message(..)) | Err(Woken::DialingIsOver) => {}
                Ok(PeerEvent::Disconnected(id)) => self.turns.forget(id),
                Err(Woken::Deadline) if Instant::now() < end => self.give_up_late_ones(),
                Err(Woken::Deadline | Woken::Exhausted) => return Err(self.failure()),
            }
        }
    }

    fn ask(&mut self) {
        if let Some(id) = self.turns.ask(Instant::now()) {
            self.crew.send(id, Message::GetData(vec![self.inventory()]));
        }
    }

    fn inventory(&self) -> Inventory {
        Inventory { kind: InventoryKind::WitnessBlock, hash: Hash256(self.wanted.hash.0) }
    }

    async fn on_block(
        &mut self,
        id: PeerId,
        block: Block,
    ) -> Result<Option<CheckedBlock>, FetchError> {
        if !self.turns.is_asked(id) {
            self.refuse(id, "sent a block that it was not asked for");
            return Ok(None);
        }
        let (wanted, params) = (self.wanted, self.options.peers.params);
        let check = move || CheckedBlock::check(block, &wanted.hash, wanted.height, params);
        match spawn_blocking(check).await? {
            Ok(checked) => Ok(Some(checked)),
            Err(fault) => {
                self.refuse(id, &lie(&fault));
                Ok(None)
            }
        }
    }

    fn on_not_found(&mut self, id: PeerId, list: &[Inventory]) {
        if list.iter().any(|entry| entry.hash.0 == self.wanted.hash.0) {
            self.turns.forget(id);
            self.crew.dismiss(id, "does not have the block");
        }
    }

    fn refuse(&mut self, id: PeerId, reason: &str) {
        self.turns.forget(id);
        self.crew.refuse(id, reason);
    }

    fn give_up_late_ones(&mut self) {
        let late = self.turns.late(Instant::now());
        let reason = format!("did not deliver the block within {} s", self.delivery.as_secs());
        late.into_iter().for_each(|id| self.crew.stalled(id, &reason));
    }

    fn failure(&mut self) -> FetchError {
        let reasons = Box::new(self.crew.reasons());
        if self.crew.ever_connected() {
            FetchError::Undelivered { hash: self.wanted.hash, reasons }
        } else {
            FetchError::NoPeers { reasons }
        }
    }
}

fn lie(fault: &BlockFault) -> String {
    format!("sent a wrong block: {fault}")
}
