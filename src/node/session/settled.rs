//! Whether enough peers were heard to say that the chain is complete.

use super::Session;
use crate::node::report::Stopped;
use crate::store::HeaderStore;
use tokio::task::block_in_place;
use tracing::warn;

/// A tip no older than this (seconds) is what a chain that is complete has: withholding the rest of one would take work.
const FRESH: u64 = 24 * 60 * 60;

/// So many opinions are enough then.
const TWO: usize = 2;

impl<S: HeaderStore + 'static> Session<S> {
    /// Whether enough peers have said that there is nothing more, or no others will be heard soon.
    ///
    /// # Security
    /// The first peers to be connected are the ones that are near, or wish to be the first. Where the chain that they
    /// show may well be incomplete, half of all that are wanted have to be heard.
    pub(super) fn is_settled(&self) -> bool {
        let wanted = self.options.peers.max(self.options.add_peers.len());
        let named = self.options.connect.len();
        let half = if named > 0 { named } else { wanted }.div_ceil(2);
        let needed = if self.is_likely_complete() { TWO } else { half.max(TWO) };
        self.engine.opinions() >= needed || !self.expects_peers()
    }

    /// What a sync ends with that does not get any further, though no more than `stopped` shows.
    pub(super) fn blame_for(&mut self, stopped: Stopped) -> Stopped {
        if self.is_stopped_by_clock() {
            Stopped::Clock
        } else if self.peers.ever_connected() == 0 {
            // Not a word came: however long was waited for it.
            Stopped::NoPeers
        } else {
            stopped
        }
    }

    fn is_likely_complete(&self) -> bool {
        let height = self.tip.height;
        let claimed = self.announced.values().any(|announced| *announced > height);
        !claimed && self.missing_hint().is_none() && self.is_fresh()
    }

    fn is_fresh(&self) -> bool {
        let header = block_in_place(|| self.store.headers(self.tip.height, 1));
        let time = header.ok().and_then(|headers| Some(headers.first()?.time));
        time.is_some_and(|time| self.options.clock.unix_secs() <= u64::from(time) + FRESH)
    }

    /// Height of the last hint, if the chain ends below it.
    fn missing_hint(&self) -> Option<u32> {
        let last = self.options.hints.points().last().filter(|_| self.hints_hold)?;
        (last.height > self.tip.height).then_some(last.height)
    }

    /// Says that the chain must go on somewhere. Whoever is content with less work than the network's chain is known to
    /// have does not expect it to.
    pub(super) fn tell_short(&self) {
        if let Some(header) = self.too_new {
            warn!("{header}: most peers do not have it");
        }
        if self.options.min_chain_work < self.options.params.min_chain_work() {
            return;
        }
        if let Some(hint) = self.missing_hint() {
            warn!(
                "no peer has more than height {}, though the hints go up to {hint}: the chain is longer",
                self.tip.height
            );
        }
    }
}
