//! Holds a block, a transaction or a merkle proof to a header.
//!
//! Pure: what a peer or a file gave comes in as bytes or decoded messages, verdicts go out. Whether the header is on the
//! chain is the caller's question.

mod block;
mod merkle_proof;
mod proof;
#[cfg(test)]
mod tests;

pub use block::{BlockFault, CheckedBlock};
pub use merkle_proof::{ProofError, ProvenTx};
pub use proof::{CheckedProof, InvalidProof, NotInBlock};
