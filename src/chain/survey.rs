//! Surveys a batch before the tree judges it: where the batch's branch leaves the known headers, and the branch's
//! height and claimed work.

use super::ancestors::{Ancestors, TreeError};
use super::batch::LinkedBatch;
use super::branch::Branch;
use super::side::ForkPoint;
use super::tree::HeaderTree;
use crate::primitives::{BlockHash, Work};

/// A branch is worth keeping even if it has less work than the active chain, by up to the work of this many headers.
///
/// Bitcoin Core `GetAntiDoSWorkThreshold`: about a day of headers.
const NEAR_TIP: u32 = 144;

/// The unknown headers of a batch, and where the tree would put them.
#[derive(Clone, Debug)]
pub struct Survey {
    fork: ForkPoint,
    fork_hash: BlockHash,
    shared: Vec<BlockHash>,
    rest: LinkedBatch,
    height: u32,
    work: Work,
}

impl Survey {
    /// Returns the height of the last header that the batch's branch shares with the active chain.
    pub fn fork_height(&self) -> u32 {
        self.fork.shared_height()
    }

    /// Returns the hash of the last header that the batch's branch shares with the active chain.
    pub fn fork_hash(&self) -> BlockHash {
        self.fork_hash
    }

    /// Returns the hashes of the side branch's headers between the fork and the unknown headers; none if the unknown
    /// headers follow the active chain.
    pub fn shared(&self) -> &[BlockHash] {
        &self.shared
    }

    /// Returns the headers that are not known.
    pub fn rest(&self) -> &LinkedBatch {
        &self.rest
    }

    /// Returns the height that the batch's last header would have.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the work of the batch's branch up to the batch's last header, genesis included.
    ///
    /// # Security
    /// Each header has the proof of work that its bits ask for; whether those are the required bits is not
    /// known yet.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Consumes the survey and returns the headers that are not known.
    pub fn into_rest(self) -> LinkedBatch {
        self.rest
    }
}

impl HeaderTree {
    /// Returns the work that a branch beside the active chain has to reach to be worth keeping.
    ///
    /// # Consensus
    /// Bitcoin Core `GetAntiDoSWorkThreshold`: the minimum chain work, or the work of the active chain less
    /// 144 times the work of its last header, whichever is more.
    pub fn low_work_threshold(&self, min_chain_work: &Work) -> Work {
        let active = self.active();
        let near_tip = active.chainwork() - &Work::of_bits(active.bits()).times(NEAR_TIP);
        near_tip.max(min_chain_work.clone())
    }

    /// Finds where the tree would put a batch; `None` if the batch is empty or its parent is not known.
    ///
    /// # Errors
    /// The active chain could not be read.
    pub fn survey<A: Ancestors>(
        &self,
        batch: LinkedBatch,
        ancestors: &A,
    ) -> Result<Option<Survey>, A::Error> {
        let Some(prev) = batch.prev() else { return Ok(None) };
        let Some((fork, rest)) = self.place(batch, ancestors)? else { return Ok(None) };
        let mut work = ancestors.chainwork(fork.shared_height())?;
        let (shared, fork_hash) = match fork.side() {
            Some((at, kept)) => {
                let side = &self.sides()[at];
                work += &Work::of_headers(&side.headers()[..kept]);
                (side.hashes()[..kept].to_vec(), side.fork_hash())
            }
            None => (Vec::new(), rest.prev().unwrap_or(prev)),
        };
        work += &Work::of_headers(rest.headers());
        let new = u32::try_from(shared.len() + rest.headers().len()).unwrap_or(u32::MAX);
        let height = fork.shared_height().saturating_add(new);
        Ok(Some(Survey { fork, fork_hash, shared, rest, height, work }))
    }

    /// Returns the state at the parent of a survey's unknown headers.
    ///
    /// # Errors
    /// The active chain could not be read, or `ancestors` returned too few of its headers.
    pub fn state_before<A: Ancestors>(
        &self,
        survey: &Survey,
        ancestors: &A,
    ) -> Result<Branch, TreeError<A::Error>> {
        if survey.rest.prev() == Some(self.active().hash()) {
            return Ok(self.active().clone());
        }
        self.side_state(&survey.fork, ancestors)
    }
}
