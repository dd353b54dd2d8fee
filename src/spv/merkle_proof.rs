//! A part of a merkle tree that shows some transactions to be in a block.

use crate::chain::{Node, levels, parent};
use crate::primitives::{Hash256, MerkleRoot, Txid};

/// Most transactions that a block can have: its weight is limited, and each transaction has at least 60 bytes without
/// witnesses.
///
/// Source: Bitcoin Core `MAX_BLOCK_WEIGHT / MIN_TRANSACTION_WEIGHT`.
pub(crate) const MAX_BLOCK_TXS: u32 = 4_000_000 / (4 * 60);

/// A part of a block's merkle tree, as `merkleblock` and `gettxoutproof` carry it. Nothing is checked yet.
///
/// Source: BIP37; Bitcoin Core `CPartialMerkleTree`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartialMerkleTree<'a> {
    /// How many transactions the block has, as the proof claims.
    pub transaction_count: u32,
    /// Txids and inner nodes, in depth-first order.
    pub hashes: &'a [Hash256],
    /// A bit for each node that is visited, in depth-first order, least significant bit of each byte first.
    pub flags: &'a [u8],
}

/// A transaction that a proof shows to be in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenTx {
    /// Its txid.
    pub txid: Txid,
    /// Its position in the block, from 0, if the block has as many transactions as the proof says.
    pub position: u32,
}

/// Why a proof is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A block without transactions.
    #[error("the proof claims a block with 0 transactions, but each block has at least one")]
    NoTransactions,
    /// More transactions than fit in a block.
    #[error("the proof is of a block with {got} transactions: at most {limit} expected")]
    TooManyTransactions {
        /// How many transactions fit into a block.
        limit: u32,
        /// How many the proof claims.
        got: u32,
    },
    /// More hashes than transactions.
    #[error("at most {limit} hashes expected, got {got}")]
    TooManyHashes {
        /// How many transactions the block has, as the proof claims.
        limit: u32,
        /// How many hashes there are.
        got: usize,
    },
    /// The tree needs more bits or hashes than there are, or there are fewer bits than hashes.
    #[error("the proof ends early: it has {bits} bits and {hashes} hashes, and more are needed")]
    Incomplete {
        /// How many bits there are.
        bits: usize,
        /// How many hashes there are.
        hashes: usize,
    },
    /// More bits than the tree needs: whole bytes, or set bits in the padding of the last byte.
    #[error("{expected} bits expected, then zeros to the end of the byte, got more")]
    UnusedBits {
        /// How many bits the tree needs.
        expected: usize,
    },
    /// More hashes than the tree needs.
    #[error("{expected} hashes expected, got {got}")]
    UnusedHashes {
        /// How many hashes the tree needs.
        expected: usize,
        /// How many hashes there are.
        got: usize,
    },
    /// A node has two equal branches, so transactions could be claimed more than once.
    #[error("two branches at height {height} of the merkle tree are equal (CVE-2012-2459)")]
    EqualBranches {
        /// Levels above the transactions.
        height: u32,
    },
    /// The proof shows the nodes of a branch that has no proven transaction, or proves no transaction at all.
    #[error("no transaction is proven in the branch at height {height} of the merkle tree")]
    BranchWithoutMatch {
        /// Levels above the transactions.
        height: u32,
    },
    /// An inner node that could also be a transaction of 64 bytes: the nodes below it need not exist.
    #[error(
        "an inner node at height {height} of the merkle tree reads as a transaction of 64 bytes: what \
         it seems to hold may not be in the block (CVE-2017-12842)"
    )]
    Ambiguous {
        /// Levels above the transactions.
        height: u32,
    },
    /// The tree's root is not the header's.
    #[error("merkle root {expected} expected, the proof leads to {got}")]
    WrongRoot {
        /// The header's root.
        expected: MerkleRoot,
        /// The root that the hashes lead to.
        got: MerkleRoot,
    },
}

impl PartialMerkleTree<'_> {
    /// Returns the transactions that the proof shows to be in the block whose header has this root, in the block's
    /// order; at least one.
    ///
    /// Refuses what [`Self::extract_as_core`] refuses, and proofs that Bitcoin Core accepts but never makes: with set
    /// bits in the padding of the last byte, with the nodes of a branch that has no proven transaction, or without a
    /// proven transaction.
    ///
    /// # Errors
    /// The proof is invalid.
    pub(crate) fn extract(&self, root: &MerkleRoot) -> Result<Vec<ProvenTx>, ProofError> {
        let walk = self.walk(root)?;
        walk.non_canonical.map_or(Ok(walk.proven), Err)
    }

    /// Returns the transactions that the proof shows to be in the block whose header has this root, in the block's
    /// order; maybe none.
    ///
    /// Source: Bitcoin Core `CPartialMerkleTree::ExtractMatches`, with all its checks. Proofs with an inner node that
    /// could be a transaction of 64 bytes are refused as well, because they may be forged. Bitcoin Core detects the
    /// forgery by the block's number of transactions, which no header has.
    ///
    /// # Security
    /// The number of transactions is only claimed by the proof. A wrong number can only be used to show an inner node
    /// as a transaction of exactly 64 bytes (CVE-2017-12842), so a caller that accepts such transactions needs the
    /// whole block.
    ///
    /// # Errors
    /// The proof is invalid.
    pub(crate) fn extract_as_core(&self, root: &MerkleRoot) -> Result<Vec<ProvenTx>, ProofError> {
        self.walk(root).map(|walk| walk.proven)
    }

    fn walk(&self, root: &MerkleRoot) -> Result<Walk<'_>, ProofError> {
        self.check_counts()?;
        let mut walk =
            Walk { tree: self, bits: 0, hashes: 0, proven: Vec::new(), non_canonical: None };
        let height = tree_height(self.transaction_count);
        let got = MerkleRoot(walk.node(height, 0)?);
        walk.check_all_used()?;
        if got != *root {
            return Err(ProofError::WrongRoot { expected: *root, got });
        }
        if walk.proven.is_empty() {
            walk.non_canonical = Some(ProofError::BranchWithoutMatch { height });
        }
        Ok(walk)
    }

    fn check_counts(&self) -> Result<(), ProofError> {
        let count = self.transaction_count;
        if count == 0 {
            return Err(ProofError::NoTransactions);
        }
        if count > MAX_BLOCK_TXS {
            return Err(ProofError::TooManyTransactions { limit: MAX_BLOCK_TXS, got: count });
        }
        let got = self.hashes.len();
        if u32::try_from(got).map_or(true, |got| got > count) {
            return Err(ProofError::TooManyHashes { limit: count, got });
        }
        if self.bit_count() < got { Err(self.incomplete()) } else { Ok(()) }
    }

    fn bit_count(&self) -> usize {
        self.flags.len().saturating_mul(8)
    }

    fn incomplete(&self) -> ProofError {
        ProofError::Incomplete { bits: self.bit_count(), hashes: self.hashes.len() }
    }
}

/// A proof that is being built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MerkleProof {
    /// Txids and inner nodes, in depth-first order.
    pub hashes: Vec<Hash256>,
    /// Bits, packed as [`PartialMerkleTree::flags`].
    pub flags: Vec<u8>,
}

impl MerkleProof {
    /// Returns the proof that the block contains the transactions for whose positions `proven` returns true.
    ///
    /// Source: Bitcoin Core `CPartialMerkleTree::TraverseAndBuild`.
    ///
    /// # Panics
    /// If there are no transactions.
    pub(crate) fn build(txids: &[Txid], proven: impl Fn(usize) -> bool) -> Self {
        let levels = levels(txids);
        // For each node of each level: whether a transaction to prove is at it or below it.
        let mut opened: Vec<Vec<bool>> = vec![(0..txids.len()).map(proven).collect()];
        for level in &levels[1..] {
            let below = &opened[opened.len() - 1];
            let open = |at: usize| below[at * 2..].iter().take(2).any(|open| *open);
            let next = (0..level.len()).map(open).collect();
            opened.push(next);
        }
        let mut build = Build { levels: &levels, opened: &opened, proof: Self::default(), bits: 0 };
        build.node(levels.len() - 1, 0);
        build.proof
    }
}

struct Build<'a> {
    levels: &'a [Vec<Node>],
    opened: &'a [Vec<bool>],
    proof: MerkleProof,
    bits: usize,
}

impl Build<'_> {
    fn node(&mut self, height: usize, at: usize) {
        let opened = self.opened[height][at];
        self.bit(opened);
        if height == 0 || !opened {
            self.proof.hashes.push(Hash256(self.levels[height][at]));
            return;
        }
        self.node(height - 1, at * 2);
        if at * 2 + 1 < self.levels[height - 1].len() {
            self.node(height - 1, at * 2 + 1);
        }
    }

    fn bit(&mut self, bit: bool) {
        if self.bits.is_multiple_of(8) {
            self.proof.flags.push(0);
        }
        self.proof.flags[self.bits / 8] |= u8::from(bit) << (self.bits % 8);
        self.bits += 1;
    }
}

/// Returns how many nodes a level has. The transactions are level 0.
fn width(transactions: u32, height: u32) -> u32 {
    transactions.div_ceil(1 << height)
}

/// Returns how many levels there are above the transactions.
fn tree_height(transactions: u32) -> u32 {
    transactions.next_power_of_two().trailing_zeros()
}

struct Walk<'a> {
    tree: &'a PartialMerkleTree<'a>,
    bits: usize,
    hashes: usize,
    proven: Vec<ProvenTx>,
    /// What the proof has that Bitcoin Core accepts but never makes.
    non_canonical: Option<ProofError>,
}

impl Walk<'_> {
    /// Returns the hash of a node, from the proof's bits and hashes for it. Source: Bitcoin Core `TraverseAndExtract`.
    fn node(&mut self, height: u32, position: u32) -> Result<Node, ProofError> {
        let opened = self.bit()?;
        if height == 0 || !opened {
            let hash = self.hash()?;
            if opened {
                self.proven.push(ProvenTx { txid: Txid(hash), position });
            }
            return Ok(hash);
        }
        let before = self.proven.len();
        let left = self.node(height - 1, position * 2)?;
        let right = if position * 2 + 1 < width(self.tree.transaction_count, height - 1) {
            let right = self.node(height - 1, position * 2 + 1)?;
            if right == left {
                return Err(ProofError::EqualBranches { height: height - 1 });
            }
            right
        } else {
            left
        };
        if self.proven.len() == before {
            self.non_canonical = Some(ProofError::BranchWithoutMatch { height });
        }
        if reads_as_transaction(&left, &right) {
            return Err(ProofError::Ambiguous { height });
        }
        Ok(parent(&left, &right))
    }

    fn bit(&mut self) -> Result<bool, ProofError> {
        let byte = self.tree.flags.get(self.bits / 8).ok_or_else(|| self.tree.incomplete())?;
        let bit = byte >> (self.bits % 8) & 1 == 1;
        self.bits += 1;
        Ok(bit)
    }

    fn hash(&mut self) -> Result<Node, ProofError> {
        let hash = self.tree.hashes.get(self.hashes).ok_or_else(|| self.tree.incomplete())?;
        self.hashes += 1;
        Ok(hash.0)
    }

    fn check_all_used(&mut self) -> Result<(), ProofError> {
        let error = ProofError::UnusedBits { expected: self.bits };
        let used_bytes = self.bits.div_ceil(8);
        if self.tree.flags.len() != used_bytes {
            return Err(error);
        }
        if !self.bits.is_multiple_of(8) && self.tree.flags[used_bytes - 1] >> (self.bits % 8) != 0 {
            self.non_canonical = Some(error);
        }
        let got = self.tree.hashes.len();
        if got == self.hashes {
            return Ok(());
        }
        Err(ProofError::UnusedHashes { expected: self.hashes, got })
    }
}

/// Returns whether two nodes together could be a transaction of 64 bytes in a block.
///
/// A valid transaction of 64 bytes has one input and one output, because two do not fit, and four bytes of scripts. Two
/// hashes look like such a transaction by chance about once in a billion times.
fn reads_as_transaction(left: &Node, right: &Node) -> bool {
    const INPUT_COUNT: usize = 4;
    const SCRIPT_LEN: usize = INPUT_COUNT + 1 + 36;
    const SCRIPTS: usize = 4;
    let bytes = [*left, *right].concat();
    let script = usize::from(bytes[SCRIPT_LEN]);
    if bytes[INPUT_COUNT] != 1 || script > SCRIPTS {
        return false;
    }
    let output_count = SCRIPT_LEN + 1 + script + 4;
    let output_script_len = output_count + 1 + 8;
    bytes[output_count] == 1 && usize::from(bytes[output_script_len]) == SCRIPTS - script
}
