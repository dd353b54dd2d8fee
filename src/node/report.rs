//! What a command that adds headers has done.

use crate::sync::Stopped;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Stopped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Stopped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|stopped| stopped.name() == name);
        found.ok_or_else(|| D::Error::custom(format!("unknown reason to stop: {name}")))
    }
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
