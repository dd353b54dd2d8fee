//! Decides when a sync ends, when it may report that it has caught up, and what contradicts that.

use super::block_rate::BlockRate;
use super::header_sync::HeaderSync;
use super::input::{PeerSupply, StoredChain};
use super::{Contradiction, DropReason, SlowBlocks, Stopped, SyncEvent};
use crate::primitives::{Moment, PeerId};
use std::time::Duration;

/// A tip at most this old (in seconds) is taken as complete: an attacker who hides the rest would have to mine a fresh
/// tip.
const FRESH_TIP: u64 = 24 * 60 * 60;

/// How many peers have to confirm a chain that looks complete.
const MIN_CONFIRMATIONS: usize = 2;

/// At the tip, each peer is asked again this often: announcements get lost, and headers that were too new become valid.
pub(super) const REQUEST_INTERVAL: Duration = Duration::from_secs(60);

/// While the chain is followed, slow blocks are reported only if they stay slow for this time, so that a computer that
/// has slept can first ask its peers for the missing blocks.
const SLOW_FOR: Duration = Duration::from_secs(10 * 60);

/// Slow blocks are reported again after this time.
const SLOW_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known once there is nothing left to request.
#[derive(Clone, Debug)]
struct Evidence {
    /// Height of the stored tip.
    height: u32,
    /// Seconds from the tip's time to our clock, 0 if the tip is ahead; `None` if it could not be read.
    tip_age: Option<u64>,
    /// Whether blocks come too slowly, and since when.
    slow_blocks: Option<SlowBlocks>,
    /// The connected peers that announced a height above the tip, and this height. A peer is left out if it has sent a
    /// header that is too new.
    announced: Vec<(PeerId, u32)>,
    /// Height of the last shipped hint; `None` without hints, or once they were contradicted or given up.
    last_hint: Option<u32>,
    /// The height to stop at, if any.
    stop_height: Option<u32>,
    /// Whether the network's whole chain is wanted. Otherwise a chain with less work will do.
    whole_chain: bool,
    /// Whether the network's blocks are mined at regular intervals, as on every network but regtest.
    regular_blocks: bool,
    /// How many peers answered that nothing follows our tip.
    confirmations: usize,
    /// How many peers are wanted.
    wanted_peers: usize,
    /// Whether another peer is likely to connect soon.
    expects_more_peers: bool,
}

impl Evidence {
    /// Returns whether enough peers have confirmed that nothing follows our tip, or no more peers are to be expected.
    ///
    /// # Security
    /// The first peers to connect are the nearest ones, or attackers that want to be first. While their chain looks
    /// incomplete, half of all wanted peers must confirm it.
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
        let complete = self.announced.is_empty() && self.missing_hint().is_none();
        complete && fresh && self.slow_blocks.is_none()
    }

    fn missing_hint(&self) -> Option<u32> {
        self.last_hint.filter(|hint| *hint > self.height)
    }

    /// Returns the facts that contradict that the chain is complete.
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
        // An old tip implies slow blocks, so only the old tip is reported.
        let slow = self.slow_blocks.filter(|_| expects_fresh && age.is_none());
        let slow = slow.map(Contradiction::SlowBlocks);
        [stop, undelivered, hint, age, slow].into_iter().flatten().collect()
    }
}

impl HeaderSync {
    /// Returns why the sync ends, if it does.
    pub(super) fn check_end(&mut self, now: Moment, chain: &dyn StoredChain) -> Option<Stopped> {
        if self.supply == PeerSupply::Exhausted && !self.is_working() {
            return Some(self.end_reason(Stopped::NoPeers));
        }
        // A sync that has caught up waits for new blocks without a limit.
        let limit = self.settings.timeout.filter(|_| !self.completion.caught_up);
        if limit.is_some_and(|limit| self.idle_for(now.since_start) >= limit) {
            return Some(self.end_reason(Stopped::Timeout));
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

    /// Reports once that the sync has caught up, or that the chain has too little work. Asks all peers again every
    /// [`REQUEST_INTERVAL`].
    fn check_following(&mut self, now: Moment, chain: &dyn StoredChain) {
        if !self.completion.caught_up && !self.is_stopped_by_clock() {
            if self.tip.chainwork >= self.settings.min_chain_work {
                self.completion.caught_up = true;
                self.report_contradictions(now, chain);
                self.report(SyncEvent::CaughtUp);
            } else if !self.completion.low_work_reported {
                self.completion.low_work_reported = true;
                let rejected = self.stats.best_rejected.as_ref();
                let more = rejected.filter(|end| end.chainwork > self.tip.chainwork);
                let height = more.map_or(self.tip.height, |end| end.height);
                self.report(SyncEvent::LowWork { height });
            }
        }
        if self.completion.caught_up {
            self.check_block_rate(now, chain);
        }
        if now.since_start.saturating_sub(self.completion.last_request) >= REQUEST_INTERVAL {
            self.request_all_again(now);
        }
    }

    /// Reports slow blocks while the chain is followed.
    fn check_block_rate(&mut self, now: Moment, chain: &dyn StoredChain) {
        let Some(slow) = self.slow_blocks(now, chain) else {
            self.completion.slow_since = None;
            return;
        };
        let (now, completion) = (now.since_start, &mut self.completion);
        let since = *completion.slow_since.get_or_insert(now);
        let passed = |from: Duration, limit: Duration| now.saturating_sub(from) >= limit;
        let is_due = completion.slow_reported.is_none_or(|last| passed(last, SLOW_AGAIN));
        if is_due && passed(since, SLOW_FOR) {
            completion.slow_reported = Some(now);
            self.report(SyncEvent::Contradiction(Contradiction::SlowBlocks(slow)));
        }
    }

    /// Returns since when blocks come too slowly; `None` if they do not, if the hash rate is not steady enough to tell,
    /// or if only a part of the chain is wanted.
    fn slow_blocks(&mut self, now: Moment, chain: &dyn StoredChain) -> Option<SlowBlocks> {
        if !self.settings.steady_hash_rate || !self.settings.whole_chain {
            return None;
        }
        let known = self.completion.block_rate.take().filter(|rate| rate.is_of(&self.tip));
        let rate = known.unwrap_or_else(|| BlockRate::read(&self.tip, chain));
        self.completion.block_rate.insert(rate).judge(now.unix)
    }

    /// Asks every peer again for what follows the tip.
    pub(super) fn request_all_again(&mut self, now: Moment) {
        self.completion.last_request = now.since_start;
        self.download.request_all_again();
    }

    /// If only genesis is stored, drops the peers that announced a height and have sent no header, and returns whether
    /// there were any. The sync would otherwise end with their answer that nothing follows genesis.
    fn drop_peers_without_headers(&mut self) -> bool {
        if self.tip.height > 0 {
            return false;
        }
        let has_sent_headers =
            |peer: &PeerId| self.peers.get(peer).is_some_and(|peer| peer.sent_headers);
        let announced = self.download.announced_heights();
        let without: Vec<_> =
            announced.filter(|(peer, height)| *height > 0 && !has_sent_headers(peer)).collect();
        for (peer, height) in &without {
            self.drop_peer(*peer, DropReason::SendsNoHeaders { height: *height });
        }
        !without.is_empty()
    }

    /// Returns why a sync that makes no progress ends: `stopped`, unless our clock or the lack of peers is the cause.
    fn end_reason(&self, stopped: Stopped) -> Stopped {
        if self.is_stopped_by_clock() {
            Stopped::Clock
        } else if self.had_peers {
            stopped
        } else {
            // No peer ever connected, however long the sync waited.
            Stopped::NoPeers
        }
    }

    fn report_contradictions(&mut self, now: Moment, chain: &dyn StoredChain) {
        let too_new = self.too_new.map(Contradiction::TooNewForFew);
        let contradictions = self.evidence(now, chain).contradictions();
        // A report of an old tip counts as a report of slow blocks, so that no second one follows soon.
        let slow = self.completion.block_rate.as_ref().and_then(|rate| rate.judge(now.unix));
        self.completion.slow_reported = slow.map(|_| now.since_start);
        for contradiction in too_new.into_iter().chain(contradictions) {
            self.report(SyncEvent::Contradiction(contradiction));
        }
    }

    fn evidence(&mut self, now: Moment, chain: &dyn StoredChain) -> Evidence {
        let slow_blocks = self.slow_blocks(now, chain);
        let (settings, height) = (&self.settings, self.tip.height);
        // A peer that sent a header which is too new has delivered what it announced.
        let is_too_new =
            |peer: &PeerId| self.peers.get(peer).is_some_and(|peer| peer.too_new_at.is_some());
        let more = self.download.announced_heights();
        let more = more.filter(|(peer, announced)| *announced > height && !is_too_new(peer));
        let tip = chain.times_and_bits(height, 1);
        let tip_age = tip.first().map(|tip| now.unix.saturating_sub(u64::from(tip.time)));
        let last_hint = settings.hints.points().last().filter(|_| self.hints.hold);
        Evidence {
            height,
            tip_age,
            slow_blocks,
            announced: more.collect(),
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

    /// Returns the evidence for a complete chain of height 1,000.
    fn complete() -> Evidence {
        Evidence {
            height: 1_000,
            tip_age: Some(600),
            slow_blocks: None,
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
    fn two_peers_confirm_a_complete_looking_chain_and_half_of_the_wanted_peers_an_incomplete_one() {
        assert!(complete().is_complete());
        assert!(!Evidence { confirmations: 1, ..complete() }.is_complete());
        assert!(
            Evidence { confirmations: 0, expects_more_peers: false, ..complete() }.is_complete()
        );
        for incomplete in [
            Evidence { tip_age: Some(FRESH_TIP + 1), ..complete() },
            Evidence { tip_age: None, ..complete() },
            Evidence { last_hint: Some(1_001), ..complete() },
            Evidence { announced: vec![(PeerId(7), 1_001)], ..complete() },
        ] {
            assert!(!Evidence { confirmations: 3, ..incomplete.clone() }.is_complete());
            assert!(Evidence { confirmations: 4, ..incomplete }.is_complete());
        }
    }

    #[test]
    fn a_complete_chain_has_no_contradictions() {
        assert_eq!(complete().contradictions(), []);
        let reached = Evidence { stop_height: Some(1_000), last_hint: Some(1_000), ..complete() };
        assert_eq!(reached.contradictions(), []);
    }

    #[test]
    fn several_contradictions_of_one_chain_are_all_reported() {
        let announced = vec![(PeerId(7), 3_000), (PeerId(8), 20_000)];
        let far = Evidence {
            stop_height: Some(9_000),
            last_hint: Some(2_016),
            tip_age: Some(273_600),
            announced: announced.clone(),
            ..complete()
        };
        let height = 1_000;
        let expected = [
            Contradiction::StopHeightNotReached { height, stop: 9_000 },
            Contradiction::Undelivered { announced, height },
            Contradiction::MissingHint { height, hint: 2_016 },
            Contradiction::OldTip { height, age: 273_600 },
        ];
        assert_eq!(far.contradictions(), expected);
        // A part of the chain need not reach the last hint, and its tip may be old.
        let part = Evidence { whole_chain: false, ..far.clone() };
        assert_eq!(part.contradictions(), expected[..2]);
        let regtest = Evidence { regular_blocks: false, ..far };
        assert_eq!(regtest.contradictions(), expected[..3]);
    }
}
