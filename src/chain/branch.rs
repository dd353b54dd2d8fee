//! The state at the end of a branch: all that the rules need to check the next header.

use super::median::{MEDIAN_TIME_SPAN, median_time_past};
use super::params::Params;
use crate::primitives::{BlockHash, Header, Work};

/// Time and bits of a period's first header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodFirst {
    /// Time in Unix seconds.
    pub time: u32,
    /// The target in compact form.
    pub bits: u32,
}

/// The end of one branch, with everything about its ancestors that the rules need to check the next header: the last
/// times, the period's first header, the last regular bits, and the chain work.
///
/// A `Branch` has a constant size, and each header moves it forward. A fork has a `Branch` of its own, made from the
/// fork's own ancestors, so that its state never mixes with the active chain's.
#[derive(Clone, Debug)]
pub struct Branch {
    params: &'static Params,
    height: u32,
    hash: BlockHash,
    time: u32,
    bits: u32,
    times: Vec<u32>,
    period_first: PeriodFirst,
    last_regular_bits: u32,
    chainwork: Work,
    // The last header's bits, and the work of one header with these bits. Both are kept because bits rarely change,
    // and the division for the work takes long.
    step: (u32, Work),
}

/// Too few headers of a branch to resume it, or to keep it as a side branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("height {height} needs the headers from height {from} on, {expected} in all: got {got}")]
pub struct ResumeError {
    /// Height of the branch's end.
    pub height: u32,
    /// Height of the lowest header needed.
    pub from: u32,
    /// How many headers are needed, the branch's end included.
    pub expected: usize,
    /// How many headers were given.
    pub got: usize,
}

impl Branch {
    /// Returns the branch that consists of genesis alone.
    pub fn genesis(params: &'static Params) -> Self {
        let genesis = &params.genesis;
        let work = Work::of_bits(genesis.bits);
        Self {
            params,
            height: 0,
            hash: genesis.hash(),
            time: genesis.time,
            bits: genesis.bits,
            times: vec![genesis.time],
            period_first: PeriodFirst { time: genesis.time, bits: genesis.bits },
            last_regular_bits: genesis.bits,
            chainwork: work.clone(),
            step: (genesis.bits, work),
        }
    }

    /// Returns the height of the lowest ancestor that [`Branch::resume`] at `height` needs.
    pub(crate) fn resume_from(params: &Params, height: u32) -> u32 {
        let span = u32::try_from(MEDIAN_TIME_SPAN - 1).expect("10 fits");
        params.period_start(height).min(height.saturating_sub(span))
    }

    /// Returns the branch that ends at `height`, from headers that were checked before.
    ///
    /// `ancestors` are the branch's own headers in ascending order, the last at `height`, the first at
    /// [`Branch::resume_from`] or below; `chainwork` is the work of the whole branch.
    ///
    /// # Errors
    /// There are too few ancestors.
    pub(crate) fn resume(
        params: &'static Params,
        height: u32,
        chainwork: Work,
        ancestors: &[Header],
    ) -> Result<Self, ResumeError> {
        let from = Self::resume_from(params, height);
        let expected = usize::try_from(height - from).expect("at most a period") + 1;
        let too_few = ResumeError { height, from, expected, got: ancestors.len() };
        let start = ancestors.len().checked_sub(expected).ok_or(too_few)?;
        let ancestors = &ancestors[start..];
        let first_at = usize::try_from(params.period_start(height) - from).expect("at most 10");
        let (first, last) = (ancestors[first_at], ancestors[expected - 1]);
        let regular = ancestors[first_at + 1..]
            .iter()
            .rev()
            .find(|header| header.bits != params.pow_limit_bits);
        let recent = &ancestors[expected.saturating_sub(MEDIAN_TIME_SPAN)..];
        Ok(Self {
            params,
            height,
            hash: last.hash(),
            time: last.time,
            bits: last.bits,
            times: recent.iter().map(|header| header.time).collect(),
            period_first: PeriodFirst { time: first.time, bits: first.bits },
            last_regular_bits: regular.map_or(first.bits, |header| header.bits),
            chainwork,
            step: (last.bits, Work::of_bits(last.bits)),
        })
    }

    /// Returns the network's parameters.
    pub fn params(&self) -> &'static Params {
        self.params
    }

    /// Returns the height of the last header.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the hash of the last header.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// Returns the time of the last header, in Unix seconds.
    pub fn time(&self) -> u32 {
        self.time
    }

    /// Returns the bits of the last header.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Returns time and bits of the period's first header, which is the last header itself at a boundary.
    pub fn period_first(&self) -> PeriodFirst {
        self.period_first
    }

    /// Returns the bits of the last header that is at a boundary or has bits other than the proof-of-work limit's:
    /// Bitcoin Core's "last non-special-min-difficulty-rules-block".
    pub fn last_regular_bits(&self) -> u32 {
        self.last_regular_bits
    }

    /// Returns the median time past of the last header, in Unix seconds.
    pub fn median_time_past(&self) -> u32 {
        median_time_past(&self.times)
    }

    /// Returns the work of the branch, genesis included.
    pub fn chainwork(&self) -> &Work {
        &self.chainwork
    }

    /// Moves the end to the next header, which the caller has checked.
    pub(super) fn push(&mut self, header: &Header, hash: BlockHash) {
        self.height += 1;
        self.hash = hash;
        self.time = header.time;
        self.bits = header.bits;
        if self.times.len() == MEDIAN_TIME_SPAN {
            self.times.rotate_left(1);
            self.times[MEDIAN_TIME_SPAN - 1] = header.time;
        } else {
            self.times.push(header.time);
        }
        let at_boundary = self.params.is_boundary(self.height);
        if at_boundary {
            self.period_first = PeriodFirst { time: header.time, bits: header.bits };
        }
        if at_boundary || header.bits != self.params.pow_limit_bits {
            self.last_regular_bits = header.bits;
        }
        if header.bits != self.step.0 {
            self.step = (header.bits, Work::of_bits(header.bits));
        }
        self.chainwork += &self.step.1;
    }
}
