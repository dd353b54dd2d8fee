//! Header consensus: parameters, the rules, the tree that picks the best chain, and the merkle tree,
//! whose root in the header commits to the transactions.
//!
//! The layer is pure: ancestors, the time and the headers come in as arguments.
//! Only this module makes [`CheckedHeaders`], and the store accepts no other headers.

mod ancestors;
mod batch;
mod branch;
mod checked;
mod extend;
mod hints;
mod median;
mod merkle;
mod outcome;
mod params;
mod point;
mod retarget;
mod rules;
mod side;
mod survey;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(unused, reason = "the fuzzer uses a part of it"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod tests;
mod too_new;
mod tree;

pub use ancestors::{Ancestors, TreeError};
pub(crate) use batch::link_hashed;
pub use batch::{BatchFault, LinkedBatch, link_batch};
pub use branch::{Branch, PeriodFirst, ResumeError};
pub use checked::CheckedHeaders;
pub use hints::{Hints, HintsError};
pub use median::{MEDIAN_TIME_SPAN, median_time_past};
pub use merkle::{
    DuplicateNodes, find_witness_commitment, merkle_root, witness_commitment, witness_root,
};
pub(crate) use merkle::{Node, levels, parent};
pub use outcome::ConnectOutcome;
pub use params::{Params, SPACING, params};
pub use point::{ChainPoint, ChainTip};
pub use retarget::{estimated_change_percent, next_target, permitted_transition, required_bits};
pub use rules::{MAX_FUTURE_SECS, Rejection, Violation};
pub use side::{MAX_SIDE_BRANCHES, MAX_SIDE_HEADERS, SideBranch};
pub use survey::Survey;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use tests::fuzz;
#[cfg(test)]
pub(crate) use tests::mine_run;
pub use too_new::TooNew;
pub(crate) use too_new::is_too_new;
pub use tree::{Accepted, HeaderTree};
