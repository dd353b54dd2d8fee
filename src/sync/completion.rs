//! Decides when a sync ends, when it may report that it has caught up, and what contradicts that.

use super::header_sync::HeaderSync;
use super::input::{Moment, PeerSupply, StoredChain};
use super::{Contradiction, DropReason, Stopped, SyncEvent};
use crate::primitives::PeerId;
use std::time::Duration;

/// A tip at most this old (in seconds) is taken as complete: an attacker who hides the rest would have to mine a fresh
/// tip.
const FRESH_TIP: u64 = 24 * 60 * 60;

/// Peers that have to confirm a chain that looks complete.
const MIN_CONFIRMATIONS: usize = 2;

/// At the tip every peer is asked again this often: announcements can get lost, and headers that were too
/// early become valid.
pub(super) const REQUEST_INTERVAL: Duration = Duration::from_secs(60);

/// What is known once nothing is left to ask for.
#[derive(Clone, Debug)]
struct Evidence {
    /// Height of the stored tip.
    height: u32,
    /// Seconds from the tip's time to our clock, 0 if the tip is ahead; `None` if it could not be read.
    tip_age: Option<u64>,
    /// The connected peers that announced a greater height, and which.
    announced: Vec<(PeerId, u32)>,
    /// Height of the last hint, while hints are on.
    last_hint: Option<u32>,
    /// The height to stop at.
    stop_height: Option<u32>,
    /// Whether the network's whole chain is wanted, as opposed to any chain with less work.
    whole_chain: bool,
    /// Whether the network's blocks come at regular intervals; on regtest they come when somebody wants one.
    regular_blocks: bool,
    /// Peers that answered that nothing follows our tip.
    confirmations: usize,
    /// How many peers are wanted.
    wanted_peers: usize,
    /// Whether further peers are being dialled or looked for.
    expects_more_peers: bool,
}

impl Evidence {
    /// Returns whether enough peers have confirmed that nothing follows our tip, or no others will be heard soon.
    ///
    /// # Security
    /// The first peers to connect are the nearest ones, or those that want to be first. While the chain that they show
    /// looks incomplete, half of all wanted peers must confirm it.
    fn is_complete(&self) -> bool {
        let needed = if self.looks_complete() {
            MIN_CONFIRMATIONS
        } else {
            self.wanted_peers.div_ceil(2).max(MIN_CONFIRMATIONS)
        };
        self.confirmations >= needed || !self.expects_more_peers
    }

    fn looks_complete(&self) -> bool {
        let fresh = self.tip_age.is_some_and(|age| age <= FRESH_TIP);
        self.announced.is_empty() && self.missing_hint().is_none() && fresh
    }

    fn missing_hint(&self) -> Option<u32> {
        self.last_hint.filter(|hint| *hint > self.height)
    }

    /// Returns what does not fit a chain that is complete.
    fn contradictions(&self) -> Vec<Contradiction> {
        let height = self.height;
        let stop = self.stop_height.filter(|stop| *stop > height);
        let stop = stop.map(|stop| Contradiction::StopHeightNotReached { height, stop });
        let announced = self.announced.clone();
        let undelivered =
            (!announced.is_empty()).then_some(Contradiction::Undelivered { announced, height });
        let hint = self.missing_hint().filter(|_| self.whole_chain);
        let hint = hint.map(|hint| Contradiction::MissingHint { height, hint });
        let expects_fresh = self.whole_chain && self.regular_blocks;
        let age = self.tip_age.filter(|age| expects_fresh && *age > FRESH_TIP);
        let age = age.map(|age| Contradiction::OldTip { height, age });
        [stop, undelivered, hint, age].into_iter().flatten().collect()
    }
}

impl HeaderSync {
    /// Returns why the sync ends, if it does.
    pub(super) fn check_end(&mut self, now: Moment, chain: &dyn StoredChain) -> Option<Stopped> {
        if self.supply == PeerSupply::Exhausted && !self.is_working() {
            return Some(self.blame_for(Stopped::NoPeers));
        }
        // At the tip, waiting is the job.
        let limit = self.settings.timeout.filter(|_| !self.completion.caught_up);
        if limit.is_some_and(|limit| self.idle_for(now.since_start) >= limit) {
            return Some(self.blame_for(Stopped::Timeout));
        }
        if !self.download.is_caught_up(now.since_start) {
            return None;
        }
        let complete = self.completion.caught_up || self.evidence(now, chain).is_complete();
        if !complete || self.drop_peers_without_headers() {
            return None;
        }
        self.check_hints(chain);
        if self.settings.follow {
            self.check_following(now, chain);
            return None;
        }
        Some(if self.is_stopped_by_clock() {
            Stopped::Clock
        } else if self.tip.chainwork < self.settings.min_chain_work {
            Stopped::LowWork
        } else {
            self.report_contradictions(now, chain);
            Stopped::CaughtUp
        })
    }

    /// Nothing is left to ask for: begins to follow the chain, or asks all peers again after a while.
    fn check_following(&mut self, now: Moment, chain: &dyn StoredChain) {
        if !self.completion.caught_up && !self.is_stopped_by_clock() {
            if self.tip.chainwork >= self.settings.min_chain_work {
                self.completion.caught_up = true;
                self.report_contradictions(now, chain);
                self.report(SyncEvent::CaughtUp);
            } else if !self.completion.low_work_reported {
                self.completion.low_work_reported = true;
                let rejected = self.tally.best_rejected.as_ref();
                let more = rejected.filter(|end| end.work > self.tip.chainwork);
                let height = more.map_or(self.tip.height, |end| end.height);
                self.report(SyncEvent::LowWork { height });
            }
        }
        if now.since_start.saturating_sub(self.completion.last_request) >= REQUEST_INTERVAL {
            self.request_all_again(now);
        }
    }

    /// Asks every peer again for what follows the tip.
    pub(super) fn request_all_again(&mut self, now: Moment) {
        self.completion.last_request = now.since_start;
        self.download.request_all_again();
    }

    /// While nothing is stored: drops the peers that announced a height and have sent no header, so that nobody takes
    /// their answer, that nothing follows genesis, for the end of the chain. Returns whether there were any.
    fn drop_peers_without_headers(&mut self) -> bool {
        if self.tip.height > 0 {
            return false;
        }
        let without =
            self.peers.iter().filter(|(_, peer)| peer.announced > 0 && !peer.sent_headers);
        let without: Vec<_> = without.map(|(id, peer)| (*id, peer.announced)).collect();
        for (peer, height) in &without {
            self.drop_peer(*peer, DropReason::SendsNoHeaders { height: *height });
        }
        !without.is_empty()
    }

    /// What a sync ends with that gets no further, where `stopped` alone would hide the cause.
    fn blame_for(&self, stopped: Stopped) -> Stopped {
        if self.is_stopped_by_clock() {
            Stopped::Clock
        } else if self.had_peers {
            stopped
        } else {
            // No peer ever answered, however long the sync waited.
            Stopped::NoPeers
        }
    }

    fn report_contradictions(&mut self, now: Moment, chain: &dyn StoredChain) {
        let too_new = self.too_new.map(Contradiction::TooNewForFew);
        let contradictions = self.evidence(now, chain).contradictions();
        for contradiction in too_new.into_iter().chain(contradictions) {
            self.report(SyncEvent::Contradiction(contradiction));
        }
    }

    fn evidence(&self, now: Moment, chain: &dyn StoredChain) -> Evidence {
        let (settings, height) = (&self.settings, self.tip.height);
        // What is only too new was delivered.
        let more = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.announced > height && peer.too_new_at.is_none());
        let tip_age = chain.time_at(height).map(|time| now.unix.saturating_sub(u64::from(time)));
        let last_hint = settings.hints.points().last().filter(|_| self.hints.hold);
        Evidence {
            height,
            tip_age,
            announced: more.map(|(id, peer)| (*id, peer.announced)).collect(),
            last_hint: last_hint.map(|point| point.height),
            stop_height: settings.stop_height,
            whole_chain: settings.whole_chain,
            regular_blocks: settings.regular_blocks,
            confirmations: self.download.confirmations(),
            wanted_peers: settings.wanted_peers,
            expects_more_peers: self.supply == PeerSupply::MoreExpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Contradiction, Evidence, FRESH_TIP};
    use crate::primitives::PeerId;

    /// A chain of 1,000 that nothing contradicts.
    fn fine() -> Evidence {
        Evidence {
            height: 1_000,
            tip_age: Some(600),
            announced: Vec::new(),
            last_hint: Some(900),
            stop_height: None,
            whole_chain: true,
            regular_blocks: true,
            confirmations: 2,
            wanted_peers: 8,
            expects_more_peers: true,
        }
    }

    #[test]
    fn two_peers_confirm_a_chain_that_looks_complete_and_half_of_all_any_other() {
        assert!(fine().is_complete());
        assert!(!Evidence { confirmations: 1, ..fine() }.is_complete());
        assert!(Evidence { confirmations: 0, expects_more_peers: false, ..fine() }.is_complete());
        for incomplete in [
            Evidence { tip_age: Some(FRESH_TIP + 1), ..fine() },
            Evidence { tip_age: None, ..fine() },
            Evidence { last_hint: Some(1_001), ..fine() },
            Evidence { announced: vec![(PeerId(7), 1_001)], ..fine() },
        ] {
            assert!(!Evidence { confirmations: 3, ..incomplete.clone() }.is_complete());
            assert!(Evidence { confirmations: 4, ..incomplete }.is_complete());
        }
    }

    #[test]
    fn nothing_contradicts_a_chain_that_is_complete() {
        assert_eq!(fine().contradictions(), []);
        let reached = Evidence { stop_height: Some(1_000), last_hint: Some(1_000), ..fine() };
        assert_eq!(reached.contradictions(), []);
    }

    #[test]
    fn whatever_a_complete_chain_would_not_have_is_a_contradiction() {
        let announced = vec![(PeerId(7), 3_000), (PeerId(8), 20_000)];
        let far = Evidence {
            stop_height: Some(9_000),
            last_hint: Some(2_016),
            tip_age: Some(273_600),
            announced: announced.clone(),
            ..fine()
        };
        let height = 1_000;
        let expected = [
            Contradiction::StopHeightNotReached { height, stop: 9_000 },
            Contradiction::Undelivered { announced, height },
            Contradiction::MissingHint { height, hint: 2_016 },
            Contradiction::OldTip { height, age: 273_600 },
        ];
        assert_eq!(far.contradictions(), expected);
        // Whoever is content with less work than the network's does not expect the chain to go on.
        let part = Evidence { whole_chain: false, ..far.clone() };
        assert_eq!(part.contradictions(), expected[..2]);
        let regtest = Evidence { regular_blocks: false, ..far };
        assert_eq!(regtest.contradictions(), expected[..3]);
    }
}
