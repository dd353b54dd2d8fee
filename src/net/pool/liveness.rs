//! Checks whether the peers, the tip and the network are alive.

use super::Pool;
use super::connection::{ConnectedPeer, Connection, Lag};
use super::types::{Action, BestHeader, DisconnectReason};
use crate::primitives::{Moment, PeerId};
use std::cmp::Reverse;
use std::time::Duration;

/// Seconds. If the clocks of [`Moment`] drift apart by more than this between two polls, the pool assumes a sleep.
const MAX_CLOCK_DRIFT: u64 = 30;
/// The pool also assumes a sleep if two polls are further apart than this: the process was stopped, or the computer was
/// suspended with both clocks running.
const MAX_POLL_GAP: Duration = Duration::from_secs(60);
/// How long peers have to answer a ping after a sleep or a change of the network.
const PING_DEADLINE: Duration = Duration::from_secs(10);

/// How long a peer's tip may stay behind ours, and how long the peer has to answer when it is asked for our tip.
/// Source: Bitcoin Core `CHAIN_SYNC_TIMEOUT`, `HEADERS_RESPONSE_TIME`.
const LAG_LIMIT: Duration = Duration::from_secs(20 * 60);
const LAG_ANSWER_DEADLINE: Duration = Duration::from_secs(2 * 60);
/// At most this many of the first peers that had our tip may stay behind later, so that a majority of the peers cannot
/// cause the replacement of all others. Source: Bitcoin Core `MAX_OUTBOUND_PEERS_TO_PROTECT_FROM_DISCONNECT`.
const MAX_PROTECTED: usize = 4;

/// How often the pool checks whether there is one peer too many, and for how long after a new connection it evicts
/// none. Source: Bitcoin Core `EXTRA_PEER_CHECK_INTERVAL`, `MINIMUM_CONNECT_TIME`.
const EXTRA_CHECK_INTERVAL: Duration = Duration::from_secs(45);
const MINIMUM_CONNECT_TIME: Duration = Duration::from_secs(30);

impl Pool {
    /// Sets our chain's tip. `time` is the time in the tip's header, in Unix seconds.
    pub fn set_tip(&mut self, tip: BestHeader, time: u64, now: Moment) {
        if (tip, time) != (self.tip_monitor.tip, self.tip_monitor.tip_time) {
            self.tip_monitor.tip = tip;
            self.tip_monitor.tip_time = time;
            self.tip_monitor.tip_changed = now.since_start;
        }
    }

    /// Starts to compare the peers' tips with ours, once our chain is complete as far as the peers know.
    pub fn follow(&mut self, now: Moment) {
        if !self.tip_monitor.following {
            self.tip_monitor.following = true;
            self.tip_monitor.tip_changed = now.since_start;
        }
    }

    /// Records that a peer has this header, which is on our chain or on a branch.
    pub fn record_tip(&mut self, id: PeerId, tip: BestHeader, now: Moment) {
        let ours = self.tip_monitor.tip;
        let limit = MAX_PROTECTED.min(self.settings.wanted / 2);
        let protected = self.connected_peers().filter(|peer| peer.protected).count();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(peer) = &mut connection.peer else { return };
        if peer.tip.is_none_or(|before| before.chainwork < tip.chainwork) {
            peer.tip = Some(tip);
            peer.last_news = now.since_start;
        }
        let has_ours = tip.chainwork >= ours.chainwork;
        peer.protected |= has_ours && protected < limit && self.tip_monitor.following;
    }

    /// Returns what is known of each peer whose handshake is complete.
    fn connected_peers(&self) -> impl Iterator<Item = &ConnectedPeer> {
        self.connections.values().filter_map(|connection| connection.peer.as_ref())
    }

    /// Pings all peers and forgets old failures: our address or our route may have changed, and connections may be dead
    /// without a sign of it.
    pub fn network_changed(&mut self, now: Moment) {
        for (id, connection) in &mut self.connections {
            if let Some(peer) = &mut connection.peer {
                peer.ping_deadline = Some(now.since_start + PING_DEADLINE);
                self.actions.push(Action::Ping { id: *id });
            }
        }
        self.named.retry_now(now.since_start);
        self.dial_history.on_network_changed();
        self.pace.succeeded();
        self.pace.look_again();
        self.address_search.retry_now(now.since_start);
        self.wake();
    }

    /// Assumes that the computer has slept if the wall clock went on while the monotonic clock stood still, or if the
    /// last poll was long ago. A wall clock that was set counts as a sleep too.
    pub(super) fn detect_sleep(&mut self, now: Moment) {
        let last = self.tip_monitor.last_poll;
        let passed = now.since_start.saturating_sub(last.since_start);
        let expected = last.unix.saturating_add(passed.as_secs());
        let slept = now.unix.abs_diff(expected) > MAX_CLOCK_DRIFT || passed > MAX_POLL_GAP;
        self.tip_monitor.last_poll = now;
        if slept {
            self.network_changed(now);
        }
    }

    /// Disconnects peers that have sent nothing in time after the ping that follows a sleep or a change of the network.
    pub(super) fn check_pings(&mut self, now: Duration) {
        let late = |connection: &Connection| {
            let deadline = connection.peer.as_ref().and_then(|peer| peer.ping_deadline);
            deadline.is_some_and(|deadline| now >= deadline)
        };
        for id in self.connections_where(late) {
            let named = self.connections.get(&id).and_then(Connection::named);
            self.disconnect(id, DisconnectReason::Unresponsive { limit: PING_DEADLINE });
            // A named peer is dialled again at once.
            if let Some(index) = named {
                self.named.redial(index, now);
            }
        }
    }

    /// Disconnects unprotected peers, except named ones, whose tip stays behind ours.
    /// Source: Bitcoin Core `PeerManagerImpl::ConsiderEviction`.
    pub(super) fn check_lags(&mut self, now: Duration) {
        if !self.tip_monitor.following {
            return;
        }
        let ours = self.tip_monitor.tip;
        let mut behind = Vec::new();
        for (id, connection) in &mut self.connections {
            let named = connection.is_named();
            let peer = connection.peer.as_mut().filter(|peer| !named && !peer.protected);
            let Some(peer) = peer else { continue };
            let has =
                |tip: BestHeader| peer.tip.is_some_and(|best| best.chainwork >= tip.chainwork);
            if has(ours) {
                peer.lag = None;
                continue;
            }
            let lag = peer.lag.filter(|lag| !has(lag.measured));
            let new = Lag { measured: ours, deadline: now + LAG_LIMIT, asked: false };
            let mut lag = lag.unwrap_or(new);
            if now >= lag.deadline && lag.asked {
                let height = peer.tip.map(|tip| tip.height);
                behind.push((*id, DisconnectReason::Lagging { height, ours: lag.measured.height }));
            } else if now >= lag.deadline {
                lag.asked = true;
                lag.deadline = now + LAG_ANSWER_DEADLINE;
                self.actions.push(Action::AskTip { id: *id });
            }
            peer.lag = Some(lag);
        }
        behind.into_iter().for_each(|(id, reason)| self.disconnect(id, reason));
    }

    /// Calls for one extra peer while the tip is stale, and disconnects the least useful peer afterwards.
    /// Source: Bitcoin Core `PeerManagerImpl::CheckForStaleTipAndEvictPeers`.
    pub(super) fn check_extra_peer(&mut self, now: Duration) {
        if !self.tip_monitor.following || now < self.tip_monitor.next_extra_check {
            return;
        }
        self.tip_monitor.next_extra_check = now + EXTRA_CHECK_INTERVAL;
        let changed = self.tip_monitor.tip_changed;
        let stale = self.tip_monitor.stale_after.is_some_and(|limit| now >= changed + limit);
        self.tip_monitor.wants_extra_peer = stale;
        let newest = self.connected_peers().map(|peer| peer.since).max().unwrap_or_default();
        if self.connected_count() > self.wanted() && now >= newest + MINIMUM_CONNECT_TIME {
            self.evict_least_useful();
        }
    }

    /// Disconnects the unprotected found peer that has gone longest without showing a better tip. If that is so for
    /// several peers, disconnects the one that connected last.
    pub(super) fn evict_least_useful(&mut self) {
        let found = self.connections.iter().filter(|(_, it)| it.is_peer() && !it.is_named());
        let found = found.filter_map(|(id, connection)| Some((*id, connection.peer.as_ref()?)));
        let unprotected = found.filter(|(_, peer)| !peer.protected);
        let least = unprotected.min_by_key(|(_, peer)| (peer.last_news, Reverse(peer.since)));
        if let Some((id, _)) = least {
            self.disconnect(id, DisconnectReason::LeastUseful);
        }
    }
}
