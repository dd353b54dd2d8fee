//! Reading the stored chain: by height, hash, time and range; statistics; its check and its repair.
//!
//! A chain that another process has open is read through that process ([`remote`]).

mod as_text;
mod audit;
mod by_time;
mod facts;
mod headers;
mod lookup;
mod range;
mod reader;
pub mod remote;
mod stats;

pub use audit::{audit, mend};
pub use by_time::last_at_or_before;
pub use facts::HeaderFacts;
pub use headers::{HeaderAt, Headers, StoredHeader};
pub use lookup::{Located, SideHeader, SideSummary, locate, side_summaries};
pub use range::{HeaderRange, HeaderSpan};
pub use reader::{ChainReader, OPEN_WAIT, ReadError, open_store};
pub use remote::{LiveStatus, Phase, StoreInfo};
pub use stats::{HASH_RATE_BLOCKS, NextRetarget, hash_rate, next_retarget, recent_hash_rate};
