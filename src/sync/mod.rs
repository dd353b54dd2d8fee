//! The sync as one pure state machine, which decides which peer is asked for which headers, what an answer means, and
//! when the chain is complete.
//!
//! [`HeaderSync`] takes events ([`Input`]) and returns commands ([`SyncCommand`]). The time and the stored chain come
//! in as arguments. [`HeaderSync`] never sees the headers of an answer, only the facts in [`Reply`]; the caller keeps the
//! headers as a batch under a [`BatchId`].
//!
//! Up to the last hint the chain is cut into ranges, which are requested from several peers at once (`window`). What
//! follows the last hint is the tail: one peer leads from the tip on, and the others are compared with it (`tail`).

mod admission;
mod announcements;
mod answers;
mod block_rate;
mod command;
mod completion;
mod download;
mod followed_hints;
mod header_sync;
mod hint_check;
mod hints;
mod input;
mod locator;
mod outcomes;
mod peer_speed;
mod peers;
mod prefetch;
mod prefetched;
mod presync;
mod progress;
mod settings;
mod state;
mod tail;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(unused, reason = "the fuzzer uses a part of it"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod tests;
mod too_new;
mod window;

pub use admission::{Admission, BatchFacts, BranchFacts, Limits, TipFacts};
pub use block_rate::SlowBlocks;
pub use command::{Contradiction, DropReason, Stopped, SyncCommand, SyncEvent};
pub use download::ANSWER_DEADLINE;
pub use header_sync::HeaderSync;
pub use input::{Input, Linked, PeerSupply, Reply, StoredChain, TimeAndBits};
pub use presync::{Presync, Presyncs, Proven};
pub use settings::{RejectedTip, Settings};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use tests::fuzz;

/// Identifies the headers of one message from their arrival until they are connected to the chain or dropped.
pub type BatchId = u64;

/// How many headers a full answer has (Bitcoin Core `MAX_HEADERS_RESULTS`). An answer with fewer headers shows
/// that the peer has no more, unless the answer ends with the stop hash of its request. A range of 2,016 headers takes two
/// answers, of 2,000 and of 16 headers.
const FULL_ANSWER: u32 = 2000;

/// Identifies a range by the index of the hint at its end.
type RangeKey = usize;
