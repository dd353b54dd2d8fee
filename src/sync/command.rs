//! What the sync says is to be done.

use super::BatchId;
use crate::chain::{ChainPoint, ChainTip, Rejection, TooNew};
use crate::primitives::{BlockHash, PeerId, Work};
use std::time::Duration;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a `getheaders`.
    Request {
        /// To whom.
        peer: PeerId,
        /// Known hashes, newest first.
        locator: Vec<BlockHash>,
        /// The last header wanted; zero for as many as fit.
        stop: BlockHash,
    },
    /// Check the proof of work and the links of a batch.
    Link {
        /// Which one.
        batch: BatchId,
        /// The hint that a batch has to lead to if its parent is stored below that.
        hint: Option<ChainPoint>,
    },
    /// Connect a linked batch to the chain, in the order of these commands.
    Connect {
        /// Which one.
        batch: BatchId,
        /// Who sent it.
        peer: PeerId,
        /// Whether it lies between two hints, which vouch for its work.
        hinted: bool,
        /// Whether it came without being asked for.
        unsolicited: bool,
        /// Of the batches of an epoch, those after one that was refused are returned.
        epoch: u64,
    },
    /// Throw these batches away.
    Forget(Vec<BatchId>),
    /// Disconnect a peer, which the sync has forgotten already.
    Disconnect {
        /// Whom.
        peer: PeerId,
        /// Why.
        reason: DropReason,
    },
    /// Tell those who watch.
    Report(SyncEvent),
    /// End the sync.
    Done(Stopped),
}

/// Why a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing more was to be had.
    CaughtUp,
    /// The height asked for is reached.
    StopHeight,
    /// A signal asked for it.
    Interrupted,
    /// There was no progress for too long.
    Timeout,
    /// What followed was refused only because its time is ahead of our clock.
    Clock,
    /// Nothing more was to be had, and the chain has less than the minimum chain work.
    LowWork,
    /// No peer could be used, or all of them were lost.
    NoPeers,
}

impl Stopped {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CaughtUp,
        Self::StopHeight,
        Self::Interrupted,
        Self::Timeout,
        Self::Clock,
        Self::LowWork,
        Self::NoPeers,
    ];

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaughtUp => "caught-up",
            Self::StopHeight => "stop-height",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::Clock => "clock",
            Self::LowWork => "low-work",
            Self::NoPeers => "no-peers",
        }
    }
}

/// Why a peer is disconnected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// It left a request unanswered.
    #[error("no answer to getheaders for {} s", waited.as_secs())]
    Stalled {
        /// For how long.
        waited: Duration,
    },
    /// It announced a height and has sent no header.
    #[error("announces height {height} and sends no headers")]
    SendsNoHeaders {
        /// The height that it announced.
        height: u32,
    },
    /// Its full answers bring nothing new, one after another.
    #[error("keeps sending headers that bring no new work: {answers} full answers in a row")]
    NoProgress {
        /// How many there were.
        answers: u32,
    },
    /// It does not deliver the branch whose work it has shown.
    #[error("showed a branch with more work and does not deliver it: height {height} is missing")]
    Withheld {
        /// Height of the first hash of the branch that is missing.
        height: u32,
    },
    /// Its chain does not contain a hint that another peer's does.
    #[error("its chain leaves the hints at height {height}: expected {expected}, got {got}")]
    LeftHints {
        /// Height of the hint.
        height: u32,
        /// The hint.
        expected: BlockHash,
        /// What the peer has there, or the last header that it sent on the way.
        got: BlockHash,
    },
    /// It sent a header that breaks a rule.
    #[error("{0}")]
    InvalidHeader(Rejection),
    /// Its headers go on with those of another chain (NETWORKS.md section 8).
    #[error("follows another chain from height {height}")]
    OtherChain {
        /// Height of the first such header.
        height: u32,
    },
    /// It sent too many headers that were neither asked for nor of use.
    #[error("keeps sending headers that nobody asked for")]
    UnsolicitedHeaders,
    /// It announced too many blocks that it did not deliver.
    #[error("keeps announcing blocks that it does not have")]
    UndeliveredBlocks,
}

impl DropReason {
    /// Returns whether the peer may only have been slow: its address is not discouraged.
    pub const fn is_silence(&self) -> bool {
        matches!(self, Self::Stalled { .. } | Self::SendsNoHeaders { .. })
    }
}

/// Something that those who watch a sync may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// A peer has sent verified work that is new.
    NewWork(PeerId),
    /// The stored chain has this tip now.
    NewTip(ChainTip),
    /// The chain is complete as far as the peers know; the sync follows it from here on.
    CaughtUp,
    /// Something does not fit a chain that is complete.
    Contradiction(Contradiction),
    /// A range is asked of another peer because this one is late.
    LateRange {
        /// The late peer.
        peer: PeerId,
        /// Height of the range's end.
        height: u32,
    },
    /// No peer's chain has the hint at this height: the download goes on without hints.
    HintsGivenUp {
        /// Height of the first hint that nobody has.
        height: u32,
        /// Whether the hints were those of one peer's branch, made in a presync.
        proven: bool,
    },
    /// The stored chain contradicts a hint: the download goes on without hints.
    HintsContradicted {
        /// The hint.
        hint: ChainPoint,
        /// What the stored chain has at its height.
        stored: BlockHash,
    },
    /// Nothing more was to be had, the chain has too little work, and the sync waits for more.
    LowWork {
        /// Height of the best chain that was seen.
        height: u32,
    },
    /// A header above the tip is too new for our clock.
    TooNew(TooNew),
    /// A branch has shown its work and is downloaded for keeps.
    Proven {
        /// Height of the last common header.
        fork_height: u32,
        /// Height up to which it has shown its work.
        height: u32,
    },
    /// The candidate does not take over.
    CandidateDiscarded,
    /// A branch was not kept, because it has too little work.
    BranchNotKept {
        /// Height of its end.
        height: u32,
        /// Hash of its end.
        hash: BlockHash,
        /// Its work, genesis included.
        work: Work,
    },
    /// A branch beside the chain is not followed any further.
    SideBranchTooLong {
        /// The height that it had reached.
        height: u32,
    },
    /// A branch beside the chain ends here.
    SideTip(ChainTip),
    /// Peers have different chains.
    PeersDisagree {
        /// The chain with the most work.
        best: ChainTip,
        /// The end of the other one.
        other: ChainTip,
    },
    /// A branch with more work took over.
    Reorganization {
        /// The tip before.
        old: ChainPoint,
        /// The tip now.
        new: ChainPoint,
        /// How many headers of the old branch are no longer on the chain.
        depth: u32,
    },
}

/// What does not fit a chain that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The chain ends below the height to stop at.
    StopHeightNotReached {
        /// Height of the tip.
        height: u32,
        /// The height to stop at.
        stop: u32,
    },
    /// Connected peers announced more than anybody delivered.
    Undelivered {
        /// The peers that did, and the heights that they announced; there is at least one.
        announced: Vec<(PeerId, u32)>,
        /// Height of the tip.
        height: u32,
    },
    /// The hints go further than the chain.
    MissingHint {
        /// Height of the tip.
        height: u32,
        /// Height of the last hint.
        hint: u32,
    },
    /// The tip is old, on a network where blocks come regularly.
    OldTip {
        /// Height of the tip.
        height: u32,
        /// Seconds from its time to our clock.
        age: u64,
    },
    /// A few peers have a header that is too new for our clock.
    TooNewForFew(TooNew),
}
