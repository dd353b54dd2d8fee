//! The simulated peer: its chain, its line, its habits.

use super::chains::Chain;
use crate::primitives::BlockHash;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Headers in a full message.
const FULL_ANSWER: usize = 2000;

/// How a peer behaves.
#[derive(Clone, Debug)]
pub(super) struct SimPeer {
    pub(super) chain: Chain,
    pub(super) announced: u32,
    pub(super) latency: Duration,
    /// The handshake's round trip, if it is not the latency.
    pub(super) handshake: Option<Duration>,
    /// Headers per second.
    pub(super) rate: f64,
    /// After how many answers it falls silent.
    pub(super) silent_after: Option<usize>,
    /// After how many answers it disconnects.
    pub(super) leaves_after: Option<usize>,
    /// How long it works on each answer before it sends it.
    pub(super) thinks: Duration,
    /// Whether it sends nothing when nothing follows the locator, as bcoin and mako do.
    pub(super) silent_at_end: bool,
    /// Unless empty, it answers every request with the first headers of these chains in turn.
    pub(super) repeats: Vec<Chain>,
    /// Whether, with each answer, it announces a block that it does not have.
    pub(super) cries_wolf: bool,
    /// Every request with a number that is a multiple of this stays unanswered.
    pub(super) loses_every: Option<usize>,
    /// The times of headers of its chain, in Unix seconds; the times of all other headers are 0.
    pub(super) times: HashMap<BlockHash, u32>,
    /// Headers of its chain that have no proof of work.
    pub(super) bad_work: HashSet<BlockHash>,
    /// Headers of its chain that break a rule about their ancestors.
    pub(super) bad_rule: HashSet<BlockHash>,
}

impl SimPeer {
    pub(super) fn honest(chain: &Chain) -> Self {
        Self {
            chain: chain.clone(),
            announced: u32::try_from(chain.len() - 1).unwrap(),
            latency: Duration::from_millis(50),
            handshake: None,
            rate: 100_000.0,
            silent_after: None,
            leaves_after: None,
            thinks: Duration::ZERO,
            silent_at_end: false,
            repeats: Vec::new(),
            cries_wolf: false,
            loses_every: None,
            times: HashMap::new(),
            bad_work: HashSet::new(),
            bad_rule: HashSet::new(),
        }
    }

    /// Returns the headers after the first known hash, or after genesis if none is known, as Bitcoin Core does; or the
    /// headers that the peer `repeats`. `answers` is the number of this answer.
    pub(super) fn answer(
        &self,
        locator: &[BlockHash],
        stop: &BlockHash,
        answers: usize,
    ) -> Vec<BlockHash> {
        if !self.repeats.is_empty() {
            let chain = &self.repeats[answers % self.repeats.len()];
            return chain[1..chain.len().min(FULL_ANSWER + 1)].to_vec();
        }
        let known = locator.iter().find_map(|hash| self.chain.iter().position(|own| own == hash));
        let from = known.unwrap_or(0) + 1;
        let mut end = self.chain.len().min(from + FULL_ANSWER);
        if let Some(at) = self.chain.iter().position(|hash| hash == stop)
            && at >= from
        {
            end = end.min(at + 1);
        }
        self.chain.get(from..end).unwrap_or_default().to_vec()
    }

    pub(super) fn parent_of(&self, first: &BlockHash) -> BlockHash {
        let mut chains = self.repeats.iter().chain([&self.chain]);
        let at = |chain: &Chain| chain.iter().position(|hash| hash == first);
        chains.find_map(|chain| Some(chain[at(chain)? - 1])).unwrap()
    }
}
