//! The options of a watch, its events, its figures, and how it fails.

use super::block_requests::RecentHeader;
use super::limits::MempoolLimits;
use super::tx_requests::WatchCounts;
use crate::node::{Failures, PeerOptions};
use crate::primitives::BlockHash;
use crate::wire::Transaction;
use std::path::PathBuf;

/// The options of a watch.
#[derive(Clone, Debug)]
pub(crate) struct MempoolOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The network's folder, which holds the address manager's file.
    pub folder: PathBuf,
    /// The end of the stored chain, from [`stored_end`](super::stored_end()): new blocks have to build on it. If it is
    /// empty, a new block needs only proof of work at the network's limit.
    pub stored: Vec<RecentHeader>,
    /// How much the watch keeps, and how long it waits for answers.
    pub limits: MempoolLimits,
}

/// What a watch reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MempoolEvent {
    /// A transaction arrived for the first time. The transaction passed the checks that need no coins; its signatures
    /// are unchecked.
    Transaction(Transaction),
    /// A pending transaction arrived again with other witnesses. The watch checks no signatures, so the first or these
    /// witnesses may be made up.
    OtherWitness(Transaction),
    /// A new block arrived and matches its header.
    Block {
        /// The block's height, if its ancestors or its coinbase show it.
        height: Option<u32>,
        /// The block's hash.
        hash: BlockHash,
        /// How many transactions the block has.
        transactions: usize,
        /// How many of its transactions were pending.
        confirmed: usize,
        /// How many pending transactions conflict with the block: the block spends an outpoint that they, or their
        /// ancestors, spend.
        replaced: usize,
        /// How many transactions are still pending.
        pending: usize,
    },
}

/// The figures of a watch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MempoolFigures {
    /// Announcements, requests and their answers.
    pub counts: WatchCounts,
    /// Ids forgotten to make room. If one of them is announced again, its transaction counts as new.
    pub forgotten: u64,
    /// Transactions that are pending now: no block that was seen contains them.
    pub pending: usize,
    /// Pending transactions that a later transaction or a block replaced, and their descendants.
    pub replaced: u64,
    /// Pending transactions that arrived again with other witnesses.
    pub other_witnesses: u64,
    /// Pending transactions dropped to make room.
    pub pending_dropped: u64,
    /// Blocks that were announced and not downloaded.
    pub blocks_skipped: u64,
    /// Peers connected now.
    pub peers: usize,
    /// Bytes received from all peers.
    pub bytes: u64,
}

/// Why a watch cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MempoolError {
    /// No peer is connected, and none is left to dial.
    #[error("no peer could be used: {reasons}: check the network, or name a peer with --connect")]
    NoPeers {
        /// Why each peer could not be used.
        reasons: Box<Failures>,
    },
}
