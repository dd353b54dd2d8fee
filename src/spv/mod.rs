//! Checks a block or a merkle proof against a header, and makes merkle proofs.
//!
//! This module does no I/O: bytes or decoded messages come in, and verdicts go out. The caller checks whether the
//! header is on the chain.

mod block;
mod merkle_proof;
mod proof;
#[cfg(test)]
mod tests;

pub use block::{BlockFault, CheckedBlock};
pub use merkle_proof::{ProofError, ProvenTx};
pub use proof::{CheckedProof, InvalidProof, NotInBlock};
