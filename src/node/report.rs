//! What a command that adds headers has done.

use serde::{Deserialize, Serialize};

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stopped {
    /// Nothing more was to be had.
    CaughtUp,
    /// The height asked for is reached.
    StopHeight,
    /// A signal asked for it.
    Interrupted,
    /// No progress for too long.
    Timeout,
    /// What followed was refused only because its time is ahead of our clock.
    Clock,
    /// Nothing more was to be had, and the chain has less than the minimum chain work.
    LowWork,
    /// No peer could be used, or all of them were lost.
    NoPeers,
}

/// What `sync` and `import` end with; the JSON object they print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReport {
    /// Name of the network.
    pub network: String,
    /// Height of the stored chain's last header.
    pub height: u32,
    /// Its hash, in display order.
    pub hash: String,
    /// Work of the whole chain, 64 hex digits.
    pub chainwork: String,
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How often a branch with more work took over.
    pub reorgs: u32,
    /// How many peers were connected, all in all; 0 for `import`.
    pub peers: u32,
    /// Bytes read from peers, or from the file.
    pub bytes_received: u64,
    /// Milliseconds from start to end.
    pub elapsed_ms: u64,
    /// Why it ended.
    pub stopped: Stopped,
}
