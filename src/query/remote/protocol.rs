//! The requests and replies on the control socket.

use crate::chain::ChainTip;
use crate::primitives::{BlockHash, HEADER_LEN, Header, Work, hex};
use crate::query::as_text;
use crate::query::lookup::{Located, SideHeader, SideSummary};
use crate::store::StoredRun;
use serde::{Deserialize, Serialize};

/// Version of the protocol, which must be the same on both sides.
pub(crate) const PROTOCOL: u32 = 1;

/// The longest request in bytes, including its newline.
pub(crate) const MAX_REQUEST: u64 = 4096;

/// The longest reply in bytes, including its newline. [`MAX_RUN`] headers in hex take about 320,000 bytes.
pub(crate) const MAX_REPLY: u64 = 1 << 19;

/// The greatest number of headers in one reply.
pub(crate) const MAX_RUN: u32 = 2000;

/// What a running sync is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The sync looks for peers.
    #[default]
    Connecting,
    /// The sync checks the work of a branch before it stores the branch.
    Presync,
    /// The sync downloads headers.
    Downloading,
    /// The sync is at the tip, and waits for new blocks.
    Following,
    /// The sync is about to end.
    Ending,
}

impl Phase {
    /// Returns whether the chain is complete as far as the peers know.
    pub fn is_at_tip(self) -> bool {
        self == Self::Following
    }
}

/// The state of a running process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveStatus {
    /// The command that the process runs (`sync` or `serve`), or a text for a program that uses the library.
    pub command: String,
    /// What the process's sync is doing.
    pub phase: Phase,
    /// The height that the presync of a branch has reached; 0 without a presync.
    #[serde(default)]
    pub presync_height: u32,
    /// The expected height of the chain.
    pub estimated_height: u32,
    /// Number of connected peers.
    pub peers: usize,
}

/// What is known about the stored data besides the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreInfo {
    /// When a sync last caught up, in Unix seconds; `None` if none ever did.
    pub last_sync: Option<u64>,
    /// Bytes on disk.
    pub size_on_disk: u64,
    /// The state of the process that has the data folder open; `None` if the database was read directly.
    pub live: Option<LiveStatus>,
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ControlRequest {
    Hello,
    Tip,
    Locate {
        #[serde(with = "as_text")]
        hash: BlockHash,
    },
    Run {
        from: u32,
        count: u32,
    },
    Sides,
    Info,
}

/// A reply of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub(crate) enum ControlReply {
    Hello {
        protocol: u32,
        network: String,
    },
    Tip(TipText),
    Located {
        at: Option<LocatedText>,
    },
    Run(RunText),
    Sides {
        sides: Vec<SideSummary>,
    },
    Info(StoreInfo),
    /// The server has too many clients.
    Busy,
    Failed {
        damaged: bool,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TipText {
    height: u32,
    #[serde(with = "as_text")]
    hash: BlockHash,
    #[serde(with = "as_text")]
    chainwork: Work,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LocatedText {
    Active {
        height: u32,
    },
    Side {
        height: u32,
        header: String,
        #[serde(with = "as_text")]
        chainwork: Work,
        median_time: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunText {
    first_height: u32,
    #[serde(with = "as_text")]
    parent_work: Work,
    /// 160 hex digits for each header.
    headers: String,
}

impl From<ChainTip> for TipText {
    fn from(tip: ChainTip) -> Self {
        Self { height: tip.height, hash: tip.hash, chainwork: tip.chainwork }
    }
}

impl From<TipText> for ChainTip {
    fn from(tip: TipText) -> Self {
        Self { height: tip.height, hash: tip.hash, chainwork: tip.chainwork }
    }
}

impl From<Located> for LocatedText {
    fn from(located: Located) -> Self {
        match located {
            Located::Active(height) => Self::Active { height },
            Located::Side(side) => Self::Side {
                height: side.height,
                header: hex::encode(&side.header.encode()),
                chainwork: side.chainwork,
                median_time: side.median_time,
            },
        }
    }
}

impl LocatedText {
    /// Returns the location, or `None` if `header` is not the hex of 80 bytes.
    pub(super) fn decode(self) -> Option<Located> {
        Some(match self {
            Self::Active { height } => Located::Active(height),
            Self::Side { height, header, chainwork, median_time } => {
                let header = Header::decode(&hex::decode_array(&header).ok()?);
                Located::Side(SideHeader { height, header, chainwork, median_time })
            }
        })
    }
}

impl From<StoredRun> for RunText {
    fn from(run: StoredRun) -> Self {
        let bytes: Vec<u8> = run.headers.iter().flat_map(Header::encode).collect();
        Self {
            first_height: run.first_height,
            parent_work: run.parent_work,
            headers: hex::encode(&bytes),
        }
    }
}

impl RunText {
    /// Returns the run, with hashes computed from the headers, or `None` if `headers` is not the hex of whole headers.
    pub(super) fn decode(self) -> Option<StoredRun> {
        let bytes = hex::decode(&self.headers).ok()?;
        let (records, []) = bytes.as_chunks::<HEADER_LEN>() else { return None };
        let headers: Vec<Header> = records.iter().map(Header::decode).collect();
        let hashes = headers.iter().map(Header::hash).collect();
        let (first_height, parent_work) = (self.first_height, self.parent_work);
        Some(StoredRun { first_height, parent_work, headers, hashes })
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlReply, ControlRequest, MAX_REPLY, MAX_RUN, RunText};
    use crate::chain::params;
    use crate::primitives::{Network, Work};
    use crate::store::StoredRun;

    #[test]
    fn requests_are_lines_that_other_programs_can_write() {
        let text = r#"{"ask":"run","from":5,"count":2}"#;
        assert_eq!(
            serde_json::from_str::<ControlRequest>(text).unwrap(),
            ControlRequest::Run { from: 5, count: 2 }
        );
        assert_eq!(serde_json::to_string(&ControlRequest::Tip).unwrap(), r#"{"ask":"tip"}"#);
        assert!(serde_json::from_str::<ControlRequest>(r#"{"ask":"stop"}"#).is_err());
    }

    #[test]
    fn the_longest_run_fits_in_a_reply() {
        let genesis = params(Network::Mainnet).genesis;
        let count = MAX_RUN as usize;
        let run = StoredRun {
            first_height: u32::MAX,
            parent_work: Work::from_be_bytes(&[255; 32]),
            headers: vec![genesis; count],
            hashes: vec![genesis.hash(); count],
        };
        let reply = serde_json::to_string(&ControlReply::Run(RunText::from(run.clone()))).unwrap();
        assert!(u64::try_from(reply.len()).unwrap() < MAX_REPLY);
        let ControlReply::Run(text) = serde_json::from_str(&reply).unwrap() else {
            panic!("{reply}")
        };
        assert_eq!(text.decode(), Some(run));
    }
}
