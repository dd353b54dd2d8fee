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
pub(crate) mod remote;
mod stats;

pub(crate) use audit::{audit, mend};
pub(crate) use by_time::last_at_or_before;
#[cfg(feature = "parquet")]
pub(crate) use facts::HeaderFacts;
pub use headers::{HeaderAt, Headers, StoredHeader};
pub(crate) use lookup::{Located, SideSummary, locate, side_summaries};
pub(crate) use range::{HeaderRange, HeaderSpan};
pub(crate) use reader::open_store;
pub use reader::{ChainReader, ReadError};
pub use remote::Phase;
pub(crate) use remote::StoreInfo;
pub(crate) use stats::{NextRetarget, next_retarget, recent_hash_rate};
