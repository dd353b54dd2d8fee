//! How much a watch keeps, and how long it waits.

use std::time::Duration;

/// How much is kept and waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Transactions that one peer has announced and that have not come: what it announces beyond is dropped.
    ///
    /// Source: Bitcoin Core `MAX_PEER_TX_ANNOUNCEMENTS`.
    pub announced: usize,
    /// Requests that one peer has not answered. Ten times Bitcoin Core's `MAX_PEER_TX_REQUEST_IN_FLIGHT`: at a round
    /// trip of 200 ms its 100 would let one peer send 500 transactions a second at most.
    pub in_flight: usize,
    /// Most entries of a `getdata`. Source: Bitcoin Core `MAX_GETDATA_SZ`.
    pub batch: usize,
    /// Time for an answer, after which another announcer is asked.
    ///
    /// Bitcoin Core's `GETDATA_TX_INTERVAL` is 60 s; whoever watches would rather see it sooner, at the cost of the
    /// same transaction coming twice from a line that is so slow.
    pub patience: Duration,
    /// So many requests in a row without an answer cost a peer its place.
    pub unanswered: usize,
    /// Ids of transactions that came, which are not asked for again. At about 40 bytes for each.
    pub known: usize,
    /// Transactions that are in no block yet. A full memory pool of Bitcoin Core's default size has fewer.
    pub pending: usize,
    /// Outpoints that those spend. At about 30 bytes for each.
    pub spends: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            announced: 5000,
            in_flight: 1000,
            batch: 1000,
            patience: Duration::from_secs(10),
            unanswered: 1000,
            known: 600_000,
            pending: 300_000,
            spends: 1_000_000,
        }
    }
}
