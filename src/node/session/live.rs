//! What a running sync tells those who watch it.

use super::Session;
use crate::chain::ChainTip;
use crate::format::count;
use crate::net::pool::PeerStatus;
use crate::node::report::Stopped;
use crate::primitives::BlockHash;
use crate::query::Phase;
use crate::store::HeaderStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::block_in_place;
use tracing::{info, warn};

/// What happens while a sync runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The sync has come further. Of several, only the last is given.
    Progress {
        /// Height of the stored tip.
        height: u32,
        /// The height that the chain is expected to have, by what peers announce, or by hints.
        estimated_height: u32,
        /// How many peers are connected.
        peers: usize,
    },
    /// The stored chain is complete as far as the peers know. It comes once.
    CaughtUp {
        /// Height of the tip.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
    },
    /// The chain has a new tip: after [`Event::CaughtUp`], one for each new header.
    Tip {
        /// Height of the header.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
        /// Where more than a hundred came at once: the first of them, of which this one is the last.
        from: Option<u32>,
    },
    /// A branch with more work took over.
    Reorganisation {
        /// Height of the old tip.
        old_height: u32,
        /// Hash of the old tip.
        old_hash: BlockHash,
        /// Height of the new tip.
        height: u32,
        /// Hash of the new tip.
        hash: BlockHash,
        /// How many headers of the old branch are no longer on the chain.
        depth: u32,
    },
    /// Something that the user should know, in words: a clock that differs, no peers, hints that do not fit.
    Warning(String),
    /// The sync has ended. Nothing follows.
    Stopped(Stopped),
    /// The sync could not go on, for this reason; [`Client::shutdown`](crate::Client::shutdown) gives the error itself.
    /// Nothing follows.
    Failed(String),
}

/// How many new headers are told one by one when they come at once: more are a gap that is caught up with.
const MOST_TOLD: u32 = 100;

/// A running sync at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// What it is doing.
    pub phase: Phase,
    /// Height of the stored tip.
    pub height: u32,
    /// Hash of the stored tip.
    pub hash: BlockHash,
    /// How far a branch is checked that is not kept yet, while one is.
    pub presync_height: Option<u32>,
    /// The height that the chain is expected to have: by what peers announce, or hints.
    pub estimated_height: u32,
    /// Peers that are connected.
    pub peers: usize,
    /// Who they are, at most a second ago.
    pub connections: Arc<Vec<PeerStatus>>,
    /// Bytes received from all peers.
    pub bytes_received: u64,
    /// The peer that has owed an answer for longest while nothing comes from anybody, and for how many seconds.
    pub waiting_for: Option<(String, u64)>,
}

/// While nothing has come for so long, whose answer is missing is shown.
const WORTH_SHOWING: Duration = Duration::from_secs(3);

impl<S: HeaderStore + 'static> Session<S> {
    /// Tells those who watch, if there is anything new.
    pub(super) fn publish(&mut self) {
        let connections = self.peer_status();
        let phase = if self.caught_up {
            Phase::Following
        } else if self.peers.connected_count() == 0 {
            Phase::Connecting
        } else if self.presync_height.is_some() {
            Phase::Presync
        } else {
            Phase::Downloading
        };
        let live = Live {
            phase,
            height: self.tip.height,
            hash: self.tip.hash,
            presync_height: self.presync_height,
            estimated_height: self.estimated_height(),
            peers: self.peers.connected_count(),
            connections,
            bytes_received: self.peers.bytes_received(),
            waiting_for: self.waiting_for(),
        };
        self.live.send_if_modified(|old| {
            let changed = *old != live;
            *old = live;
            changed
        });
    }

    /// Logs a warning, and publishes it.
    pub(super) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        warn!("{text}");
        // Whoever watched may be gone.
        self.published.send(Event::Warning(text)).ok();
    }

    /// Tells whoever follows that the chain is complete.
    pub(super) fn notice_caught_up(&self) {
        let ChainTip { height, hash, .. } = self.tip;
        let header = block_in_place(|| self.store.headers(height, 1));
        // A header that cannot be read is not told: whatever needs it next will say why.
        if let Some(header) = header.ok().and_then(|headers| headers.first().copied()) {
            self.published.send(Event::CaughtUp { height, hash, time: header.time }).ok();
        }
    }

    /// Tells whoever follows each header that is new on the chain since the last time.
    pub(super) fn notice_tips(&mut self) {
        let ChainTip { height, hash, .. } = self.tip;
        let first = self.noticed.saturating_add(1);
        if !self.caught_up || first > height {
            return;
        }
        self.noticed = height;
        info!("new tip {hash} at height {}", count(height));
        let range = (height - first >= MOST_TOLD).then_some(first);
        let read = if range.is_some() { height } else { first };
        // A header that cannot be read is not told: whatever needs it next will say why.
        let run = block_in_place(|| self.store.run(read, height - read + 1));
        let Ok(run) = run else { return };
        for ((header, hash), height) in run.headers.iter().zip(run.hashes).zip(read..) {
            // Whoever watched may be gone.
            self.published.send(Event::Tip { height, hash, time: header.time, from: range }).ok();
        }
    }

    fn waiting_for(&self) -> Option<(String, u64)> {
        if self.caught_up || self.last_progress.elapsed() < WORTH_SHOWING {
            return None;
        }
        let unanswered = self.engine.unanswered(self.now());
        let (peer, waited) = unanswered.into_iter().max_by_key(|(_, waited)| *waited)?;
        let address = self.peers.get(peer)?.address().to_owned();
        (waited >= WORTH_SHOWING).then_some((address, waited.as_secs()))
    }

    /// Says so while a sync that follows the chain has no peer; any other ends.
    pub(super) fn warn_offline(&mut self) {
        let said = self.offline.poll(self.now(), self.peers.connected_count());
        if let Some(text) = said.filter(|_| self.options.follow) {
            self.warn(text);
        }
    }

    fn estimated_height(&self) -> u32 {
        let announced = self.announced.values().copied().collect();
        let hinted = self.options.hints.points().last().filter(|_| self.hints_hold);
        let estimated = estimated_height(announced, hinted.map_or(0, |point| point.height));
        estimated.max(self.tip.height).min(self.options.stop_height.unwrap_or(u32::MAX))
    }
}

/// The median of what peers announce; as long as nobody has announced anything, the last hint's height.
fn estimated_height(mut announced: Vec<u32>, hinted: u32) -> u32 {
    announced.retain(|height| *height > 0);
    announced.sort_unstable();
    announced.get(announced.len() / 2).copied().unwrap_or(hinted)
}

#[cfg(test)]
mod tests {
    use super::estimated_height;

    #[test]
    fn what_peers_announce_counts_more_than_hints() {
        assert_eq!(estimated_height(vec![], 953_567), 953_567);
        assert_eq!(estimated_height(vec![0], 953_567), 953_567, "a peer that says nothing");
        assert_eq!(estimated_height(vec![32_259], 953_567), 32_259);
        assert_eq!(estimated_height(vec![u32::MAX, 960_000, 7], 953_567), 960_000);
    }
}
