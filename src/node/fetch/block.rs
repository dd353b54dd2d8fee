//! Downloads one block.

use super::options::{FetchError, FetchOptions};
use super::peers::{FetchPeers, NoEvent};
use super::turns::Turns;
use crate::net::pool::RequiredData;
use crate::node::peers::PeerEvent;
use crate::primitives::{BlockHash, Hash256, PeerId};
use crate::spv::CheckedBlock;
use crate::wire::{Block, Inventory, InventoryKind, Message};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// How long one peer may take to send the block. To send the largest block (4 MB) in this time takes 67 kB/s.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait for the block before another peer is asked as well.
const PATIENCE: Duration = Duration::from_secs(8);

/// The whole download may take this many times as long as one peer may take.
const TIMEOUT_FACTOR: u32 = 4;

/// How many blocks every pruned node serves, counted back from its tip (BIP159).
const LIMITED_DEPTH: u32 = 288;

/// A block to download, whose header is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WantedBlock {
    /// The block's hash.
    pub hash: BlockHash,
    /// The block's height.
    pub height: u32,
}

/// A block that was downloaded and matches its header.
#[derive(Clone, Debug)]
pub(crate) struct FetchedBlock {
    /// The block.
    pub checked: CheckedBlock,
    /// The address of the peer that sent the block.
    pub peer: String,
}

/// Downloads a block from one peer. If that peer is slow or does not have the block, other peers are asked as well.
///
/// # Errors
/// No peer could be used, no peer sent the block, or the task that checked a block panicked.
pub(crate) async fn fetch_block(
    options: FetchOptions,
    wanted: WantedBlock,
) -> Result<FetchedBlock, FetchError> {
    let mut fetch = BlockFetch::new(options, wanted);
    let fetched = fetch.run().await;
    fetch.peers.finish().await;
    fetched
}

struct BlockFetch {
    peers: FetchPeers,
    options: FetchOptions,
    wanted: WantedBlock,
    delivery: Duration,
    turns: Turns,
}

impl BlockFetch {
    fn new(options: FetchOptions, wanted: WantedBlock) -> Self {
        let delivery = options.timeout.unwrap_or(DELIVERY_TIMEOUT);
        let recent = options.height.saturating_sub(wanted.height) < LIMITED_DEPTH;
        let needed = if recent { RequiredData::RecentBlocks } else { RequiredData::AllBlocks };
        Self {
            peers: FetchPeers::new(&options, needed, false),
            wanted,
            delivery,
            turns: Turns::new(delivery, PATIENCE.min(delivery / 2), Instant::now()),
            options,
        }
    }

    async fn run(&mut self) -> Result<FetchedBlock, FetchError> {
        let end = self.options.deadline.unwrap_or(self.delivery * TIMEOUT_FACTOR);
        let end = Instant::now() + end;
        loop {
            self.ask();
            let wake_at = self.turns.wake_at(Instant::now());
            match self.peers.next(wake_at.min(end)).await {
                Ok(PeerEvent::Connected(id, _)) => self.turns.add(id),
                Ok(PeerEvent::Message(id, Message::Block(block))) => {
                    if let Some(checked) = self.on_block(id, block).await? {
                        let peer = self.peers.address(id);
                        return Ok(FetchedBlock { checked, peer });
                    }
                }
                Ok(PeerEvent::Message(id, Message::NotFound(list))) => self.on_not_found(id, &list),
                Ok(PeerEvent::Message(..)) | Err(NoEvent::DialingIsOver) => {}
                Ok(PeerEvent::Disconnected(id)) => self.turns.remove(id),
                Err(NoEvent::Deadline) if Instant::now() < end => self.drop_late_peers(),
                Err(NoEvent::Deadline | NoEvent::Exhausted) => return Err(self.failure()),
            }
        }
    }

    fn ask(&mut self) {
        if let Some(id) = self.turns.ask(Instant::now()) {
            self.peers.send(id, Message::GetData(vec![self.inventory()]));
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
                self.refuse(id, &format!("sent a wrong block: {fault}"));
                Ok(None)
            }
        }
    }

    fn on_not_found(&mut self, id: PeerId, list: &[Inventory]) {
        if list.iter().any(|entry| entry.hash.0 == self.wanted.hash.0) {
            self.turns.remove(id);
            self.peers.dismiss(id, "does not have the block");
        }
    }

    fn refuse(&mut self, id: PeerId, reason: &str) {
        self.turns.remove(id);
        self.peers.refuse(id, reason);
    }

    fn drop_late_peers(&mut self) {
        let late = self.turns.take_late(Instant::now());
        let reason = format!("did not deliver the block within {} s", self.delivery.as_secs());
        late.into_iter().for_each(|id| self.peers.stalled(id, &reason));
    }

    fn failure(&mut self) -> FetchError {
        let reasons = Box::new(self.peers.take_failures());
        if self.peers.ever_connected() {
            FetchError::Undelivered { hash: self.wanted.hash, reasons }
        } else {
            FetchError::NoPeers { reasons }
        }
    }
}
