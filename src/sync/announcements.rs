//! Takes `headers` and `inv` messages. Answers go to the download; unsolicited headers (new blocks, BIP130) and
//! announced blocks are judged here.

use super::answers::Disposition;
use super::header_sync::HeaderSync;
use super::input::{Reply, StoredChain};
use super::state::{BatchState, Offences, Stage};
use super::{BatchId, DropReason, SyncCommand};
use crate::chain::is_too_new;
use crate::primitives::{BlockHash, Moment, PeerId};

/// How many offences a peer may commit without being disconnected: unsolicited `headers` messages that are of no use,
/// and announcements of blocks that the peer does not deliver. Bitcoin Core tolerated ten unconnecting `headers`
/// messages (`MAX_NUM_UNCONNECTING_HEADERS_MSGS`).
const MAX_OFFENCES: u32 = 10;

/// Most headers in an announcement of new blocks (Bitcoin Core `MAX_BLOCKS_TO_ANNOUNCE`).
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
            self.commands.push(SyncCommand::Forget(vec![batch]));
        }
        if let Some(parent) = reply.foreign_parent {
            let height = self.height_of_foreign_parent(reply, parent, chain) + 1;
            self.drop_peer(peer, DropReason::OtherChain { height });
        }
    }

    /// Gives the command to check a batch's proof of work and links.
    fn link(&mut self, batch: BatchId, peer: PeerId, unsolicited: bool) {
        self.batches.insert(batch, BatchState { peer, unsolicited, stage: Stage::Linking });
        // An answer for a range has to lead to the hint at the range's end, so it is compared with no other hint here.
        // A comparison would search every run of the hash index for the batch's parent, usually one not stored yet.
        let may_leave = self.hints.hold && !self.download.is_hinted_batch(batch);
        let hints = may_leave.then_some(&self.settings.hints);
        let hint = hints.and_then(|hints| hints.at_or_below(self.tip.height));
        self.commands.push(SyncCommand::Link { batch, hint });
    }

    /// Returns the height of the header that another chain's headers follow. The header need not be the tip, since a
    /// peer that does not know the tip answers from a lower header on.
    fn height_of_foreign_parent(
        &self,
        reply: &Reply,
        parent: BlockHash,
        chain: &dyn StoredChain,
    ) -> u32 {
        let after_headers = || Some(chain.height_of(&reply.parent?)? + reply.count);
        let pending = || self.download.pending_height(parent);
        let height = chain.height_of(&parent).or_else(after_headers).or_else(pending);
        height.unwrap_or(self.tip.height)
    }

    /// Takes at most [`MAX_ANNOUNCED`] unsolicited headers that follow the tip, unless the peer's last ones are still
    /// being judged. For other messages with unknown headers, makes the next poll ask the peer for what follows the
    /// tip. Returns whether the batch is taken.
    ///
    /// # Security
    /// At most one unsolicited message of each peer is kept at a time, so that floods of them do not fill the memory.
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
        let is_one = |batch: &BatchState| batch.peer == peer && batch.unsolicited;
        let judging = self.batches.values().any(is_one);
        let paused = self.is_paused(now, peer);
        let too_new = is_too_new(reply.first_time, now.unix);
        if (paused && !on_tip) || (too_new && (paused || judging)) {
            return false;
        }
        if on_tip && reply.count <= MAX_ANNOUNCED && !judging {
            self.download.take_unsolicited(peer, reply, batch);
            self.link(batch, peer, true);
            return true;
        }
        // Another peer delivered the block first, which is not this peer's fault.
        if self.is_on_chain(&reply.last, chain) {
            return false;
        }
        // When blocks come fast, a new block follows blocks that we have not received yet. So a message is an offence
        // in two cases only: the peer had answered that it has nothing more; or the message follows our tip, but is
        // longer than an announcement or arrives while the peer's last unsolicited message is being judged.
        if self.download.is_idle(peer) || on_tip {
            self.add_offence(now, peer, DropReason::UnsolicitedHeaders);
        }
        self.download.on_announcement(peer);
        false
    }

    /// Makes the next poll ask a peer for the unknown block that it announced.
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

    /// Judges a peer's announcement once the peer has answered without anything new: either the block that it announced
    /// is known by now, or the peer does not have it.
    pub(super) fn check_announced_block(
        &mut self,
        now: Moment,
        peer: PeerId,
        chain: &dyn StoredChain,
    ) {
        // The answer to the request that the announcement caused may still arrive, or its headers may be too new.
        if !self.download.is_idle(peer) || self.is_paused(now, peer) {
            return;
        }
        let announced = self.peers.get_mut(&peer).and_then(|peer| peer.announced_block.take());
        let Some(hash) = announced else { return };
        if !self.is_on_chain(&hash, chain) && !chain.is_on_side_branch(&hash) {
            self.add_offence(now, peer, DropReason::UndeliveredBlocks);
        }
    }

    /// Forgets a peer's offences, since it has brought something new.
    pub(super) fn clear_offences(&mut self, peer: PeerId) {
        if let Some(record) = self.peers.get_mut(&peer) {
            record.offences = Offences::default();
            record.announced_block = None;
        }
    }

    fn add_offence(&mut self, now: Moment, peer: PeerId, reason: DropReason) {
        let Some(record) = self.peers.get_mut(&peer) else { return };
        if record.offences.add(now.since_start) > MAX_OFFENCES {
            self.drop_peer(peer, reason);
        }
    }

    fn is_on_chain(&self, hash: &BlockHash, chain: &dyn StoredChain) -> bool {
        *hash == self.tip.hash || chain.height_of(hash).is_some()
    }
}
