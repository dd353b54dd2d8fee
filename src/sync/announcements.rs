//! Where `headers` and `inv` messages arrive. Answers go to the download; headers that nobody asked for (new blocks, BIP130) and
//! announced blocks are judged here.

use super::answers::Disposition;
use super::header_sync::HeaderSync;
use super::input::{Moment, Reply, StoredChain};
use super::state::{Batch, Offences, Stage};
use super::{BatchId, Command, DropReason};
use crate::chain::is_too_new;
use crate::primitives::{BlockHash, PeerId};

/// Unsolicited headers that connect to nothing, and announced blocks that do not come, that a peer may send. Bitcoin Core bore
/// ten (`MAX_NUM_UNCONNECTING_HEADERS_MSGS`).
const MAX_UNCONNECTING: u32 = 10;

/// More unsolicited headers than this in one message are no announcement (Bitcoin Core `MAX_BLOCKS_TO_ANNOUNCE`).
const MAX_ANNOUNCED: u32 = 8;

impl HeaderSync {
    pub(super) fn on_headers(
        &mut self,
        now: Moment,
        peer: PeerId,
        reply: &Reply,
        batch: BatchId,
        chain: &dyn StoredChain,
    ) {
        if let (Some(record), 1..) = (self.peers.get_mut(&peer), reply.count) {
            record.sent_headers = true;
        }
        let taken = match self.download.on_headers(now.since_start, peer, reply, batch) {
            Disposition::Take => {
                self.link(batch, peer, false);
                true
            }
            Disposition::Discard => {
                self.check_announced_block(now, peer, chain);
                false
            }
            Disposition::Unsolicited => self.on_unsolicited(now, peer, reply, batch, chain),
        };
        if !taken {
            self.commands.push(Command::Forget(vec![batch]));
        }
        if let Some(parent) = reply.foreign_parent {
            let height = self.height_of_foreign_parent(peer, reply, parent, chain) + 1;
            self.drop_peer(peer, DropReason::OtherChain { height });
        }
    }

    /// Has a batch's proof of work and links checked.
    fn link(&mut self, batch: BatchId, peer: PeerId, unsolicited: bool) {
        self.batches.insert(batch, Batch { peer, unsolicited, stage: Stage::Linking });
        // What answers for a range begins where the range does, and is held to the hint at its end: to look its parent
        // up in the whole index, where it mostly is not yet, would cost more with every run of it.
        let may_leave = self.hints.hold && !self.download.is_hinted_batch(batch);
        let hints = may_leave.then_some(&self.settings.hints);
        let hint = hints.and_then(|hints| hints.at_or_below(self.tip.height));
        self.commands.push(Command::Link { batch, hint });
    }

    /// Height of another chain's parent, as the stored chain tells: a peer that does not know the tip answers
    /// from further back.
    fn height_of_foreign_parent(
        &self,
        peer: PeerId,
        reply: &Reply,
        parent: BlockHash,
        chain: &dyn StoredChain,
    ) -> u32 {
        let after_headers = || Some(chain.height_of(&reply.parent?)? + reply.count);
        let pending = || self.download.pending_height(peer, parent);
        let height = chain.height_of(&parent).or_else(after_headers).or_else(pending);
        height.unwrap_or(self.tip.height)
    }

    /// Headers of new blocks. Those that follow the tip are taken; for others the peer is asked. Returns whether the
    /// batch is taken.
    ///
    /// # Security
    /// One such message of a peer is judged at a time, so that a flood of them does not fill the memory.
    fn on_unsolicited(
        &mut self,
        now: Moment,
        peer: PeerId,
        reply: &Reply,
        batch: BatchId,
        chain: &dyn StoredChain,
    ) -> bool {
        let Some(parent) = reply.parent else { return false };
        let on_tip = parent == self.tip.hash;
        let is_one = |batch: &Batch| batch.peer == peer && batch.unsolicited;
        let judging = self.batches.values().any(is_one);
        let paused = self.is_paused(now, peer);
        let too_new = is_too_new(reply.first_time, now.unix);
        if (paused && !on_tip) || (too_new && (paused || judging)) {
            return false;
        }
        if on_tip && reply.count <= MAX_ANNOUNCED && !judging {
            self.download.take_unsolicited(peer, reply.count, batch);
            self.link(batch, peer, true);
            return true;
        }
        // Others were faster to announce it: that is no fault.
        if self.is_on_chain(&reply.last, chain) {
            return false;
        }
        // Blocks that come fast stand on announced ones, not on the tip: held against the peer are those that come
        // though it was asked and had nothing to answer, and more on the tip while the first is being judged.
        if self.download.is_idle(peer) || on_tip {
            self.add_offence(now, peer, DropReason::UnsolicitedHeaders);
        }
        self.download.on_announcement(peer);
        false
    }

    /// A block is announced, with all before it. If it is not known, the peer is asked.
    pub(super) fn on_block_announced(
        &mut self,
        now: Moment,
        peer: PeerId,
        hash: BlockHash,
        chain: &dyn StoredChain,
    ) {
        if self.is_on_chain(&hash, chain) || self.is_paused(now, peer) {
            return;
        }
        if let Some(record) = self.peers.get_mut(&peer) {
            record.announced_block = Some(hash);
            self.download.on_announcement(peer);
        }
    }

    /// A peer has answered, and there was nothing new: a block that it announced is known by now, or it does not have it.
    pub(super) fn check_announced_block(
        &mut self,
        now: Moment,
        peer: PeerId,
        chain: &dyn StoredChain,
    ) {
        // The answer to what was asked because of the announcement may be yet to come, or is too new for our clock.
        if !self.download.is_idle(peer) || self.is_paused(now, peer) {
            return;
        }
        let announced = self.peers.get_mut(&peer).and_then(|peer| peer.announced_block.take());
        let Some(hash) = announced else { return };
        if !self.is_on_chain(&hash, chain) && !chain.is_on_side_branch(&hash) {
            self.add_offence(now, peer, DropReason::UndeliveredBlocks);
        }
    }

    /// A peer has brought something new: it is no flooder.
    pub(super) fn forgive(&mut self, peer: PeerId) {
        if let Some(record) = self.peers.get_mut(&peer) {
            record.offences = Offences::default();
            record.announced_block = None;
        }
    }

    fn add_offence(&mut self, now: Moment, peer: PeerId, reason: DropReason) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        if record.offences.add(now.since_start) > MAX_UNCONNECTING {
            self.drop_peer(peer, reason);
        }
    }

    fn is_on_chain(&self, hash: &BlockHash, chain: &dyn StoredChain) -> bool {
        *hash == self.tip.hash || chain.height_of(hash).is_some()
    }
}
