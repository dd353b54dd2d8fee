//! Stored chains of which only times and bits matter, made by the real difficulty rules.

use super::chains::{hash_of, height_of};
use crate::chain::{ChainTip, next_target, params};
use crate::primitives::{BlockHash, Network, Work};
use crate::sync::{StoredChain, TimeAndBits};
use rand::RngExt;
use rand::rngs::StdRng;

/// When made chains begin, in Unix seconds.
const START: f64 = 1_760_000_000.0;

/// The bits of a made chain's first header. The honest hash rate is the one that these bits imply.
const BITS: u32 = 0x1702_40c3;

const INTERVAL: usize = 2016;

/// What an attacker writes into its headers as their time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamps {
    /// When the block was mined.
    Mined,
    /// Times from an hour before to two hours after this moment (Unix seconds), at which the chain will be shown.
    Shown(u32),
}

/// A chain by height.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) headers: Vec<TimeAndBits>,
    /// The moment up to which blocks were mined, in Unix seconds.
    clock: f64,
}

impl History {
    /// Returns a chain of these headers.
    pub(super) fn of(headers: Vec<TimeAndBits>) -> Self {
        Self { headers, clock: 0.0 }
    }

    /// Returns an honest chain of about that many blocks.
    pub(super) fn honest(blocks: u32, rng: &mut StdRng) -> Self {
        let genesis = TimeAndBits { time: seconds(START), bits: BITS };
        let mut history = Self { headers: vec![genesis], clock: START };
        history.mine(1.0, f64::from(blocks) * 600.0, Stamps::Mined, rng);
        history
    }

    /// Lets miners with this share of the honest hash rate extend the chain for `span` seconds.
    pub(super) fn mine(&mut self, share: f64, span: f64, stamps: Stamps, rng: &mut StdRng) {
        let (end, fork) = (self.clock + span, self.headers.len());
        let (mut bits, hash_rate) = (0, work(BITS) / 600.0 * share);
        let mut spacing = 0.0;
        loop {
            if bits != self.next_bits() {
                bits = self.next_bits();
                spacing = work(bits) / hash_rate;
            }
            let next = self.clock - (1.0 - rng.random::<f64>()).ln() * spacing;
            // The wait for a block is memoryless, so the next miners can begin a new wait at the end of the span.
            if !next.is_finite() || next > end {
                self.clock = end;
                return;
            }
            self.clock = next;
            let own = u32::try_from(self.headers.len() - fork).unwrap();
            let time = match stamps {
                Stamps::Mined => seconds(next),
                // Six blocks may have one time, since each has to be after the median of the last eleven.
                Stamps::Shown(shown) => (shown - 3_600 + own / 6).min(shown + 7_200),
            };
            self.headers.push(TimeAndBits { time, bits });
        }
    }

    /// Returns the bits of the next header, as a mainnet node demands them.
    fn next_bits(&self) -> u32 {
        let next = self.headers.len();
        let last = self.headers[next - 1];
        if !next.is_multiple_of(INTERVAL) {
            return last.bits;
        }
        let first = self.headers[next - INTERVAL];
        next_target(params(Network::Mainnet), last.bits, first.time, last.time).to_bits()
    }

    /// Returns the moment up to which blocks were mined, in Unix seconds.
    pub(super) fn now(&self) -> u32 {
        seconds(self.clock)
    }

    /// Returns the chain's end.
    pub(super) fn tip(&self) -> ChainTip {
        tip_at(u32::try_from(self.headers.len() - 1).unwrap())
    }
}

/// Returns the tip of a chain that ends at this height. Its work is arbitrary.
pub(super) fn tip_at(height: u32) -> ChainTip {
    ChainTip { height, hash: hash_of(0, height), chainwork: Work::of_bits(BITS).times(height) }
}

fn work(bits: u32) -> f64 {
    Work::of_bits(bits).to_f64()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times before 2106")]
fn seconds(time: f64) -> u32 {
    time as u32
}

impl StoredChain for History {
    fn hashes_at(&self, heights: &[u32]) -> Vec<BlockHash> {
        heights.iter().map(|height| hash_of(0, *height)).collect()
    }

    fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        Some(height_of(hash))
    }

    fn is_on_side_branch(&self, _: &BlockHash) -> bool {
        false
    }

    fn times_and_bits(&self, first: u32, count: u32) -> Vec<TimeAndBits> {
        let first = first as usize;
        let end = self.headers.len().min(first + count as usize);
        self.headers[first..end].to_vec()
    }
}
