//! Judges whether blocks come so slowly that the peers may be hiding some.
//!
//! An attacker who controls all of our peers can show an honest chain up to some block, followed by the attacker's own
//! blocks. The attacker chooses the times of its own blocks freely, so that the tip looks fresh. But the attacker
//! cannot choose the time of the last honest block, nor add more work than its share of the hash rate yields. So the
//! work since each of many earlier blocks is compared with the time since that block.

use super::input::{StoredChain, TimeAndBits};
use crate::chain::{ChainTip, MEDIAN_TIME_SPAN, SPACING};
use crate::primitives::{BlockHash, Work};

/// Blocks from one retarget to the next, on mainnet.
const INTERVAL: u32 = 2016;

/// How many blocks to look back: a year.
const YEAR: u32 = 26 * INTERVAL;

/// The lowest hash rate that an honest chain is assumed to have, as a share of the hash rate that the highest
/// difficulty in at least the year before implies.
///
/// Mainnet's lowest share since 2010 is 0.55, in July 2021 after mining had ended in China: the difficulty fell from
/// 25.0 T to 13.7 T. For a day the share may be lower, since over a short span only a much lower rate counts as slow.
const LOWEST_HONEST_RATE: f64 = 0.5;

/// At most one judgement in this many is wrong about a chain with [`LOWEST_HONEST_RATE`].
const JUDGEMENTS: f64 = 1e6;

/// The finding that blocks come too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowBlocks {
    /// Height of the block after which blocks have come too slowly.
    pub since: u32,
    /// Seconds from the latest time of that block and the ten before it to our clock.
    pub elapsed: u64,
    /// The work after that block, in percent of the work that is usual in the elapsed time.
    pub percent: u32,
}

/// The blocks after a certain block, up to the tip.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    /// Height of the block.
    since: u32,
    /// The latest time of the block and the ten before it, in Unix seconds: single times can be hours off.
    time: u32,
    /// The work after the block, as a number of blocks with the highest difficulty up to the block.
    blocks: f64,
}

/// The work since many earlier blocks of a chain.
#[derive(Debug)]
pub(super) struct BlockRate {
    tip: BlockHash,
    windows: Vec<Window>,
}

impl BlockRate {
    /// Reads the end of the chain. A chain that cannot be read is not judged.
    pub(super) fn read(tip: &ChainTip, chain: &dyn StoredChain) -> Self {
        Self { tip: tip.hash, windows: windows(tip.height, chain).unwrap_or_default() }
    }

    /// Returns whether this was read from the chain with that tip.
    pub(super) fn is_of(&self, tip: &ChainTip) -> bool {
        self.tip == tip.hash
    }

    /// Returns since when blocks come too slowly, or `None` if they do not. Blocks come too slowly if, with half the
    /// usual hash rate, at most one of a million judgements would find so little work. `now` is in Unix seconds.
    pub(super) fn judge(&self, now: u64) -> Option<SlowBlocks> {
        let judged = self.windows.iter().map(|window| {
            let elapsed = now.saturating_sub(u64::from(window.time));
            // Longer elapsed times count as 136 years.
            let usual = f64::from(u32::try_from(elapsed).unwrap_or(u32::MAX)) / f64::from(SPACING);
            (surprise(window.blocks, usual * LOWEST_HONEST_RATE), window, elapsed, usual)
        });
        let (surprise, window, elapsed, usual) =
            judged.max_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
        // Any window may be wrong, so each one gets an equal part of the permitted error.
        let windows = f64::from(u32::try_from(self.windows.len()).unwrap_or(u32::MAX));
        let is_slow = surprise > (JUDGEMENTS * windows).ln();
        let percent = percent(window.blocks / usual);
        is_slow.then_some(SlowBlocks { since: window.since, elapsed, percent })
    }
}

/// Returns -ln of an upper bound on the probability that at most `blocks` blocks come where `mean` are expected.
///
/// This is Chernoff's bound for the Poisson distribution. The bound also holds for a sum of work in which no block
/// counts as more than one: many lighter blocks vary less.
fn surprise(blocks: f64, mean: f64) -> f64 {
    if blocks >= mean {
        return 0.0;
    }
    let log = if blocks > 0.0 { blocks * (blocks / mean).ln() } else { 0.0 };
    mean - blocks + log
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 50 if slow")]
fn percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

/// Returns the windows to judge, the shortest first; `None` if a header cannot be read.
fn windows(tip: u32, chain: &dyn StoredChain) -> Option<Vec<Window>> {
    let periods = read_periods(tip, chain)?;
    let window = |back: u32| {
        let since = tip - back;
        let span = u32::try_from(MEDIAN_TIME_SPAN).ok()?;
        let from = since.saturating_sub(span - 1);
        let headers = chain.times_and_bits(from, since - from + 1);
        let time = headers.iter().map(|header| header.time).max()?;
        Some(Window { since, time, blocks: blocks_after(since, tip, &periods) })
    };
    lengths(tip.min(YEAR)).map(window).collect()
}

/// Returns the first height of each period of the last two years, with the work of one of the period's blocks.
fn read_periods(tip: u32, chain: &dyn StoredChain) -> Option<Vec<(u32, f64)>> {
    let first = tip.saturating_sub(2 * YEAR) / INTERVAL;
    let periods = (first..=tip / INTERVAL).map(|period| {
        let start = period * INTERVAL;
        let TimeAndBits { bits, .. } = *chain.times_and_bits(start, 1).first()?;
        Some((start, Work::of_bits(bits).to_f64()))
    });
    periods.collect()
}

/// Returns the work after block `since`, as a number of blocks with the highest difficulty up to `since`. No block
/// counts as more than one.
fn blocks_after(since: u32, tip: u32, periods: &[(u32, f64)]) -> f64 {
    let before = periods.iter().filter(|(start, _)| *start <= since);
    let highest = before.map(|(_, work)| *work).fold(0.0, f64::max);
    let in_period = |(start, work): &(u32, f64)| {
        let last = tip.min(start + (INTERVAL - 1));
        let count = last.saturating_sub(since.max(start.saturating_sub(1)));
        f64::from(count) * (work / highest).min(1.0)
    };
    periods.iter().map(in_period).sum()
}

/// Returns the numbers of blocks to look back: all up to eight, then each about a quarter more than the one before.
/// Wherever an attacker leaves the honest chain, some window begins shortly before and has few honest blocks.
fn lengths(most: u32) -> impl Iterator<Item = u32> {
    let next = |length: &u32| Some(length + (length / 4).max(1));
    std::iter::successors(Some(0), next).take_while(move |length| *length <= most)
}

#[cfg(test)]
mod tests {
    use super::{lengths, surprise};

    #[test]
    fn the_surprise_bounds_the_probability_of_a_poisson_distribution() {
        for mean in [3.0, 20.0, 72.0, 500.0_f64] {
            let (mut term, mut sum) = ((-mean).exp(), 0.0);
            for blocks in 0..=700 {
                sum += term;
                let bound = (-surprise(f64::from(blocks), mean)).exp();
                assert!(sum <= bound * (1.0 + 1e-9), "{blocks} of {mean}: {sum} above {bound}");
                term *= mean / f64::from(blocks + 1);
            }
        }
        assert!((surprise(0.0, 18.0) - 18.0).abs() < 1e-12);
    }

    #[test]
    fn each_window_is_at_most_a_quarter_or_one_block_longer_than_the_one_before() {
        let lengths: Vec<u32> = lengths(52_416).collect();
        assert_eq!(lengths[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
        assert_eq!(lengths.len(), 49);
        let far = |pair: &[u32]| pair[1] - pair[0] > (pair[0] / 4).max(1);
        assert!(!lengths.windows(2).any(far));
        assert!(*lengths.last().unwrap() > 52_416 * 4 / 5);
        assert_eq!(super::lengths(0).collect::<Vec<_>>(), [0]);
    }
}
