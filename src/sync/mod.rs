//! The sync as one pure state machine: whom to ask for which headers, what an answer is, when the chain is complete.
//!
//! [`HeaderSync`] takes what has happened ([`Input`]) and gives what is to be done ([`Command`]). The time and the stored chain come
//! in as arguments. It never sees a header, only the ends and the length of a batch; the caller keeps batches under their
//! [`BatchId`].
//!
//! Up to the last hint the chain is cut into ranges that several peers are asked for at once (`window`). What follows the
//! last hint is the tail: one peer leads from the tip on, and the others are compared with it (`tail`).

mod admission;
mod announcements;
mod answers;
mod command;
mod completion;
mod download;
mod header_sync;
mod hint_check;
mod hints;
mod input;
mod locator;
mod outcomes;
mod peers;
mod prefetch;
mod prefetched;
mod presync;
mod progress;
mod settings;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod too_new;
mod window;

pub use admission::{Admission, BatchFacts, BranchFacts, Limits, TipFacts};
pub use command::{Command, Contradiction, DropReason, Stopped, SyncEvent};
pub use download::ANSWER_DEADLINE;
pub use header_sync::HeaderSync;
pub use input::{Input, Linked, Moment, PeerSupply, Reply, StoredChain};
pub use presync::{Presync, Presyncs, Proven};
pub use settings::{ChainEnd, Settings};

/// Names a batch of headers from its arrival until it is connected to the chain or dropped.
pub type BatchId = u64;

/// Headers in a full answer (Bitcoin Core `MAX_HEADERS_RESULTS`). One with fewer than were asked for says that the peer has no
/// more: of a range of 2,016 headers the second answer has 16.
const FULL: u32 = 2000;

/// Position of a range's end among the hints.
type RangeKey = usize;
