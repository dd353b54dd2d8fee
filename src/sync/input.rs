//! The input of the state machine: events, and the stored chain.

use super::BatchId;
use super::presync::Proven;
use crate::chain::{BatchFault, ChainPoint, ChainTip, ConnectOutcome, Rejection};
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// Read access to the stored chain. A header that cannot be read counts as not stored.
pub trait StoredChain {
    /// Returns the hashes of the headers at these heights, in the same order, without those that are not stored.
    fn hashes_at(&self, heights: &[u32]) -> Vec<BlockHash>;

    /// Returns the height of a header of the stored chain; `None` if the chain does not have this header.
    fn height_of(&self, hash: &BlockHash) -> Option<u32>;

    /// Returns whether a header is part of a branch that is stored beside the chain.
    fn is_on_side_branch(&self, hash: &BlockHash) -> bool;

    /// Returns times and bits of at most `count` headers from height `first` on, in height order.
    fn times_and_bits(&self, first: u32, count: u32) -> Vec<TimeAndBits>;
}

/// The time and the bits of a stored header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeAndBits {
    /// Time in Unix seconds.
    pub time: u32,
    /// The target in compact form.
    pub bits: u32,
}

/// Whether more peers will connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerSupply {
    /// Another peer is likely to connect soon: peers are being dialled or looked for, and this began recently.
    #[default]
    MoreExpected,
    /// No more peers than the connected ones are to be expected soon.
    NoMoreExpected,
    /// No peer is connected, and none will be.
    Exhausted,
}

/// The ends and the length of a `headers` message.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// The parent hash of the first header; `None` for an empty message.
    pub parent: Option<BlockHash>,
    /// Time of the first header in Unix seconds; 0 for an empty message.
    pub first_time: u32,
    /// Hash of the last header; zero for an empty message.
    pub last: BlockHash,
    /// How many headers there are.
    pub count: u32,
    /// The parent hash of the first header of another chain (not Bitcoin's), if the message goes on with such headers.
    pub foreign_parent: Option<BlockHash>,
}

/// The result of checking a batch's proof of work and links.
#[derive(Clone, Debug)]
pub struct Linked {
    /// How many headers of the batch are good, up to the first fault.
    pub good: u32,
    /// Hash of the last good header; any hash if there is none.
    pub last: BlockHash,
    /// What is wrong with the next header; `None` if all headers are good.
    pub fault: Option<BatchFault>,
    /// Height of the batch's parent, if the parent is stored, in the chain or beside it, and the height is needed.
    pub parent_height: Option<u32>,
    /// Set if the stored chain has the hint of [`SyncCommand::Link`](super::SyncCommand::Link), and the batch leaves
    /// that chain at or below the hint. Both values are for the height of the batch's last header that is not above the
    /// hint: the stored header, and the hash of the batch's header.
    pub hint_mismatch: Option<(ChainPoint, BlockHash)>,
}

/// An event.
#[derive(Debug)]
pub enum Input {
    /// A peer has connected.
    PeerConnected {
        /// The number of its connection.
        peer: PeerId,
        /// The height that it announced in its handshake, which may be false.
        announced: u32,
        /// The round trip of its handshake.
        round_trip: Duration,
    },
    /// A peer has disconnected.
    PeerGone(PeerId),
    /// The supply of peers has changed.
    PeerSupply(PeerSupply),
    /// A peer sent a `headers` message.
    Headers {
        /// The sender.
        peer: PeerId,
        /// The ends and the length of the message.
        reply: Reply,
        /// The number under which the caller keeps the headers, until they are connected or a
        /// [`SyncCommand::Forget`](super::SyncCommand::Forget) names it.
        batch: BatchId,
    },
    /// A peer announced a block with `inv`.
    BlockAnnounced {
        /// The peer.
        peer: PeerId,
        /// Hash of the last block in the message.
        hash: BlockHash,
    },
    /// The caller wants to know whether a peer has our tip.
    CheckTip(PeerId),
    /// A batch's proof of work and links were checked.
    Linked {
        /// The batch.
        batch: BatchId,
        /// The result.
        linked: Linked,
    },
    /// Batches were handled, and the headers that were kept are stored.
    Connected {
        /// The batches, each with what it did to the chain.
        batches: Vec<(BatchId, ConnectOutcome)>,
        /// The stored tip now.
        tip: ChainTip,
        /// The end of what is stored now: the tip, or the end of the candidate.
        end: ChainPoint,
    },
    /// A batch has a header that breaks a rule. Of this batch, at most the headers before the bad one are stored.
    Refused {
        /// The batch.
        batch: BatchId,
        /// What the good headers did to the chain.
        outcome: ConnectOutcome,
        /// The bad header, and the rule that it breaks.
        rejection: Rejection,
        /// The stored tip now.
        tip: ChainTip,
        /// The end of what is stored now: the tip, or the end of the candidate.
        end: ChainPoint,
    },
    /// A batch was returned unconnected, because its epoch is over: a batch was refused, a branch proven, or the
    /// candidate discarded.
    Returned(BatchId),
    /// The parent of a batch is not known, since its sender's earlier headers were not kept. The sender is not to
    /// blame.
    Orphan {
        /// The batch.
        batch: BatchId,
        /// Whether to request the branch again from its beginning.
        request_again: bool,
    },
    /// A branch has shown enough work to be downloaded again and stored.
    Proven {
        /// The branch.
        proven: Proven,
        /// The peer that showed it.
        prover: PeerId,
    },
    /// The candidate was discarded, because no peer delivers it or the chain has more work by now. Carries the stored
    /// tip.
    CandidateDiscarded(ChainTip),
}
