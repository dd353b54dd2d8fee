//! Merkle proofs of transactions, in the form of Bitcoin Core's `gettxoutproof`.

use super::block::CheckedBlock;
use super::merkle_proof::{MerkleProof, PartialMerkleTree, ProofError, ProvenTx};
use crate::primitives::{BlockHash, Header, MerkleRoot, Txid};
use crate::wire::{DecodeError, MerkleBlock};

/// A proof that was checked: these transactions are in the block of this header.
///
/// Neither was it checked whether the header is on the chain, nor how many transactions the block has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedProof {
    /// The block's header.
    pub header: Header,
    /// The header's hash.
    pub hash: BlockHash,
    /// How many transactions the block has, as the proof claims.
    pub transaction_count: u32,
    /// The transactions, in the block's order.
    pub proven: Vec<ProvenTx>,
}

/// Why bytes are not a valid proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProof {
    /// The bytes cannot be decoded as a proof.
    #[error(transparent)]
    Form(#[from] DecodeError),
    /// The bytes can be decoded, but the proof is wrong.
    #[error(transparent)]
    Tree(#[from] ProofError),
}

/// A transaction that a block does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {block} has no transaction {txid}: it has {count}, all checked")]
pub struct NotInBlock {
    /// The block.
    pub block: BlockHash,
    /// The transaction.
    pub txid: Txid,
    /// How many transactions the block has.
    pub count: usize,
}

impl CheckedProof {
    /// Checks a proof without looking at the chain. The proof has at least one transaction. Proofs that Bitcoin Core
    /// accepts but never makes are refused, too.
    ///
    /// # Errors
    /// The bytes cannot be decoded as a proof, or the proof is wrong.
    pub fn check(bytes: &[u8]) -> Result<Self, InvalidProof> {
        Self::check_by(bytes, |tree, root| tree.extract(root))
    }

    /// Checks a proof as Bitcoin Core does, without looking at the chain. It may prove no transaction.
    ///
    /// # Errors
    /// The bytes cannot be decoded as a proof, or the proof is wrong.
    pub(crate) fn check_as_core(bytes: &[u8]) -> Result<Self, InvalidProof> {
        Self::check_by(bytes, |tree, root| tree.extract_as_core(root))
    }

    fn check_by(
        bytes: &[u8],
        extract: impl Fn(&PartialMerkleTree<'_>, &MerkleRoot) -> Result<Vec<ProvenTx>, ProofError>,
    ) -> Result<Self, InvalidProof> {
        let proof = MerkleBlock::from_bytes(bytes)?;
        let tree = PartialMerkleTree {
            transaction_count: proof.transaction_count,
            hashes: &proof.hashes,
            flags: &proof.flags,
        };
        let proven = extract(&tree, &proof.header.merkle_root)?;
        let (header, hash) = (proof.header, proof.header.hash());
        Ok(Self { header, hash, transaction_count: proof.transaction_count, proven })
    }
}

impl CheckedBlock {
    /// Returns the proof that the block has these transactions.
    ///
    /// # Errors
    /// The block does not have one of the transactions.
    pub fn prove(&self, txids: &[Txid]) -> Result<MerkleBlock, NotInBlock> {
        let (all, header) = (self.txids(), *self.block().header());
        if let Some(txid) = txids.iter().find(|txid| self.position(txid).is_none()) {
            return Err(NotInBlock { block: header.hash(), txid: *txid, count: all.len() });
        }
        let proof = MerkleProof::build(all, |at| txids.contains(&all[at]));
        Ok(MerkleBlock {
            header,
            transaction_count: u32::try_from(all.len()).expect("a block has less than 4 GB"),
            hashes: proof.hashes,
            flags: proof.flags,
        })
    }
}
