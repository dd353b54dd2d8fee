//! Progress: new verified work, or more stored headers of the candidate, whose work is verified already.
//!
//! Timeouts, the lead of the tail, "caught up" and retries depend on progress. Mere arrival of headers is no progress:
//! peers can send the same headers, or branches that lead nowhere, for ever.

use crate::chain::ConnectOutcome;
use crate::primitives::Work;
use std::time::Duration;

/// How many full answers without progress a peer may send in a row. With one more it is disconnected.
///
/// An honest peer on a branch that leaves our chain far below the tip begins with headers that we have, since locators
/// have gaps there. After each such answer it is asked with a locator that closes in on the fork (`spread_above`). On
/// a chain of five million headers, the fourth answer has new headers at the latest.
pub(super) const MAX_FRUITLESS_ANSWERS: u32 = 3;

/// What a connected batch has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gain {
    /// Nothing new.
    None,
    /// The stored chain has more work than before.
    Chain,
    /// A branch that is not part of the stored chain was verified up to this work.
    Branch(Work),
    /// The candidate was stored up to this height.
    Candidate(u32),
}

impl Gain {
    /// Returns what a batch with this outcome has shown.
    pub(super) fn of(outcome: &ConnectOutcome) -> Self {
        match outcome {
            ConnectOutcome::Unchanged
            | ConnectOutcome::SideBranchTooLong { .. }
            | ConnectOutcome::Extended(0) => Self::None,
            ConnectOutcome::Extended(_) | ConnectOutcome::Reorganized { .. } => Self::Chain,
            ConnectOutcome::SideBranch { work, .. }
            | ConnectOutcome::KnownSideBranch { work }
            | ConnectOutcome::PresyncAdvanced { work, .. }
            | ConnectOutcome::LowWork { work, .. } => Self::Branch(work.clone()),
            ConnectOutcome::CandidateExtended { height } => Self::Candidate(*height),
        }
    }
}

/// The progress of a whole sync.
#[derive(Debug, Default)]
pub(super) struct Progress {
    verified: VerifiedWork,
    /// The time of the last progress, since the start.
    pub(super) last: Duration,
}

impl Progress {
    /// Records what a batch has shown, and returns whether that is progress.
    pub(super) fn record(&mut self, gain: &Gain, now: Duration) -> bool {
        let progress = self.verified.record(gain);
        if progress {
            self.last = now;
        }
        progress
    }
}

/// The most work of a branch that was verified so far, and the greatest height of the candidate: by one peer's batches,
/// or in a whole sync.
#[derive(Clone, Debug, Default)]
pub(super) struct VerifiedWork {
    branch: Option<Work>,
    candidate: u32,
}

impl VerifiedWork {
    /// Records what a batch has shown, and returns whether that is progress.
    pub(super) fn record(&mut self, gain: &Gain) -> bool {
        match gain {
            Gain::None => false,
            Gain::Chain => true,
            Gain::Branch(work) => {
                let more = self.branch.as_ref().is_none_or(|most| most < work);
                if more {
                    self.branch = Some(work.clone());
                }
                more
            }
            Gain::Candidate(height) => {
                let more = *height > self.candidate;
                self.candidate = self.candidate.max(*height);
                more
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gain, VerifiedWork};
    use crate::primitives::Work;

    #[test]
    fn only_more_work_or_a_higher_candidate_than_before_is_progress() {
        let mut verified = VerifiedWork::default();
        let branch = |headers| Gain::Branch(Work::of_bits(0x1d00_ffff).times(headers));
        assert!(!verified.record(&Gain::None));
        assert!(verified.record(&branch(2)));
        for again in [1, 2] {
            assert!(!verified.record(&branch(again)), "{again}");
        }
        assert!(verified.record(&branch(3)));
        assert!(verified.record(&Gain::Chain));
        assert!(verified.record(&Gain::Candidate(5)));
        assert!(!verified.record(&Gain::Candidate(5)));
    }
}
