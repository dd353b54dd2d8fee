//! How much a watch keeps, and how long it waits for answers.

use std::time::Duration;

/// How much a watch keeps, and how long it waits for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MempoolLimits {
    /// How many transactions of one peer may be announced and not yet received. Further announcements are dropped.
    ///
    /// Source: Bitcoin Core `MAX_PEER_TX_ANNOUNCEMENTS`.
    pub announced: usize,
    /// How many requests to one peer may be unanswered at once.
    ///
    /// This is ten times Bitcoin Core's `MAX_PEER_TX_REQUEST_IN_FLIGHT` (100). With 100 requests and a round trip of
    /// 200 ms, one peer could send at most 500 transactions a second.
    pub in_flight: usize,
    /// The greatest number of entries in a `getdata` message. Source: Bitcoin Core `MAX_GETDATA_SZ`.
    pub batch: usize,
    /// How long a peer may take to answer a request. After this time, another announcer is asked.
    ///
    /// Bitcoin Core's `GETDATA_TX_INTERVAL` is 60 s. With a shorter time, a watch shows transactions sooner, but
    /// receives some of them twice because of slow peers.
    pub timeout: Duration,
    /// How many requests in a row a peer may leave unanswered before it is dropped.
    pub unanswered: usize,
    /// The greatest number of ids that are remembered of transactions that arrived or are in a block, so that these are
    /// not requested again. Each id takes about 40 bytes.
    pub known: usize,
    /// How many transactions may be pending. A full memory pool of Bitcoin Core's default size has fewer.
    pub pending: usize,
    /// How many outpoints the pending transactions may spend together. Each takes about 30 bytes.
    pub spends: usize,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self {
            announced: 5000,
            in_flight: 1000,
            batch: 1000,
            timeout: Duration::from_secs(10),
            unanswered: 1000,
            known: 600_000,
            pending: 300_000,
            spends: 1_000_000,
        }
    }
}
