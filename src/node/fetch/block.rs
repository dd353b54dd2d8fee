//! Downloading one block from whoever has it.

use super::crew::{Crew, Happened};
use super::options::{FetchError, FetchOptions};
use super::turns::Turns;
use crate::node::block_check::{BlockFault, CheckedBlock};
use crate::primitives::{BlockHash, Hash256};
use crate::wire::{Block, Inventory, InventoryKind, Message, ServiceFlags};
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
pub struct WantedBlock {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height.
    pub height: u32,
}

/// A block that came, and was held to its header.
#[derive(Clone, Debug)]
pub struct FetchedBlock {
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
pub async fn fetch_block(
    options: FetchOptions,
    wanted: WantedBlock,
) -> Result<FetchedBlock, FetchError> {
    let delivery = options.timeout.unwrap_or(DELIVERY);
    let mut download = Download {
        crew: Crew::new(&options, false),
        wanted,
        delivery,
        turns: Turns::new(delivery, PATIENCE.min(delivery / 2), Instant::now()),
        options,
    };
    let end = Instant::now() + delivery * ROUNDS;
    loop {
        download.ask();
        let wake_at = download.turns.wake_at(Instant::now());
        match download.crew.next(wake_at.min(end)).await {
            Happened::Connected(id, info) => download.on_connected(id, info.services),
            Happened::Said(id, Message::Block(block)) => {
                if let Some(checked) = download.on_block(id, block).await? {
                    let peer = download.crew.address(id);
                    return Ok(FetchedBlock { checked, peer });
                }
            }
            Happened::Said(id, Message::NotFound(list)) => download.on_not_found(id, &list),
            Happened::Said(..) => {}
            Happened::Lost(id) => download.turns.forget(id),
            Happened::Deadline if Instant::now() < end => download.give_up_late_ones(),
            Happened::Deadline | Happened::Exhausted => return Err(download.failure()),
        }
    }
}

struct Download {
    crew: Crew,
    options: FetchOptions,
    wanted: WantedBlock,
    delivery: Duration,
    turns: Turns,
}

impl Download {
    fn ask(&mut self) {
        if let Some(id) = self.turns.ask(Instant::now()) {
            self.crew.send(id, Message::GetData(vec![self.inventory()]));
        }
    }

    fn inventory(&self) -> Inventory {
        Inventory { kind: InventoryKind::WitnessBlock, hash: Hash256(self.wanted.hash.0) }
    }

    fn on_connected(&mut self, id: u64, services: ServiceFlags) {
        if self.crew.is_named() || self.can_serve(services) {
            self.turns.add(id);
        } else {
            self.crew.dismiss(id, "does not serve that block");
        }
    }

    /// Whether a peer says that it would serve the block. One that the user named is asked all the same.
    fn can_serve(&self, services: ServiceFlags) -> bool {
        let recent = self.options.height.saturating_sub(self.wanted.height) < LIMITED_DEPTH;
        let has_it = services.has(ServiceFlags::NETWORK)
            || (recent && services.has(ServiceFlags::NETWORK_LIMITED));
        has_it && services.has(ServiceFlags::WITNESS) && !services.has(ServiceFlags::BLAKE2B_FORK)
    }

    async fn on_block(
        &mut self,
        id: u64,
        block: Block,
    ) -> Result<Option<CheckedBlock>, FetchError> {
        if !self.turns.is_asked(id) {
            self.refuse(id, "sent a block that it was not asked for");
            return Ok(None);
        }
        let (wanted, params) = (self.wanted, self.options.sources.params);
        let check = move || CheckedBlock::check(block, &wanted.hash, wanted.height, params);
        match spawn_blocking(check).await? {
            Ok(checked) => Ok(Some(checked)),
            Err(fault) => {
                self.refuse(id, &lie(&fault));
                Ok(None)
            }
        }
    }

    fn on_not_found(&mut self, id: u64, list: &[Inventory]) {
        if list.iter().any(|entry| entry.hash.0 == self.wanted.hash.0) {
            self.turns.forget(id);
            self.crew.dismiss(id, "does not have the block");
        }
    }

    fn refuse(&mut self, id: u64, reason: &str) {
        self.turns.forget(id);
        self.crew.refuse(id, reason);
    }

    fn give_up_late_ones(&mut self) {
        let late = self.turns.late(Instant::now());
        let reason = format!("did not deliver the block within {} s", self.delivery.as_secs());
        late.into_iter().for_each(|id| self.crew.refuse(id, &reason));
    }

    fn failure(&mut self) -> FetchError {
        let reasons = self.crew.reasons();
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
