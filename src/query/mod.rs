//! Reads the stored chain by height, hash, time and range, computes statistics, and checks and repairs it.
//!
//! A chain that another process has open is read through that process ([`remote`]), but neither checked nor repaired.

mod as_text;
mod audit;
mod by_time;
mod facts;
mod headers;
mod lookup;
mod range;
mod reader;
pub(crate) mod remote;
pub(crate) mod series;
mod stats;

pub(crate) use audit::{audit, repair_folder};
pub(crate) use by_time::last_at_or_before;
#[cfg(feature = "parquet")]
pub(crate) use facts::HeaderFacts;
pub use headers::{HeaderAt, Headers, StoredHeader};
pub(crate) use lookup::{Located, SideSummary, locate, side_summaries};
pub(crate) use range::{HeaderRange, HeaderSpan};
#[cfg(feature = "cli")]
pub(crate) use reader::reread_if_reorganised;
pub use reader::{ChainReader, ReadError};
pub use remote::Phase;
pub(crate) use remote::StoreInfo;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use remote::fuzz_control;
pub(crate) use stats::{NextRetarget, hash_rate, next_retarget, recent_hash_rate};
