//! Which announced blocks are downloaded, and from whom, as a state machine beside that of the transactions.
//!
//! A block is announced by its hash (`inv`), or by its header to those that ask for that, which this program does not.
//! Its header is fetched first: without proof of work nothing is downloaded for it.

use crate::chain::{Params, permitted_transition};
use crate::primitives::{BlockHash, Hash256, Header, PeerId, Target};
use crate::wire::{GetHeaders, Inventory, InventoryKind, MAX_LOCATOR, PROTOCOL_VERSION};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

/// Time for one peer to send a block: 130 kB/s for the largest one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Blocks that wait to be downloaded, one after the other; of more the newest count.
const MAX_WAITING: usize = 8;

/// Headers that new ones may build on. Bitcoin Core keeps blocks below that depth (`MIN_BLOCKS_TO_KEEP`) for good.
const MAX_HEADERS: usize = 288;

/// Blocks that were given up and may still come.
const MAX_LATE: usize = 32;

/// What a peer did that no good peer does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockNewsFault {
    /// A header without the work that it claims, or claiming less than the network asks for.
    #[error("header {hash} has no proof of work for its bits {bits:08x}")]
    ProofOfWork {
        /// Its hash.
        hash: BlockHash,
        /// Its bits.
        bits: u32,
    },
    /// A header whose bits cannot follow those of its parent.
    #[error("header {hash} at height {height} cannot have bits {got:08x} after {parent:08x}")]
    Bits {
        /// Its hash.
        hash: BlockHash,
        /// Its height.
        height: u32,
        /// The parent's bits.
        parent: u32,
        /// Its bits.
        got: u32,
    },
    /// Headers of one message that do not follow one another.
    #[error("header {hash} does not follow the one before it in the message")]
    Unlinked {
        /// Its hash.
        hash: BlockHash,
    },
    /// A block that it was not asked for.
    #[error("sent block {hash}, which it was not asked for")]
    Unasked {
        /// Its hash.
        hash: BlockHash,
    },
}

/// A header that others may build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height, where it is known.
    pub height: Option<u32>,
    /// Its bits.
    pub bits: u32,
}

/// A block to download.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    hash: BlockHash,
    /// Who has it and was not asked yet.
    from: VecDeque<PeerId>,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Blocks {
    params: &'static Params,
    /// Whether the first headers were stored ones: then every other one has to build on them.
    anchored: bool,
    /// The newest last.
    headers: VecDeque<Seen>,
    /// Those of them whose blocks have not been checked: one that nobody sent may still be announced by others.
    open: HashSet<BlockHash>,
    /// Whose header was asked of whom.
    asking: BTreeMap<PeerId, BlockHash>,
    /// The oldest first; the first is the one that is downloaded.
    wanted: VecDeque<Wanted>,
    /// Of whom the first is asked, and until when.
    asked: Option<(PeerId, Duration)>,
    late: VecDeque<(PeerId, BlockHash)>,
    skipped: u64,
}

impl Blocks {
    /// Nothing seen but `stored`, the last headers of the stored chain.
    pub(super) fn new(params: &'static Params, stored: Vec<Seen>) -> Self {
        let mut blocks = Self {
            params,
            anchored: !stored.is_empty(),
            headers: stored.into(),
            open: HashSet::new(),
            asking: BTreeMap::new(),
            wanted: VecDeque::new(),
            asked: None,
            late: VecDeque::new(),
            skipped: 0,
        };
        blocks.cut();
        blocks
    }

    /// A peer announced a block. What to ask it.
    pub(super) fn on_inv(&mut self, key: PeerId, hash: BlockHash) -> Option<GetHeaders> {
        if self.is_known(&hash) {
            self.add_source(key, &hash);
            return None;
        }
        let asked_before = self.asking.insert(key, hash) == Some(hash);
        (!asked_before).then(|| {
            let newest = self.headers.iter().rev().take(MAX_LOCATOR);
            headers_up_to(hash, newest.map(|seen| seen.hash).collect())
        })
    }

    /// A peer sent headers, asked or not. What to ask it next.
    ///
    /// # Errors
    /// One of them is none of the network's.
    pub(super) fn on_headers(
        &mut self,
        key: PeerId,
        headers: &[Header],
    ) -> Result<Option<GetHeaders>, BlockNewsFault> {
        let asked = self.asking.remove(&key);
        let Some(first) = headers.first() else { return Ok(None) };
        self.check_work(headers)?;
        if self.is_known(&first.prev) || self.is_known(&first.hash()) {
            headers.iter().try_for_each(|header| self.add(key, header))?;
            return Ok(None);
        }
        let (Some(last), false) = (headers.last(), self.anchored) else { return Ok(None) };
        if headers.len() == 1 || asked == Some(last.hash()) {
            // Nothing stored to build on: what has work is taken as it is.
            self.push(key, Seen { hash: last.hash(), height: None, bits: last.bits });
            return Ok(None);
        }
        // The peer knows none of ours. To no locator at all it gives the one header that is meant.
        Ok(asked.map(|hash| {
            self.asking.insert(key, hash);
            headers_up_to(hash, Vec::new())
        }))
    }

    /// Proof of work, and that each follows the one before. Source: Bitcoin Core `CheckHeadersPoW`,
    /// `CheckHeadersAreContinuous`.
    fn check_work(&self, headers: &[Header]) -> Result<(), BlockNewsFault> {
        let mut before: Option<BlockHash> = None;
        for header in headers {
            let (hash, bits) = (header.hash(), header.bits);
            if before.is_some_and(|before| before != header.prev) {
                return Err(BlockNewsFault::Unlinked { hash });
            }
            let target = Target::from_bits(bits).ok();
            let target = target.filter(|target| *target <= self.params.pow_limit);
            if !target.is_some_and(|target| target.is_met_by(&hash)) {
                return Err(BlockNewsFault::ProofOfWork { hash, bits });
            }
            before = Some(hash);
        }
        Ok(())
    }

    /// A header whose work was checked, and whose parent is known unless it is itself.
    fn add(&mut self, key: PeerId, header: &Header) -> Result<(), BlockNewsFault> {
        let (hash, got) = (header.hash(), header.bits);
        if self.is_known(&hash) {
            self.add_source(key, &hash);
            return Ok(());
        }
        let Some(parent) = self.headers.iter().rev().find(|seen| seen.hash == header.prev) else {
            return Ok(());
        };
        let height = parent.height.map(|height| height.saturating_add(1));
        if let Some(height) = height
            && !permitted_transition(self.params, height, parent.bits, got)
        {
            return Err(BlockNewsFault::Bits { hash, height, parent: parent.bits, got });
        }
        self.push(key, Seen { hash, height, bits: got });
        Ok(())
    }

    fn push(&mut self, key: PeerId, seen: Seen) {
        let from = VecDeque::from([key]);
        self.headers.push_back(seen);
        self.open.insert(seen.hash);
        self.wanted.push_back(Wanted { hash: seen.hash, from });
        self.cut();
    }

    fn cut(&mut self) {
        let beyond = self.headers.len().saturating_sub(MAX_HEADERS);
        for old in self.headers.drain(..beyond) {
            self.open.remove(&old.hash);
        }
        while self.wanted.len() > MAX_WAITING {
            // The one that is under way is let come.
            self.wanted.remove(usize::from(self.asked.is_some()));
            self.skipped += 1;
        }
    }

    fn is_known(&self, hash: &BlockHash) -> bool {
        self.headers.iter().any(|seen| seen.hash == *hash)
    }

    fn add_source(&mut self, key: PeerId, hash: &BlockHash) {
        let first = self.wanted.front().map(|wanted| wanted.hash);
        let is_asked = first == Some(*hash) && self.asked.is_some_and(|(asked, _)| asked == key);
        if let Some(wanted) = self.wanted.iter_mut().find(|wanted| wanted.hash == *hash) {
            if !is_asked && !wanted.from.contains(&key) {
                wanted.from.push_back(key);
            }
        } else if self.open.contains(hash) {
            // Given up, since those who announced it before did not send it, or sent another under its header.
            self.wanted.push_back(Wanted { hash: *hash, from: VecDeque::from([key]) });
            self.cut();
        }
    }

    /// What to ask of whom now: at most one block is on its way at a time.
    pub(super) fn request(&mut self, now: Duration) -> Option<(PeerId, Inventory)> {
        if let Some((key, deadline)) = self.asked {
            if now < deadline {
                return None;
            }
            self.give_up(key);
        }
        while let Some(wanted) = self.wanted.front_mut() {
            if let Some(key) = wanted.from.pop_front() {
                self.asked = Some((key, now + PATIENCE));
                let hash = Hash256(wanted.hash.0);
                return Some((key, Inventory { kind: InventoryKind::WitnessBlock, hash }));
            }
            self.wanted.pop_front();
            self.skipped += 1;
        }
        None
    }

    /// When [`Blocks::request`] has something to do, at the latest.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.asked.map(|(_, deadline)| deadline)
    }

    /// A block came. Whether it is still waited for, with its height where it is known: one that comes after its time
    /// may be the first to come.
    ///
    /// # Errors
    /// The peer was never asked for it.
    pub(super) fn on_block(
        &mut self,
        key: PeerId,
        hash: BlockHash,
    ) -> Result<Option<Seen>, BlockNewsFault> {
        let wanted = self.wanted.front().filter(|wanted| wanted.hash == hash);
        if wanted.is_some() && self.asked.is_some_and(|(asked, _)| asked == key) {
            self.asked = None;
        } else {
            let late = self.late.iter().position(|late| *late == (key, hash));
            late.and_then(|at| self.late.remove(at)).ok_or(BlockNewsFault::Unasked { hash })?;
        }
        let open = self.open.contains(&hash);
        Ok(self.headers.iter().rev().find(|seen| open && seen.hash == hash).copied())
    }

    /// The block that was waited for has been checked, and has that height.
    pub(super) fn done(&mut self, hash: BlockHash, height: Option<u32>) {
        if self.wanted.front().is_some_and(|wanted| wanted.hash == hash)
            && let Some((key, _)) = self.asked
        {
            // Another one was late with it: this one may still send it, too.
            self.give_up(key);
        }
        let before = self.wanted.len();
        self.wanted.retain(|wanted| wanted.hash != hash);
        if self.wanted.len() == before {
            // It was counted when it was given up.
            self.skipped = self.skipped.saturating_sub(1);
        }
        self.open.remove(&hash);
        if let Some(seen) = self.headers.iter_mut().find(|seen| seen.hash == hash) {
            seen.height = height;
        }
    }

    /// A peer does not have what it announced.
    pub(super) fn on_not_found(&mut self, key: PeerId, hash: BlockHash) {
        let first = self.wanted.front().map(|wanted| wanted.hash);
        if first == Some(hash) && self.asked.is_some_and(|(asked, _)| asked == key) {
            self.asked = None;
        }
    }

    /// A peer is gone: others are asked.
    pub(super) fn remove_peer(&mut self, key: PeerId) {
        self.asking.remove(&key);
        self.late.retain(|(late, _)| *late != key);
        self.wanted.iter_mut().for_each(|wanted| wanted.from.retain(|from| *from != key));
        self.asked = self.asked.filter(|(asked, _)| *asked != key);
    }

    /// How many announced blocks were not downloaded: too many at once, or nobody sent them.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    fn give_up(&mut self, key: PeerId) {
        self.asked = None;
        if let Some(wanted) = self.wanted.front() {
            if self.late.len() == MAX_LATE {
                self.late.pop_front();
            }
            self.late.push_back((key, wanted.hash));
        }
    }
}

fn headers_up_to(stop: BlockHash, locator: Vec<BlockHash>) -> GetHeaders {
    GetHeaders { version: PROTOCOL_VERSION, locator, stop }
}
