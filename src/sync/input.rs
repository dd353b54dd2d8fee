//! What the state machine is given: what has happened, the time, and the stored chain.

use super::BatchId;
use super::presync::Proven;
use crate::chain::{BatchFault, ChainPoint, ChainTip, ConnectOutcome, Rejection};
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// The two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since the sync started: every wait is measured by it.
    pub since_start: Duration,
    /// The wall clock in Unix seconds, for comparisons with header times.
    pub unix: u64,
}

/// Read access to the stored chain. What cannot be read counts as not stored.
pub trait StoredChain {
    /// Returns the hashes of the headers at these heights, in the same order, without those that are not stored.
    fn hashes_at(&self, heights: &[u32]) -> Vec<BlockHash>;

    /// Returns the height of a header of the stored chain.
    fn height_of(&self, hash: &BlockHash) -> Option<u32>;

    /// Returns whether a header is part of a branch that is stored beside the chain.
    fn is_on_side_branch(&self, hash: &BlockHash) -> bool;

    /// Returns the time of the header at a height, in Unix seconds.
    fn time_at(&self, height: u32) -> Option<u32>;
}

/// Whether peers are still to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerSupply {
    /// Peers are being dialled or looked for, and that has not taken long.
    #[default]
    MoreExpected,
    /// Those that are connected are all that may come soon.
    Settled,
    /// None is connected, and none will be.
    Exhausted,
}

/// The ends of a `headers` message.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// The parent that the first header names; `None` for an empty message.
    pub parent: Option<BlockHash>,
    /// Time of the first header in Unix seconds.
    pub first_time: u32,
    /// Hash of the last header.
    pub last: BlockHash,
    /// How many headers there are.
    pub count: u32,
    /// The parent of headers that follow these and are those of another chain, which is not Bitcoin's.
    pub foreign_parent: Option<BlockHash>,
}

/// How a batch fared when its proof of work and its links were checked.
#[derive(Clone, Debug)]
pub struct Linked {
    /// How many of its headers are good.
    pub good: u32,
    /// Hash of the last of them; any hash if there is none.
    pub last: BlockHash,
    /// What is wrong with the header after them.
    pub fault: Option<BatchFault>,
    /// Height of the batch's parent, if that is stored.
    pub parent_height: Option<u32>,
    /// Height, hash and what the batch has there, if it leads away from a hint that the stored chain has reached.
    pub hint_mismatch: Option<(ChainPoint, BlockHash)>,
}

/// Something that has happened.
#[derive(Debug)]
pub enum Input {
    /// A peer can be asked.
    PeerConnected {
        /// Its connection.
        peer: PeerId,
        /// The height that it announced; nothing but questions about it follows from that.
        announced: u32,
        /// The round trip of its handshake.
        round_trip: Duration,
    },
    /// A peer is gone.
    PeerGone(PeerId),
    /// Whether more peers may come has changed.
    PeerSupply(PeerSupply),
    /// A peer sent a `headers` message.
    Headers {
        /// Who sent it.
        peer: PeerId,
        /// Its ends.
        reply: Reply,
        /// The number under which the caller keeps it until [`Command::Forget`](super::Command::Forget).
        batch: BatchId,
    },
    /// A peer announced a block with `inv`.
    BlockAnnounced {
        /// Who did.
        peer: PeerId,
        /// The last block of the message.
        hash: BlockHash,
    },
    /// It is to be found out whether a peer has our tip.
    CheckTip(PeerId),
    /// A batch's proof of work and links were checked.
    Linked {
        /// Which one.
        batch: BatchId,
        /// The result.
        linked: Linked,
    },
    /// Batches are stored.
    Connected {
        /// Each with what it did to the chain.
        batches: Vec<(BatchId, ConnectOutcome)>,
        /// The stored tip now.
        tip: ChainTip,
        /// Where the download has come to: the tip, or the end of the candidate.
        end: ChainPoint,
    },
    /// A batch has a header that breaks a rule; only those before it are stored.
    Refused {
        /// Which one.
        batch: BatchId,
        /// What the good headers did.
        outcome: ConnectOutcome,
        /// The header and the rule.
        rejection: Rejection,
        /// The stored tip now.
        tip: ChainTip,
        /// As for [`Input::Connected`].
        end: ChainPoint,
    },
    /// A batch was not looked at, because one before it was refused: it can be connected again.
    Returned(BatchId),
    /// A batch leads nowhere: what its sender sent before was not kept. That is nobody's fault.
    Orphan {
        /// Which one.
        batch: BatchId,
        /// Whether the branch is worth being sent once more, from its beginning.
        again: bool,
    },
    /// A branch has shown enough work to be downloaded for keeps.
    Proven {
        /// The branch.
        proven: Proven,
        /// The peer whose chain it is.
        prover: PeerId,
    },
    /// The candidate is discarded: nobody delivers it, or the chain has more work by now. The stored tip comes with it.
    CandidateDiscarded(ChainTip),
}
