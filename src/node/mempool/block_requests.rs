//! Decides which announced blocks are downloaded and from which peer. This is a state machine, like `tx_requests`.
//!
//! Peers announce a block by its hash (`inv`): this program does not ask for announcements by header (`sendheaders`).
//! The header is requested first. A block is downloaded only once its header has shown proof of work.

use crate::chain::{Params, permitted_transition};
use crate::primitives::{BlockHash, Hash256, Header, PeerId, Target};
use crate::wire::{GetHeaders, Inventory, InventoryKind, MAX_LOCATOR, PROTOCOL_VERSION};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

/// How long a peer may take to send a block. To send the largest block (4 MB) in this time takes 133 kB/s.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How many blocks may be queued for download. When there are more, the oldest are skipped.
const MAX_QUEUED: usize = 8;

/// How many headers are kept for new headers to build on. Source: Bitcoin Core `MIN_BLOCKS_TO_KEEP`, the deepest
/// reorganisation that a pruned node can follow.
const MAX_HEADERS: usize = 288;

/// How many timed-out requests are remembered, so that a late answer to such a request is no fault.
const MAX_TIMED_OUT: usize = 32;

/// Why a peer's headers or blocks are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockRelayFault {
    /// The header's hash does not meet its target, or the target is above the network's limit.
    #[error("header {hash} has no proof of work for its bits {bits:08x}")]
    ProofOfWork {
        /// The header's hash.
        hash: BlockHash,
        /// The header's bits.
        bits: u32,
    },
    /// The header's bits cannot follow those of its parent.
    #[error("header {hash} at height {height} cannot have bits {got:08x} after {parent:08x}")]
    Bits {
        /// The header's hash.
        hash: BlockHash,
        /// The header's height.
        height: u32,
        /// The parent's bits.
        parent: u32,
        /// The header's bits.
        got: u32,
    },
    /// The headers of a message do not follow one another.
    #[error("header {hash} does not follow the header before it in the message")]
    Unlinked {
        /// The hash of the first header that does not follow the header before it.
        hash: BlockHash,
    },
    /// The peer sent a block that it was not asked for.
    #[error("sent block {hash}, which it was not asked for")]
    Unsolicited {
        /// The block's hash.
        hash: BlockHash,
    },
}

/// One of the newest headers, on which new headers may build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecentHeader {
    /// The header's hash.
    pub hash: BlockHash,
    /// The header's height, if it is known.
    pub height: Option<u32>,
    /// The header's bits.
    pub bits: u32,
}

/// A block that waits for its download.
#[derive(Clone, Debug, PartialEq, Eq)]
struct QueuedBlock {
    hash: BlockHash,
    /// The peers that announced the block and have not been asked for it yet.
    announcers: VecDeque<PeerId>,
}

/// Decides which announced blocks are downloaded and from which peer.
#[derive(Debug)]
pub(super) struct BlockRequestTracker {
    params: &'static Params,
    /// Whether the first headers came from the stored chain. If they did, every new header has to build on them.
    anchored: bool,
    /// The newest headers, oldest first.
    headers: VecDeque<RecentHeader>,
    /// The new headers whose blocks have not been checked. A later announcement queues such a block again if it is no
    /// longer queued.
    unchecked: HashSet<BlockHash>,
    /// The header that each peer was asked for last, until the peer sends headers.
    header_requests: BTreeMap<PeerId, BlockHash>,
    /// The blocks to download, oldest first. Only the first one is requested.
    queue: VecDeque<QueuedBlock>,
    /// The peer that was asked for the first block of the queue, and the deadline for its answer.
    in_flight: Option<(PeerId, Duration)>,
    /// Requests that timed out, whose answers may still arrive.
    timed_out: VecDeque<(PeerId, BlockHash)>,
    skipped: u64,
}

impl BlockRequestTracker {
    /// Creates a tracker whose newest headers are `stored`, the end of the stored chain.
    pub(super) fn new(params: &'static Params, stored: Vec<RecentHeader>) -> Self {
        let mut tracker = Self {
            params,
            anchored: !stored.is_empty(),
            headers: stored.into(),
            unchecked: HashSet::new(),
            header_requests: BTreeMap::new(),
            queue: VecDeque::new(),
            in_flight: None,
            timed_out: VecDeque::new(),
            skipped: 0,
        };
        tracker.enforce_limits();
        tracker
    }

    /// Records that a peer announced a block. Returns a request for the block's header, unless the header is
    /// known or the peer has already been asked for it.
    pub(super) fn on_inv(&mut self, peer: PeerId, hash: BlockHash) -> Option<GetHeaders> {
        if self.is_known(&hash) {
            self.add_announcer(peer, &hash);
            return None;
        }
        let asked_before = self.header_requests.insert(peer, hash) == Some(hash);
        (!asked_before).then(|| {
            let newest = self.headers.iter().rev().take(MAX_LOCATOR);
            headers_up_to(hash, newest.map(|header| header.hash).collect())
        })
    }

    /// Takes a peer's headers, whether they were requested or not. Returns a further request to that peer, if one is
    /// needed.
    ///
    /// # Errors
    /// One of the headers cannot be valid on this network, or the headers do not follow one another.
    pub(super) fn on_headers(
        &mut self,
        peer: PeerId,
        headers: &[Header],
    ) -> Result<Option<GetHeaders>, BlockRelayFault> {
        let requested = self.header_requests.remove(&peer);
        let Some(first) = headers.first() else { return Ok(None) };
        self.check_work(headers)?;
        if self.is_known(&first.prev) || self.is_known(&first.hash()) {
            headers.iter().try_for_each(|header| self.add_header(peer, header))?;
            return Ok(None);
        }
        let (Some(last), false) = (headers.last(), self.anchored) else { return Ok(None) };
        if headers.len() == 1 || requested == Some(last.hash()) {
            // Without stored headers, a header need not build on a known header: its proof of work is enough.
            self.push(peer, RecentHeader { hash: last.hash(), height: None, bits: last.bits });
            return Ok(None);
        }
        // The peer knows none of our headers, so it answered with the first headers of its chain. To a request with an
        // empty locator, a peer answers with the header of the stop hash alone.
        Ok(requested.map(|hash| {
            self.header_requests.insert(peer, hash);
            headers_up_to(hash, Vec::new())
        }))
    }

    /// Checks that each header has proof of work and follows the header before it. Source: Bitcoin Core
    /// `CheckHeadersPoW`, `CheckHeadersAreContinuous`.
    fn check_work(&self, headers: &[Header]) -> Result<(), BlockRelayFault> {
        let mut before: Option<BlockHash> = None;
        for header in headers {
            let (hash, bits) = (header.hash(), header.bits);
            if before.is_some_and(|before| before != header.prev) {
                return Err(BlockRelayFault::Unlinked { hash });
            }
            let target = Target::from_bits(bits).ok();
            let target = target.filter(|target| *target <= self.params.pow_limit);
            if !target.is_some_and(|target| target.is_met_by(&hash)) {
                return Err(BlockRelayFault::ProofOfWork { hash, bits });
            }
            before = Some(hash);
        }
        Ok(())
    }

    /// Adds a header whose work was checked. For a known header, only the announcer is added. A header without a known
    /// parent is ignored.
    fn add_header(&mut self, peer: PeerId, header: &Header) -> Result<(), BlockRelayFault> {
        let (hash, got) = (header.hash(), header.bits);
        if self.is_known(&hash) {
            self.add_announcer(peer, &hash);
            return Ok(());
        }
        let Some(parent) = self.headers.iter().rev().find(|known| known.hash == header.prev) else {
            return Ok(());
        };
        let height = parent.height.map(|height| height.saturating_add(1));
        if let Some(height) = height
            && !permitted_transition(self.params, height, parent.bits, got)
        {
            return Err(BlockRelayFault::Bits { hash, height, parent: parent.bits, got });
        }
        self.push(peer, RecentHeader { hash, height, bits: got });
        Ok(())
    }

    fn push(&mut self, peer: PeerId, header: RecentHeader) {
        let announcers = VecDeque::from([peer]);
        self.headers.push_back(header);
        self.unchecked.insert(header.hash);
        self.queue.push_back(QueuedBlock { hash: header.hash, announcers });
        self.enforce_limits();
    }

    /// Drops the oldest headers and queued blocks beyond the limits.
    fn enforce_limits(&mut self) {
        let beyond = self.headers.len().saturating_sub(MAX_HEADERS);
        for old in self.headers.drain(..beyond) {
            self.unchecked.remove(&old.hash);
        }
        while self.queue.len() > MAX_QUEUED {
            // A block that has been requested stays.
            self.queue.remove(usize::from(self.in_flight.is_some()));
            self.skipped += 1;
        }
    }

    fn is_known(&self, hash: &BlockHash) -> bool {
        self.headers.iter().any(|header| header.hash == *hash)
    }

    fn add_announcer(&mut self, peer: PeerId, hash: &BlockHash) {
        let is_requested = self.is_requested(peer, hash);
        if let Some(queued) = self.queue.iter_mut().find(|queued| queued.hash == *hash) {
            if !is_requested && !queued.announcers.contains(&peer) {
                queued.announcers.push_back(peer);
            }
        } else if self.unchecked.contains(hash) {
            // The block was given up: too many blocks were queued, or its earlier announcers did not send it or sent
            // another block under its header.
            self.skipped = self.skipped.saturating_sub(1);
            self.queue.push_back(QueuedBlock { hash: *hash, announcers: VecDeque::from([peer]) });
            self.enforce_limits();
        }
    }

    /// Returns the next block to request, and the peer to send the request to. At most one block is requested at a
    /// time.
    pub(super) fn request(&mut self, now: Duration) -> Option<(PeerId, Inventory)> {
        if let Some((peer, deadline)) = self.in_flight {
            if now < deadline {
                return None;
            }
            self.time_out(peer);
        }
        while let Some(first) = self.queue.front_mut() {
            if let Some(peer) = first.announcers.pop_front() {
                self.in_flight = Some((peer, now + BLOCK_TIMEOUT));
                let hash = Hash256(first.hash.0);
                return Some((peer, Inventory { kind: InventoryKind::WitnessBlock, hash }));
            }
            self.queue.pop_front();
            self.skipped += 1;
        }
        None
    }

    /// Returns the time by which [`request`](Self::request) has to be called again; `None` if no block is requested.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.in_flight.map(|(_, deadline)| deadline)
    }

    /// Records that a block has arrived. Returns its header if the block is still needed.
    ///
    /// A block that arrives after its deadline is still needed if no other peer has sent it.
    ///
    /// # Errors
    /// The peer has no unanswered request for the block.
    pub(super) fn on_block(
        &mut self,
        peer: PeerId,
        hash: BlockHash,
    ) -> Result<Option<RecentHeader>, BlockRelayFault> {
        if self.is_requested(peer, &hash) {
            self.in_flight = None;
        } else {
            let at = self.timed_out.iter().position(|request| *request == (peer, hash));
            let request = at.and_then(|at| self.timed_out.remove(at));
            request.ok_or(BlockRelayFault::Unsolicited { hash })?;
        }
        let needed = self.unchecked.contains(&hash);
        Ok(self.headers.iter().rev().find(|header| needed && header.hash == hash).copied())
    }

    /// Records that a needed block has passed its check, and the height that the check found.
    pub(super) fn on_checked(&mut self, hash: BlockHash, height: Option<u32>) {
        if self.queue.front().is_some_and(|first| first.hash == hash)
            && let Some((peer, _)) = self.in_flight
        {
            // The block came late from another peer, so the request in flight is no longer needed. Its answer may still
            // arrive.
            self.time_out(peer);
        }
        let before = self.queue.len();
        self.queue.retain(|queued| queued.hash != hash);
        if self.queue.len() == before {
            // The block was counted as skipped when it was given up.
            self.skipped = self.skipped.saturating_sub(1);
        }
        self.unchecked.remove(&hash);
        if let Some(header) = self.headers.iter_mut().find(|header| header.hash == hash) {
            header.height = height;
        }
    }

    /// Records that a peer does not have a block that it announced.
    pub(super) fn on_not_found(&mut self, peer: PeerId, hash: BlockHash) {
        if self.is_requested(peer, &hash) {
            self.in_flight = None;
        }
    }

    /// Forgets a peer. A block that it was asked for is requested from another announcer.
    pub(super) fn remove_peer(&mut self, peer: PeerId) {
        self.header_requests.remove(&peer);
        self.timed_out.retain(|(id, _)| *id != peer);
        self.queue.iter_mut().for_each(|queued| queued.announcers.retain(|id| *id != peer));
        self.in_flight = self.in_flight.filter(|(id, _)| *id != peer);
    }

    /// Returns how many announced blocks were not downloaded, because there were too many at once or no peer sent them.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns whether the peer has been asked for the block and still has time to send it.
    fn is_requested(&self, peer: PeerId, hash: &BlockHash) -> bool {
        self.queue.front().is_some_and(|first| first.hash == *hash)
            && self.in_flight.is_some_and(|(id, _)| id == peer)
    }

    fn time_out(&mut self, peer: PeerId) {
        self.in_flight = None;
        if let Some(first) = self.queue.front() {
            if self.timed_out.len() == MAX_TIMED_OUT {
                self.timed_out.pop_front();
            }
            self.timed_out.push_back((peer, first.hash));
        }
    }
}

fn headers_up_to(stop: BlockHash, locator: Vec<BlockHash>) -> GetHeaders {
    GetHeaders { version: PROTOCOL_VERSION, locator, stop }
}
