//! The commands that the sync gives, and the events that it reports.

use super::{BatchId, SlowBlocks};
use crate::chain::{BatchFault, ChainPoint, ChainTip, Rejection, TooNew};
use crate::primitives::{BlockHash, PeerId, Work};
use std::time::Duration;

/// A command of the sync to its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncCommand {
    /// Send a `getheaders`.
    Request {
        /// The peer to send it to.
        peer: PeerId,
        /// Known hashes, newest first.
        locator: Vec<BlockHash>,
        /// Hash of the last header wanted; zero for as many headers as fit.
        stop: BlockHash,
    },
    /// Check the proof of work and the links of a batch.
    Link {
        /// The batch.
        batch: BatchId,
        /// A hint that the stored chain has reached: a batch must not leave the chain at or below it. `None` to compare
        /// the batch with no hint.
        hint: Option<ChainPoint>,
    },
    /// Connect a linked batch to the chain. Batches are connected in the order of their commands.
    Connect {
        /// The batch.
        batch: BatchId,
        /// The peer that sent it.
        peer: PeerId,
        /// Whether the batch lies between two hints (or genesis and the first hint), which make its work credible.
        hinted: bool,
        /// Whether nobody requested the batch.
        unsolicited: bool,
        /// Once a batch is refused, a branch proven or a candidate discarded, later batches of the same epoch are
        /// returned unchecked.
        epoch: u64,
    },
    /// Drop these batches.
    Forget(Vec<BatchId>),
    /// Disconnect a peer. The sync has already forgotten it.
    Disconnect {
        /// The peer.
        peer: PeerId,
        /// The reason.
        reason: DropReason,
    },
    /// Report an event.
    Report(SyncEvent),
    /// End the sync.
    Done(Stopped),
}

/// Why a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The peers have nothing more.
    CaughtUp,
    /// The chain has reached the height to stop at.
    StopHeight,
    /// A signal interrupted the sync.
    Interrupted,
    /// There was no progress for too long.
    Timeout,
    /// The next header was refused only because its time is too far ahead of our clock.
    Clock,
    /// The peers have nothing more, and the chain has less than the minimum chain work.
    LowWork,
    /// No peer could be used, or all peers were lost.
    NoPeers,
}

impl Stopped {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::CaughtUp,
        Self::StopHeight,
        Self::Interrupted,
        Self::Timeout,
        Self::Clock,
        Self::LowWork,
        Self::NoPeers,
    ];

    /// Returns the reason's name in JSON.
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
    /// The peer left a request unanswered.
    #[error("no answer to getheaders for {} s", waited.as_secs())]
    Stalled {
        /// How long we waited for the answer.
        waited: Duration,
    },
    /// The peer announced a height and has sent no header.
    #[error("announces height {height} and sends no headers")]
    SendsNoHeaders {
        /// The height that it announced.
        height: u32,
    },
    /// The peer sent several full answers in a row that brought nothing new.
    #[error("keeps sending headers that bring no new work: {answers} full answers in a row")]
    NoProgress {
        /// How many answers there were.
        answers: u32,
    },
    /// The peer does not deliver the branch whose work it has shown.
    #[error("showed a branch with more work and does not deliver it: height {height} is missing")]
    Withheld {
        /// Height of the first hint of the branch that was not reached.
        height: u32,
    },
    /// The peer's chain leaves the hints, which the stored chain or another peer's chain follows.
    #[error("its chain leaves the hints at height {height}: expected {expected}, got {got}")]
    LeftHints {
        /// Height of the hint that its chain lacks, or of a stored header below a hint.
        height: u32,
        /// Hash of the hint or of the stored header.
        expected: BlockHash,
        /// The peer's hash at that height, or the hash of the last header that it sent towards the hint.
        got: BlockHash,
    },
    /// The peer sent a header that breaks a rule.
    #[error("{0}")]
    InvalidHeader(Rejection),
    /// The peer sent a header that breaks a rule, and the height of its parent is not known.
    #[error("{0}")]
    UnplacedHeader(BatchFault),
    /// The peer's message goes on with headers of another chain, which has the same magic and longer headers.
    #[error("follows another chain from height {height}")]
    OtherChain {
        /// Height of the other chain's first header.
        height: u32,
    },
    /// The peer sent too many `headers` messages that were neither requested nor useful.
    #[error("keeps sending headers that nobody asked for")]
    UnsolicitedHeaders,
    /// The peer announced too many blocks that it did not deliver.
    #[error("keeps announcing blocks that it does not have")]
    UndeliveredBlocks,
}

impl DropReason {
    /// Returns whether the peer may only have been slow. Then its address is not discouraged.
    pub const fn may_only_be_slow(&self) -> bool {
        matches!(self, Self::Stalled { .. } | Self::SendsNoHeaders { .. })
    }
}

/// An event of a sync that its observers may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// A peer has sent new work, which was verified.
    NewWork(PeerId),
    /// The stored chain has a new tip.
    NewTip(ChainTip),
    /// The chain is complete as far as the peers know. The sync follows it from now on.
    CaughtUp,
    /// Something contradicts that the chain is complete.
    Contradiction(Contradiction),
    /// A range is requested from another peer, because `peer` is late.
    LateRange {
        /// The late peer.
        peer: PeerId,
        /// Height of the range's end.
        height: u32,
    },
    /// No peer's chain follows the hints, or the best chain contradicts them: the download goes on without hints.
    HintsGivenUp {
        /// Height of the first hint that a peer's chain or the best chain lacks.
        height: u32,
        /// Whether the hints begin with those of one peer's branch, which a presync has checked.
        proven: bool,
    },
    /// The stored chain contradicts a shipped hint: the download goes on without the shipped hints.
    HintsContradicted {
        /// The hint.
        hint: ChainPoint,
        /// The stored chain's hash at the hint's height.
        stored: BlockHash,
    },
    /// The peers have nothing more, the chain has too little work, and the sync waits for more.
    LowWork {
        /// Height of the best chain that was seen.
        height: u32,
    },
    /// A header above the tip is too new for our clock.
    TooNew(TooNew),
    /// A branch has shown its work, and is now downloaded to be stored.
    Proven {
        /// Height of the last common header.
        fork_height: u32,
        /// Height of the branch's last hint, at or shortly below the header with which its work was enough.
        height: u32,
    },
    /// The candidate was discarded, and does not replace the chain's end.
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
    /// A branch beside the chain is too long to be followed further.
    SideBranchTooLong {
        /// The height that it has reached.
        height: u32,
    },
    /// A branch beside the chain ends at this tip.
    SideTip(ChainTip),
    /// Peers have different chains.
    PeersDisagree {
        /// The end of the chain with the most work.
        best: ChainTip,
        /// The end of the other chain.
        other: ChainTip,
    },
    /// A branch with more work has become the chain.
    Reorganization {
        /// The tip before.
        old: ChainPoint,
        /// The tip now.
        new: ChainPoint,
        /// How many headers of the old branch are no longer on the chain.
        depth: u32,
    },
}

/// A fact that contradicts that the chain is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The chain ends below the height to stop at.
    StopHeightNotReached {
        /// Height of the tip.
        height: u32,
        /// The height to stop at.
        stop: u32,
    },
    /// Connected peers announced heights that no peer has delivered.
    Undelivered {
        /// The peers and the heights that they announced; there is at least one.
        announced: Vec<(PeerId, u32)>,
        /// Height of the tip.
        height: u32,
    },
    /// The last hint is above the tip.
    MissingHint {
        /// Height of the tip.
        height: u32,
        /// Height of the last hint.
        hint: u32,
    },
    /// The tip is old, on a network whose blocks are mined at regular intervals.
    OldTip {
        /// Height of the tip.
        height: u32,
        /// Seconds from its time to our clock.
        age: u64,
    },
    /// Blocks come so slowly that the peers may be hiding some.
    SlowBlocks(SlowBlocks),
    /// A minority of the peers has a header that is too new for our clock.
    TooNewForFew(TooNew),
}
