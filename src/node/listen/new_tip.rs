//! Finds out what a new tip changes for peers that follow our chain.

use crate::chain::ChainPoint;
use crate::primitives::{BlockHash, Header};
use crate::store::StoredRun;
use std::collections::VecDeque;

/// The greatest number of headers in an announcement. If there are more new blocks, the last one is announced by `inv`.
/// Source: Bitcoin Core `MAX_BLOCKS_TO_ANNOUNCE`.
pub(super) const MAX_BLOCKS_TO_ANNOUNCE: usize = 8;

/// How many headers at the chain's end are compared with the previous chain to find the fork. If none of them is shared
/// (after a deeper reorganisation, or with so many new headers at once), peers count as having only genesis, and the
/// tip is announced by `inv`.
pub(super) const COMPARED: u32 = 144;

/// How many of the latest forks each tip carries, including its own, for peers' tasks that missed earlier tips.
const REMEMBERED: usize = 16;

/// A new tip of the stored chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewTip {
    /// The tip's number, counted from 1. A peer's task takes only the latest tip, and sees from the number how many
    /// tips it has missed.
    pub(super) number: u64,
    /// The tip.
    pub(super) point: ChainPoint,
    /// The last headers of the chain, up to [`MAX_BLOCKS_TO_ANNOUNCE`], with their hashes. The tip is at the end.
    headers: Vec<(BlockHash, Header)>,
    /// For each of the latest tips, with this tip at the end: the height of the last header that its chain shares with
    /// the chain of the previous tip.
    forks: VecDeque<u32>,
}

impl NewTip {
    /// Returns a height up to which this chain and the chain of tip number `since` have the same headers: the lowest
    /// fork since then. Returns `None` if that tip is too old or later than this one.
    pub(super) fn shared_with(&self, since: u64) -> Option<u32> {
        let missed = usize::try_from(self.number.checked_sub(since)?).ok()?;
        let first = self.forks.len().checked_sub(missed)?;
        Some(self.forks.range(first..).copied().min().unwrap_or(self.point.height))
    }

    /// Returns the height of one of the last headers by its hash.
    pub(super) fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        let from_end = self.headers.iter().rev().position(|(other, _)| other == hash)?;
        self.point.height.checked_sub(u32::try_from(from_end).ok()?)
    }

    /// Returns the headers above a height; `None` if they are too many to be announced, or if the tip is below the
    /// height.
    pub(super) fn headers_above(&self, height: u32) -> Option<Vec<Header>> {
        let count = usize::try_from(self.point.height.checked_sub(height)?).ok()?;
        let first = self.headers.len().checked_sub(count)?;
        Some(self.headers[first..].iter().map(|(_, header)| *header).collect())
    }
}

/// The end of the chain as it was with the last recorded tip. The fork of the next tip is found from it.
#[derive(Debug, Default)]
pub(super) struct TipHistory {
    number: u64,
    /// The height of the first of `hashes`.
    first_height: u32,
    /// The last hashes of the chain.
    hashes: Vec<BlockHash>,
    forks: VecDeque<u32>,
}

impl TipHistory {
    /// Returns the hash of the last tip.
    pub(super) fn tip(&self) -> Option<&BlockHash> {
        self.hashes.last()
    }

    /// Returns the first height to read for [`TipHistory::advance`].
    pub(super) fn read_from(tip_height: u32) -> u32 {
        (tip_height + 1).saturating_sub(COMPARED)
    }

    /// Records that the chain ends with these headers. Returns the tip if it is a new one.
    pub(super) fn advance(&mut self, end: &StoredRun) -> Option<NewTip> {
        let (tip, count) = (*end.hashes.last()?, u32::try_from(end.hashes.len()).ok()?);
        if self.hashes.last() == Some(&tip) {
            return None;
        }
        let fork = self.fork_height(end);
        self.number += 1;
        self.first_height = end.first_height;
        self.hashes.clone_from(&end.hashes);
        self.forks.push_back(fork);
        if self.forks.len() > REMEMBERED {
            self.forks.pop_front();
        }
        let last = end.hashes.len().saturating_sub(MAX_BLOCKS_TO_ANNOUNCE);
        let headers = end.hashes.iter().copied().zip(end.headers.iter().copied()).skip(last);
        Some(NewTip {
            number: self.number,
            point: ChainPoint { height: end.first_height + count - 1, hash: tip },
            headers: headers.collect(),
            forks: self.forks.clone(),
        })
    }

    /// Returns the height of the last header that the previous chain and this one share; 0 if none of the compared
    /// headers is shared.
    fn fork_height(&self, end: &StoredRun) -> u32 {
        let now = |height: u32| {
            let at = usize::try_from(height.checked_sub(end.first_height)?).ok()?;
            end.hashes.get(at)
        };
        let before: Vec<(u32, &BlockHash)> = (self.first_height..).zip(&self.hashes).collect();
        let shared = before.into_iter().rev().find(|(height, hash)| now(*height) == Some(*hash));
        shared.map_or(0, |(height, _)| height)
    }
}

#[cfg(test)]
mod tests {
    use super::{NewTip, REMEMBERED, TipHistory};
    use crate::chain::params;
    use crate::primitives::{BlockHash, Header, Network, Work};
    use crate::store::StoredRun;

    /// Returns these headers with `count` more on top, which need not be valid. Another `salt` gives other headers.
    pub(super) fn grow(chain: &[Header], count: usize, salt: u32) -> Vec<Header> {
        let mut chain = chain.to_vec();
        for _ in 0..count {
            let last = chain.last().copied().unwrap_or(params(Network::Regtest).genesis);
            chain.push(Header { prev: last.hash(), nonce: salt, time: last.time + 1, ..last });
        }
        chain
    }

    fn advance(history: &mut TipHistory, chain: &[Header]) -> Option<NewTip> {
        let tip = u32::try_from(chain.len() - 1).unwrap();
        let first_height = TipHistory::read_from(tip);
        let headers = chain[first_height as usize..].to_vec();
        let hashes = headers.iter().map(Header::hash).collect();
        history.advance(&StoredRun { first_height, parent_work: Work::default(), headers, hashes })
    }

    #[test]
    fn a_tip_knows_which_height_its_chain_shares_with_each_earlier_tip() {
        let mut history = TipHistory::default();
        let chain = grow(&[params(Network::Regtest).genesis], 20, 1);
        let first = advance(&mut history, &chain).unwrap();
        assert_eq!((first.number, first.point.height, first.shared_with(1)), (1, 20, Some(20)));
        assert_eq!(first.shared_with(0), Some(0), "before the first tip, only genesis is shared");
        assert_eq!(advance(&mut history, &chain), None, "the same tip");
        let longer = grow(&chain, 3, 1);
        assert_eq!(advance(&mut history, &longer).unwrap().shared_with(1), Some(20));
        let other = grow(&longer[..=18], 9, 2);
        let tip = advance(&mut history, &other).unwrap();
        assert_eq!((tip.shared_with(2), tip.shared_with(1)), (Some(18), Some(18)));
        let last = advance(&mut history, &grow(&other, 1, 2)).unwrap();
        assert_eq!((last.shared_with(3), last.shared_with(2)), (Some(27), Some(18)));
        assert_eq!(last.shared_with(5), None, "a tip that is yet to come");
    }

    #[test]
    fn after_a_reorganisation_below_the_compared_headers_only_genesis_counts_as_shared() {
        let mut history = TipHistory::default();
        let chain = grow(&[params(Network::Regtest).genesis], 400, 1);
        advance(&mut history, &chain).unwrap();
        let other = grow(&chain[..=200], 300, 2);
        assert_eq!(advance(&mut history, &other).unwrap().shared_with(1), Some(0));
    }

    #[test]
    fn forks_before_the_last_sixteen_are_forgotten() {
        let mut history = TipHistory::default();
        let mut chain = vec![params(Network::Regtest).genesis];
        for _ in 0..=REMEMBERED {
            chain = grow(&chain, 1, 1);
            advance(&mut history, &chain);
        }
        let tip = advance(&mut history, &grow(&chain, 1, 1)).unwrap();
        assert_eq!(tip.shared_with(1), None);
        assert_eq!(tip.shared_with(2), Some(2));
    }

    #[test]
    fn the_last_eight_headers_are_announced_and_no_more() {
        let mut history = TipHistory::default();
        let chain = grow(&[params(Network::Regtest).genesis], 20, 1);
        let tip = advance(&mut history, &chain).unwrap();
        assert_eq!(tip.headers_above(12).as_deref(), Some(&chain[13..]));
        assert_eq!(tip.headers_above(20).as_deref(), Some(&[][..]));
        assert_eq!(tip.headers_above(11), None);
        assert_eq!(tip.headers_above(21), None);
        assert_eq!(tip.height_of(&chain[13].hash()), Some(13));
        assert_eq!(tip.height_of(&BlockHash::ZERO), None);
    }
}
