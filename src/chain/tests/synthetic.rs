//! Headers without proof of work, since mining them would take too long.

use super::model;
use crate::chain::{Branch, LinkedBatch, Params, Rejection, Violation, params};
use crate::primitives::{BlockHash, Header, MerkleRoot, Network, Work};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

/// Time of the first synthetic header.
pub(super) const START: u32 = 1_700_000_000;

/// The bits of a regular target: sixteen times as hard as the limit of mainnet and the testnets.
pub(super) const HARDER: u32 = 0x1c0f_fff0;

/// Returns a header on top of `parent`.
pub(super) fn child(parent: &Header, time: u32, bits: u32) -> Header {
    Header { version: 4, prev: parent.hash(), time, bits, nonce: parent.nonce + 1, ..*parent }
}

/// Returns the first header of a chain, whose parent is not known.
fn root(time: u32, bits: u32) -> Header {
    let (prev, merkle_root) = (BlockHash([0xaa; 32]), MerkleRoot([0xbb; 32]));
    Header { version: 4, prev, merkle_root, time, bits, nonce: 0 }
}

/// A chain that starts at a period's first header.
#[derive(Clone, Debug)]
pub(super) struct Synthetic {
    pub(super) network: Network,
    /// Height of the first header; a multiple of the interval.
    pub(super) base: u32,
    pub(super) headers: Vec<Header>,
}

impl Synthetic {
    /// Returns a chain that ends at `height`, ten minutes from header to header, all with the same bits.
    pub(super) fn steady(network: Network, height: u32, bits: u32) -> Self {
        let params = params(network);
        // One period more than needed, for the median time past at the start of the last period.
        let base = params.period_start(height).saturating_sub(params.interval);
        let mut headers = vec![root(START, bits)];
        for _ in base..height {
            let parent = headers[headers.len() - 1];
            headers.push(child(&parent, parent.time + 600, bits));
        }
        Self { network, base, headers }
    }

    pub(super) fn params(&self) -> &'static Params {
        params(self.network)
    }

    pub(super) fn tip(&self) -> &Header {
        &self.headers[self.headers.len() - 1]
    }

    pub(super) fn height(&self) -> u32 {
        self.base + u32::try_from(self.headers.len()).unwrap() - 1
    }

    /// Returns the work of the chain's headers up to a position, inclusive. Headers before the chain's first one count
    /// nothing.
    pub(super) fn work_to(&self, at: usize) -> Work {
        self.headers[..=at].iter().fold(Work::default(), |mut sum, header| {
            sum += &Work::of_bits(header.bits);
            sum
        })
    }

    /// Returns the branch at the chain's end.
    pub(super) fn branch(&self) -> Branch {
        let work = self.work_to(self.headers.len() - 1);
        Branch::resume(self.params(), self.height(), work, &self.headers).unwrap()
    }

    /// Adds a header `gap` seconds after the last one, or as close to that as the rules allow.
    pub(super) fn grow(&mut self, gap: i32) {
        let params = self.params();
        let parent = *self.tip();
        let mut time = parent.time.checked_add_signed(gap).unwrap();
        time = time.max(model::median_time_past(&self.headers) + 1);
        if params.bip94 && params.is_boundary(self.height() + 1) {
            time = time.max(parent.time - 600);
        }
        let bits = model::required_bits(params, self.base, &self.headers, time);
        self.headers.push(child(&parent, time, bits));
    }
}

/// Judges one more header on top of a branch, without its proof of work.
pub(super) fn judge(branch: &Branch, header: Header) -> Option<Rejection> {
    let mut branch = branch.clone();
    let (checked, rejection) = branch.extend(LinkedBatch::without_work(vec![header]), u32::MAX);
    assert_eq!(checked.len(), usize::from(rejection.is_none()));
    rejection
}

/// Returns the rule that one more header breaks.
pub(super) fn violation(branch: &Branch, header: Header) -> Option<Violation> {
    judge(branch, header).map(|rejection| rejection.violation)
}

/// Seconds from a header to the next: around every limit of the rules, and far from these limits.
fn gap() -> impl Strategy<Value = i32> {
    prop_oneof![
        3 => 0..1200,
        2 => 1195..1206,
        1 => -8000..0,
        1 => -601..-598,
        1 => 1201..100_000,
    ]
}

/// Chains of testnet3 and testnet4 that start with any mix of easy and regular headers, and cross up to two boundaries.
pub(super) fn testnet_like() -> impl Strategy<Value = Synthetic> {
    let network = prop_oneof![Just(Network::Testnet3), Just(Network::Testnet4)];
    let easy = vec(any::<bool>(), 11);
    let gaps = vec((1usize..300, vec(gap(), 1..4)), 1..20);
    (network, easy, gaps, 11usize..4200).prop_map(|(network, easy, gaps, length)| {
        let params = params(network);
        let bits = |easy: bool| if easy { params.pow_limit_bits } else { HARDER };
        let mut headers = vec![root(START, bits(easy[0]))];
        for easy in &easy[1..] {
            let parent = headers[headers.len() - 1];
            headers.push(child(&parent, parent.time + 60, bits(*easy)));
        }
        let mut chain = Synthetic { network, base: 2016 * 5, headers };
        let gaps = gaps.iter().flat_map(|(times, gaps)| gaps.iter().cycle().take(*times));
        let gaps: Vec<i32> = gaps.copied().collect();
        for gap in gaps.iter().cycle().take(length) {
            chain.grow(*gap);
        }
        chain
    })
}
