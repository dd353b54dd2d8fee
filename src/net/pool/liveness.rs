//! Whether the peers, the tip and the network are alive.

use super::Pool;
use super::slot::{Lag, Slot};
use super::types::{Action, DisconnectReason, Moment, Place};
use crate::primitives::PeerId;
use std::cmp::Reverse;
use std::time::Duration;

/// The clocks may differ by so many seconds between two polls before the computer is taken to have slept.
const JUMP: u64 = 30;
/// So long without a poll is a sleep too: a stopped process, a machine that was suspended with both clocks running.
const GAP: Duration = Duration::from_secs(60);
/// How long peers have to answer a ping then.
const PROBE: Duration = Duration::from_secs(10);

/// How long a peer's tip may stay behind ours, and how long it has once it was asked.
/// Source: Bitcoin Core `CHAIN_SYNC_TIMEOUT`, `HEADERS_RESPONSE_TIME`.
const LAG: Duration = Duration::from_secs(20 * 60);
const LAG_ASKED: Duration = Duration::from_secs(2 * 60);
/// Peers that had our tip first are not replaced for staying behind later, so that no majority of others can have all
/// of them replaced. Source: Bitcoin Core `MAX_OUTBOUND_PEERS_TO_PROTECT_FROM_DISCONNECT`.
const PROTECTED: usize = 4;

/// How often it is looked whether there is one peer too many, and how long a new one is left alone.
/// Source: Bitcoin Core `EXTRA_PEER_CHECK_INTERVAL`, `MINIMUM_CONNECT_TIME`.
const EXTRA_CHECK: Duration = Duration::from_secs(45);
const MINIMUM_CONNECT: Duration = Duration::from_secs(30);

impl Pool {
    /// Our chain's tip; `time` is its header's, Unix seconds.
    pub fn set_tip(&mut self, tip: Place, time: u64, now: Moment) {
        if (tip, time) != (self.watch.tip, self.watch.time) {
            self.watch.tip = tip;
            self.watch.time = time;
            self.watch.moved = now.since_start;
        }
    }

    /// The chain is complete as far as the peers know: from now on they are compared with it.
    pub fn follow(&mut self, now: Moment) {
        if !self.watch.following {
            self.watch.following = true;
            self.watch.moved = now.since_start;
        }
    }

    /// A peer has shown to have this header, of our chain or of a branch beside it.
    pub fn has_tip(&mut self, id: PeerId, tip: Place, now: Moment) {
        let ours = self.watch.tip;
        let limit = PROTECTED.min(self.settings.wanted / 2);
        let protected = self.slots.values().filter_map(|slot| slot.ready.as_ref());
        let protected = protected.filter(|ready| ready.protected).count();
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(ready) = &mut slot.ready else { return };
        if ready.tip.is_none_or(|before| before.work < tip.work) {
            ready.tip = Some(tip);
            ready.news = now.since_start;
        }
        ready.protected |= tip.work >= ours.work && protected < limit && self.watch.following;
    }

    /// Our address or our route has changed: the connections may be dead without knowing it.
    pub fn network_changed(&mut self, now: Moment) {
        for (id, slot) in &mut self.slots {
            if let Some(ready) = &mut slot.ready {
                ready.probe = Some(now.since_start + PROBE);
                self.actions.push(Action::Ping { id: *id });
            }
        }
        self.named.hurry(now.since_start);
        self.losses.clear();
        self.tried.clear();
        self.reach.reset();
        self.pace.succeeded();
        self.pace.look_again();
        self.searching.hurry(now.since_start);
        self.stir();
    }

    /// Notices that the computer has slept: the wall clock went on while the other stood still.
    pub(super) fn detect_sleep(&mut self, now: Moment) {
        let passed = now.since_start.saturating_sub(self.watch.last.since_start);
        let expected = self.watch.last.unix.saturating_add(passed.as_secs());
        let slept = now.unix.abs_diff(expected) > JUMP || passed > GAP;
        self.watch.last = now;
        if slept {
            self.network_changed(now);
        }
    }

    pub(super) fn check_probes(&mut self, now: Duration) {
        let late = |slot: &Slot| {
            let probe = slot.ready.as_ref().and_then(|ready| ready.probe);
            probe.is_some_and(|deadline| now >= deadline)
        };
        let ids: Vec<PeerId> =
            self.slots.iter().filter(|(_, slot)| late(slot)).map(|(id, _)| *id).collect();
        for id in ids {
            // A named one is dialled anew, like any that was lost.
            if let Some(super::types::DialTarget::Named(at)) =
                self.slots.get(&id).map(|slot| &slot.target)
            {
                self.named.redial(*at, now);
            }
            self.disconnect(id, DisconnectReason::Unresponsive { limit: PROBE });
        }
    }

    /// Source: Bitcoin Core `PeerManagerImpl::ConsiderEviction`.
    pub(super) fn check_lags(&mut self, now: Duration) {
        if !self.watch.following {
            return;
        }
        let ours = self.watch.tip;
        let mut behind = Vec::new();
        for (id, slot) in &mut self.slots {
            let named = slot.is_named();
            let Some(ready) = slot.ready.as_mut().filter(|ready| !named && !ready.protected) else {
                continue;
            };
            let has = |wanted: Place| ready.tip.is_some_and(|tip| tip.work >= wanted.work);
            if has(ours) {
                ready.lag = None;
                continue;
            }
            let lag = ready.lag.filter(|lag| !has(lag.measured));
            let mut lag = lag.unwrap_or(Lag { measured: ours, deadline: now + LAG, asked: false });
            if now >= lag.deadline && lag.asked {
                let height = ready.tip.map(|tip| tip.height);
                behind.push((*id, DisconnectReason::Lagging { height, ours: lag.measured.height }));
            } else if now >= lag.deadline {
                lag.asked = true;
                lag.deadline = now + LAG_ASKED;
                self.actions.push(Action::AskTip { id: *id });
            }
            ready.lag = Some(lag);
        }
        behind.into_iter().for_each(|(id, reason)| self.disconnect(id, reason));
    }

    /// Seeks one more peer while the tip is stale, and parts with the least useful one afterwards.
    /// Source: Bitcoin Core `PeerManagerImpl::CheckForStaleTipAndEvictPeers`.
    pub(super) fn check_extra(&mut self, now: Duration) {
        if !self.watch.following || now < self.watch.next_extra_check {
            return;
        }
        self.watch.next_extra_check = now + EXTRA_CHECK;
        let stale = self.watch.stale_after.is_some_and(|limit| now >= self.watch.moved + limit);
        self.watch.extra = stale;
        let connected = self.slots.values().filter_map(|slot| slot.ready.as_ref());
        let newest = connected.map(|ready| ready.since).max().unwrap_or_default();
        if self.connected_count() > self.wanted() && now >= newest + MINIMUM_CONNECT {
            self.evict_least_useful();
        }
    }

    /// Parts with the found peer that brought news least recently, of several with the youngest.
    pub(super) fn evict_least_useful(&mut self) {
        let found = self.slots.iter().filter(|(_, slot)| slot.is_peer() && !slot.is_named());
        let ready = found.filter_map(|(id, slot)| Some((*id, slot.ready.as_ref()?)));
        let open = ready.filter(|(_, ready)| !ready.protected);
        let least = open.min_by_key(|(_, ready)| (ready.news, Reverse(ready.since)));
        if let Some((id, _)) = least {
            self.disconnect(id, DisconnectReason::LeastUseful);
        }
    }
}
