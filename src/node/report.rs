//! The report of a command that adds headers.

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

/// The report of `sync` and `import`, and the JSON object that they print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReport {
    /// The network's name.
    pub network: String,
    /// The height of the stored tip.
    pub height: u32,
    /// The hash of the stored tip, in display order.
    pub hash: String,
    /// The work of the whole chain, as 64 hex digits.
    pub chainwork: String,
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How many reorganisations there were.
    pub reorgs: u32,
    /// How many peers were connected in all; 0 for `import`. A peer that was connected twice counts twice.
    pub peers: u32,
    /// Bytes received from peers, or read from the file.
    pub bytes_received: u64,
    /// How long the command took, in milliseconds.
    pub elapsed_ms: u64,
    /// Why the command ended.
    pub stopped: Stopped,
}
