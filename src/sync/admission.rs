//! Decides whether a batch of linked headers is stored at once, has to wait until its branch has shown its work, or is
//! dropped.
//!
//! The first line that fits a batch counts:
//!
//! | batch | decision |
//! |---|---|
//! | lies between two hints and extends the candidate | stored as part of the candidate |
//! | lies between two hints | kept: the hints make its work credible |
//! | extends its sender's presync | checked as part of the presync |
//! | extends the tip, and the chain has the minimum work or is within its allowance (`PRESYNC_ALLOWANCE`) | kept |
//! | follows no known header | orphan |
//! | has only known headers | dropped |
//! | ends a branch with enough work | kept |
//! | is full, and its branch has not enough work yet | begins a presync |
//! | ends a branch with too little work | passed over |
//!
//! # Security
//! Bitcoin Core `TryLowWorkHeadersSync`: a branch whose end has less work than the threshold is not stored. If the
//! sender may have more of the branch, the branch is checked in a presync. Otherwise it is passed over, and the sender
//! is not punished.

use crate::primitives::Work;

/// How many headers above the hints may be stored before their branch has shown enough work: about 5 MB. Downloading an
/// honest chain of this length twice would cost more than storing a worthless one.
pub const PRESYNC_ALLOWANCE: u32 = 65_536;

/// The decision on a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Check the batch by all rules, and store its good headers.
    Keep,
    /// Check the batch by all rules, and store its good headers beside the chain, as the next part of the candidate.
    Candidate,
    /// Check the batch by all rules without storing it, as a part of a branch that has to show its work.
    Presync,
    /// Drop the batch, since its branch ends with it and has too little work.
    PassOver,
    /// Drop the batch, since all its headers are known.
    Known,
    /// Drop the batch, since its parent is not known.
    Orphan,
}

/// The limits on which headers are stored.
#[derive(Clone, Debug)]
pub struct Limits {
    /// No header above this height is stored.
    pub stop_height: u32,
    /// A chain with less work may have at most `PRESYNC_ALLOWANCE` headers above `hint_backed_height`.
    pub min_chain_work: Work,
    /// Up to this height the stored chain follows the hints.
    pub hint_backed_height: u32,
}

/// What the admission needs to know of the stored tip.
#[derive(Clone, Debug)]
pub struct TipFacts<'a> {
    /// The work of the stored chain.
    pub work: &'a Work,
    /// A branch with less work is not stored (Bitcoin Core `GetAntiDoSWorkThreshold`).
    pub threshold: Work,
}

/// What is known of a batch without looking its branch up.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchFacts {
    /// Whether the batch lies between two hints, or between genesis and the first hint.
    pub hinted: bool,
    /// Whether the batch follows the candidate's end.
    pub extends_candidate: bool,
    /// Whether the batch follows the end of its sender's presync.
    pub extends_presync: bool,
    /// Whether the batch follows the stored tip.
    pub extends_tip: bool,
    /// The height that the chain's tip would have if the batch extended the chain.
    pub end_height: u32,
}

/// What the header tree knows of a batch's branch.
#[derive(Clone, Debug)]
pub struct BranchFacts<'a> {
    /// Whether every header of the batch is known.
    pub is_known: bool,
    /// Height of the batch's last header.
    pub height: u32,
    /// Work of the branch up to that header.
    pub work: &'a Work,
    /// Whether the batch is a full message, so that its sender may have more.
    pub is_full: bool,
}

impl Limits {
    /// Returns the decision on a batch, or `None` if the decision depends on the batch's branch. Then the caller looks
    /// the branch up, and calls [`Limits::admit_branch`].
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

    /// Returns the decision on a batch whose branch was looked up; `None` stands for a batch whose parent is not known.
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

    /// Returns whether a branch that ends at `height` and has this work may be stored.
    ///
    /// Hints make a chain's work credible only where the headers between two hints fit in memory. In a longer gap,
    /// headers would be stored before the next hint shows whether they lead to it, so a peer could fill the disk with
    /// other headers. So in such a gap, too, a chain has to show the minimum work before all of it is stored. A chain
    /// with less work counts as not synced, and storing it would gain nothing.
    ///
    /// While the chain itself has less than the minimum work, the threshold alone would keep out every branch with a
    /// little more work than the chain. Such a branch may replace the chain's end, up to the height that the chain
    /// itself may have.
    pub fn is_worth_keeping(&self, height: u32, work: &Work, tip: &TipFacts<'_>) -> bool {
        let takes_over = work > tip.work;
        *work >= tip.threshold || (takes_over && self.allows(height))
    }

    /// Returns whether a chain that has not shown its work may have this height.
    fn allows(&self, height: u32) -> bool {
        height.saturating_sub(self.hint_backed_height) <= PRESYNC_ALLOWANCE
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, BatchFacts, BranchFacts, Limits, PRESYNC_ALLOWANCE, TipFacts};
    use crate::primitives::Work;

    /// Returns a tip with this work. The threshold is `work`, but at least the work of 100,000 headers.
    fn tip(work: &Work) -> TipFacts<'_> {
        TipFacts { work, threshold: work.clone().max(headers(100_000)) }
    }

    /// Returns the work of `count` headers.
    fn headers(count: u32) -> Work {
        Work::of_bits(0x207f_ffff).times(count)
    }

    fn limits() -> Limits {
        let min_chain_work = headers(100_000);
        Limits { stop_height: u32::MAX, min_chain_work, hint_backed_height: 1_000 }
    }

    #[test]
    fn hints_decide_before_a_presync_and_a_presync_before_the_tip() {
        let none = BatchFacts::default();
        let tip_with = |facts: BatchFacts| BatchFacts { extends_tip: true, ..facts };
        let cases = [
            (
                BatchFacts { hinted: true, extends_candidate: true, ..none },
                Some(Admission::Candidate),
            ),
            (BatchFacts { hinted: true, ..none }, Some(Admission::Keep)),
            (BatchFacts { hinted: true, extends_tip: true, ..none }, Some(Admission::Keep)),
            (BatchFacts { hinted: true, extends_presync: true, ..none }, Some(Admission::Keep)),
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
    fn a_chain_without_the_minimum_work_may_not_grow_beyond_its_allowance_above_the_hints() {
        let (low, enough) = (headers(1_000), headers(100_000));
        let last = 1_000 + PRESYNC_ALLOWANCE;
        let on_tip =
            |end_height| BatchFacts { extends_tip: true, end_height, ..BatchFacts::default() };
        assert_eq!(limits().admit(on_tip(last), &tip(&low)), Some(Admission::Keep));
        assert_eq!(limits().admit(on_tip(last + 1), &tip(&low)), None);
        assert_eq!(limits().admit(on_tip(last + 1), &tip(&enough)), Some(Admission::Keep));
    }

    #[test]
    fn a_branch_with_too_little_work_is_presynced_if_it_may_go_on_and_else_passed_over() {
        let (low, enough) = (headers(1_000), headers(100_000));
        let long = 1_001 + PRESYNC_ALLOWANCE;
        // Height, work in headers, whether the message is full, the decision if the chain has too little work, and the
        // decision if it has enough.
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
