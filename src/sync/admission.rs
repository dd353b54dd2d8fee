//! Decides what is to be done with a batch of linked headers: keep it at once, let its branch show its work first, or neither.
//!
//! | batch | what is done with it |
//! |---|---|
//! | lies between two hints and extends the candidate | part of the candidate |
//! | lies between two hints | kept: the hints vouch for its work |
//! | goes on with what its sender shows in a presync | part of the presync |
//! | extends the tip, and the chain has the minimum work or may still grow without it | kept |
//! | follows no header that is known | orphan |
//! | has no header that is not known | nothing is to be done |
//! | ends a branch with enough work | kept |
//! | is full, and its branch has not enough work yet | begins a presync |
//! | ends a branch with too little work | passed over |
//!
//! # Security
//! Bitcoin Core `TryLowWorkHeadersSync`: a branch whose end has less work than the threshold is not kept. Where its sender may
//! have more of it, it goes on without being kept; else it is passed over, which is nobody's fault.

use crate::primitives::Work;

/// Headers that may be stored before their branch has shown enough work: about 5 MB. A chain shorter than that
/// costs an attacker's victim nothing worth a second download.
pub const PRESYNC_ALLOWANCE: u32 = 65_536;

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Check it by all rules and store what is good.
    Keep,
    /// Store what is good of it beside the chain, as the next part of the candidate.
    Candidate,
    /// Check it, without storing it, as a part of a branch that has to show its work.
    Presync,
    /// Drop it: its branch ends with it and has too little work.
    PassOver,
    /// Nothing: all of it is known.
    Known,
    /// Nothing: its parent is not known.
    Orphan,
}

/// What bounds the chain.
#[derive(Clone, Debug)]
pub struct Limits {
    /// No header above this height is kept.
    pub stop_height: u32,
    /// Until the chain has this work, what is stored of it without hints is bounded.
    pub min_chain_work: Work,
    /// The height up to which hints vouch for what is stored.
    pub hint_backed_height: u32,
}

/// The stored chain's end, as far as admission depends on it.
#[derive(Clone, Debug)]
pub struct TipFacts<'a> {
    /// Its work.
    pub work: &'a Work,
    /// The work below which a branch is not kept (Bitcoin Core `GetAntiDoSWorkThreshold`).
    pub threshold: Work,
}

/// What is known of a batch before its branch is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchFacts {
    /// Whether it lies between two hints.
    pub hinted: bool,
    /// Whether it follows the candidate's end.
    pub extends_candidate: bool,
    /// Whether it follows the end of its sender's presync.
    pub extends_presync: bool,
    /// Whether it follows the stored tip.
    pub extends_tip: bool,
    /// The height that the chain would have with it.
    pub end_height: u32,
}

/// A batch's branch, looked up in the header tree.
#[derive(Clone, Debug)]
pub struct BranchFacts<'a> {
    /// Whether every header of the batch is known.
    pub is_known: bool,
    /// Height of the batch's last header.
    pub height: u32,
    /// Work of the branch up to there.
    pub work: &'a Work,
    /// Whether its sender may have more: the message was full.
    pub is_full: bool,
}

impl Limits {
    /// Decides by what is known without looking the batch's branch up; `None` if that does not suffice.
    pub fn admit(&self, batch: BatchFacts, tip: &TipFacts<'_>) -> Option<Admission> {
        let proven = *tip.work >= self.min_chain_work;
        if batch.hinted {
            let candidate = batch.extends_candidate;
            Some(if candidate { Admission::Candidate } else { Admission::Keep })
        } else if batch.extends_presync {
            Some(Admission::Presync)
        } else if batch.extends_tip && (proven || self.allows(batch.end_height)) {
            Some(Admission::Keep)
        } else {
            None
        }
    }

    /// Decides by a batch's branch; `None` for that if the batch's parent is not known.
    pub fn admit_branch(&self, branch: Option<&BranchFacts<'_>>, tip: &TipFacts<'_>) -> Admission {
        match branch {
            None => Admission::Orphan,
            Some(branch) if branch.is_known => Admission::Known,
            Some(branch) if self.is_worth_keeping(branch.height, branch.work, tip) => {
                Admission::Keep
            }
            Some(branch) if branch.is_full => Admission::Presync,
            Some(_) => Admission::PassOver,
        }
    }

    /// Returns whether a branch with this end may be stored.
    ///
    /// Hints that are far from each other vouch for nothing on the way: whether headers lead to the next one shows
    /// only when that is reached, and until then a peer could fill the disk with what does not. Once it is reached, the
    /// chain has either the minimum work, and is downloaded for keeps, or it is not synced, and to keep it would gain
    /// nothing. Hints vouch for a chain's work where a range between two of them fits in memory.
    ///
    /// While the chain itself has less than the minimum, the threshold would keep out whatever has more work
    /// than it, even by a single header: such a branch may take over as long as the chain may grow at all.
    pub fn is_worth_keeping(&self, height: u32, work: &Work, tip: &TipFacts<'_>) -> bool {
        let takes_over = work > tip.work;
        *work >= tip.threshold || (takes_over && self.allows(height))
    }

    /// Returns whether a chain that has not shown its work may be so long.
    fn allows(&self, height: u32) -> bool {
        height.saturating_sub(self.hint_backed_height) <= PRESYNC_ALLOWANCE
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, BatchFacts, BranchFacts, Limits, PRESYNC_ALLOWANCE, TipFacts};
    use crate::primitives::Work;

    /// A chain with the work of so many headers, whose minimum is 100,000, and whose threshold is what it has.
    fn tip(work: &Work) -> TipFacts<'_> {
        TipFacts { work, threshold: work.clone().max(headers(100_000)) }
    }

    fn headers(count: u32) -> Work {
        Work::of_bits(0x207f_ffff).times(count)
    }

    fn limits() -> Limits {
        let min_chain_work = headers(100_000);
        Limits { stop_height: u32::MAX, min_chain_work, hint_backed_height: 1_000 }
    }

    #[test]
    fn a_batch_is_admitted_by_hints_candidate_presync_and_tip_in_this_order() {
        let none = BatchFacts::default();
        let tip_with = |facts: BatchFacts| BatchFacts { extends_tip: true, ..facts };
        let cases = [
            (
                BatchFacts { hinted: true, extends_candidate: true, ..none },
                Some(Admission::Candidate),
            ),
            (BatchFacts { hinted: true, ..none }, Some(Admission::Keep)),
            (BatchFacts { hinted: true, extends_tip: true, ..none }, Some(Admission::Keep)),
            (BatchFacts { extends_presync: true, ..none }, Some(Admission::Presync)),
            (tip_with(BatchFacts { extends_presync: true, ..none }), Some(Admission::Presync)),
            (tip_with(BatchFacts { end_height: 3_000, ..none }), Some(Admission::Keep)),
            (none, None),
        ];
        let low = headers(1_000);
        for (facts, expected) in cases {
            assert_eq!(limits().admit(facts, &tip(&low)), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_chain_without_the_minimum_work_grows_by_its_allowance_above_the_hints_and_no_further() {
        let (low, enough) = (headers(1_000), headers(100_000));
        let last = 1_000 + PRESYNC_ALLOWANCE;
        let on_tip =
            |end_height| BatchFacts { extends_tip: true, end_height, ..BatchFacts::default() };
        assert_eq!(limits().admit(on_tip(last), &tip(&low)), Some(Admission::Keep));
        assert_eq!(limits().admit(on_tip(last + 1), &tip(&low)), None);
        assert_eq!(limits().admit(on_tip(last + 1), &tip(&enough)), Some(Admission::Keep));
    }

    #[test]
    fn a_branch_is_kept_for_its_work_and_else_shows_more_of_it_or_is_passed_over() {
        let (low, enough) = (headers(1_000), headers(100_000));
        let long = 1_001 + PRESYNC_ALLOWANCE;
        // Height, headers' worth of work, full, what is done on a chain with little and with enough work.
        let cases = [
            (2_000, 999, false, Admission::PassOver, Admission::PassOver),
            (2_000, 999, true, Admission::Presync, Admission::Presync),
            (2_000, 1_001, false, Admission::Keep, Admission::PassOver),
            (long, 1_001, false, Admission::PassOver, Admission::PassOver),
            (long, 1_001, true, Admission::Presync, Admission::Presync),
            (long, 100_000, false, Admission::Keep, Admission::Keep),
        ];
        for (height, work, is_full, at_start, later) in cases {
            let work = headers(work);
            let branch = BranchFacts { is_known: false, height, work: &work, is_full };
            assert_eq!(limits().admit_branch(Some(&branch), &tip(&low)), at_start, "{branch:?}");
            assert_eq!(limits().admit_branch(Some(&branch), &tip(&enough)), later, "{branch:?}");
            let known = BranchFacts { is_known: true, ..branch };
            assert_eq!(limits().admit_branch(Some(&known), &tip(&low)), Admission::Known);
        }
        assert_eq!(limits().admit_branch(None, &tip(&low)), Admission::Orphan);
    }
}
