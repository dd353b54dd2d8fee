//! What a watch is given, and what it tells.

use super::blocks::Seen;
use super::limits::Limits;
use super::watch::WatchCounts;
use crate::node::{Failures, PeerOptions};
use crate::primitives::BlockHash;
use crate::wire::Transaction;
use std::path::PathBuf;

/// What to watch.
#[derive(Clone, Debug)]
pub(crate) struct MempoolOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The network's folder, for the address manager in it.
    pub folder: PathBuf,
    /// The end of the stored chain, from [`stored_end`](super::stored_end): new blocks have to build on it. Where it is
    /// empty, proof of work at the network's limit is all that is asked of the first one.
    pub stored: Vec<Seen>,
    /// How much is kept and waited for.
    pub limits: Limits,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A transaction that was not seen before. No coin and no signature was checked, only what it is by itself.
    Transaction(Transaction),
    /// One that is pending and came once more, with other witnesses: at most one of the two is what was signed.
    OtherWitness(Transaction),
    /// A new block, held to its header.
    Block {
        /// Its height; none where neither its ancestors nor its coinbase say one.
        height: Option<u32>,
        /// Its hash.
        hash: BlockHash,
        /// How many transactions it has.
        transactions: usize,
        /// How many of them were pending.
        confirmed: usize,
        /// How many pending ones it leaves no room for: it spends what they, or those they build on, spend.
        replaced: usize,
        /// How many transactions are pending still.
        pending: usize,
    },
}

/// The numbers of a watch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MempoolFigures {
    /// Of announcements and requests.
    pub counts: WatchCounts,
    /// Ids forgotten to make room: if one is announced again, it is seen again.
    pub forgotten: u64,
    /// Transactions in no block that was followed.
    pub pending: usize,
    /// Pending ones replaced by a later one or by one in a block, with those that build on them.
    pub replaced: u64,
    /// Pending ones that came with other witnesses as well.
    pub other_witnesses: u64,
    /// Pending ones let go to make room.
    pub pending_dropped: u64,
    /// Blocks that were announced and not downloaded.
    pub blocks_skipped: u64,
    /// Peers connected now.
    pub peers: usize,
    /// Bytes received, of everything.
    pub bytes: u64,
}

/// Why a watch cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MempoolError {
    /// There is nobody to watch.
    #[error("no peer could be used: {reasons}: check the network, or name one with --connect")]
    NoPeers {
        /// Why.
        reasons: Box<Failures>,
    },
}
