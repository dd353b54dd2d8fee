//! The download engine: which peer is asked for which headers, and what an answer answers.
//!
//! Pure: the time since start comes in as an argument, requests and verdicts go out. It never sees a header,
//! only a batch's ends and length; batches are named by a [`Tag`], under which the caller keeps them.
//!
//! Up to the last hint the chain is cut into ranges that several peers are asked for at once;
//! from there on, or without hints, one peer leads and the others are compared with it.

mod adopted;
mod ahead;
mod answers;
mod engine;
mod locator;
mod open;
mod peer;
mod prefetched;
mod progress;
mod ranges;
#[cfg(test)]
mod tests;
mod types;

pub use engine::{ANSWER_DEADLINE, Engine};
pub use locator::{locator_heights, spread_above};
pub use progress::{Gain, VerifiedWork};
pub use types::{Action, Disposition, DropReason, Linked, Progress, Reply, Settings};

/// Names a batch from the moment it is taken until it is joined to the chain or dropped.
pub type Tag = u64;
