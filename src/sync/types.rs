//! What goes into the engine and what comes out.

use super::Tag;
use crate::chain::Hints;
use crate::primitives::{BlockHash, PeerId};
use std::time::Duration;

/// Headers in a full answer: one with fewer says that the peer has no more.
pub(super) const FULL: u32 = 2000;

/// Position of a range's end among the hints.
pub(super) type RangeKey = usize;

/// What the engine has to know from the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hash of the network's first header.
    pub genesis: BlockHash,
    /// Hashes of the expected chain; empty for none.
    pub hints: Hints,
    /// The height to stop at.
    pub stop_height: Option<u32>,
}

/// The ends of a `headers` message.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// The parent that the first header names; `None` for an empty message.
    pub parent: Option<BlockHash>,
    /// Hash of the last header.
    pub last: BlockHash,
    /// How many headers there are.
    pub count: u32,
}

/// What a `headers` message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// An answer that is needed: link it, and report under this tag.
    Take(Tag),
    /// An answer that is not needed (any more).
    Discard,
    /// No answer to anything that was asked.
    Unasked,
}

/// Why the engine wants a peer dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// A request was left unanswered.
    #[error("no answer to getheaders for {} s", waited.as_secs())]
    Stalled {
        /// How long it was waited for.
        waited: Duration,
    },
    /// Its full answers bring nothing new, one after another.
    #[error("keeps sending headers that bring no new work: {answers} full answers in a row")]
    NoProgress {
        /// How many they were.
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
        /// What the peer has there, or the last header it sent on the way.
        got: BlockHash,
    },
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a `getheaders`.
    Ask {
        /// To whom.
        peer: PeerId,
        /// Known hashes, newest first.
        locator: Vec<BlockHash>,
        /// The last header wanted; zero for as many as fit.
        stop: BlockHash,
    },
    /// Disconnect; the engine has forgotten the peer already.
    Drop {
        /// Whom.
        peer: PeerId,
        /// Why.
        reason: DropReason,
    },
    /// Say that a range is asked of another peer because this one is late.
    Late {
        /// The late peer.
        peer: PeerId,
        /// Height of the range's end.
        height: u32,
    },
    /// Say that no peer's chain follows the hints, and that the download goes on without them.
    HintsOff {
        /// Height of the first hint that nobody follows.
        height: u32,
        /// Whether the hints were one peer's branch, taken over on the way.
        adopted: bool,
    },
    /// Throw away the batches with these tags.
    Forget(Vec<Tag>),
}

/// How a batch fared when it was linked.
#[derive(Clone, Copy, Debug)]
pub struct Linked {
    /// How many of its headers are good.
    pub good: u32,
    /// Hash of the last of them; any if there is none.
    pub last: BlockHash,
    /// Whether a bad one follows.
    pub faulty: bool,
}

/// How far the download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is no peer to ask.
    NoPeers,
    /// Answers are awaited.
    Downloading,
    /// The peers have nothing beyond the tip.
    CaughtUp,
}
