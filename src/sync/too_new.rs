//! Headers that are refused only because their time is too far ahead of our clock.
//!
//! Nobody is to blame for them. Bitcoin Core (`BLOCK_TIME_FUTURE`) does not punish their sender either, and takes them
//! when they come again. Here a peer that sent one is not asked again for a minute, or less if the header becomes valid
//! sooner.

use super::SyncEvent;
use super::completion::REQUEST_INTERVAL;
use super::header_sync::HeaderSync;
use crate::chain::{Rejection, TooNew};
use crate::primitives::{Moment, PeerId};
use std::time::Duration;

/// The shortest pause between two requests for a header that has become valid: the clock may be set back and forth.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl HeaderSync {
    /// Stops asking a peer whose next header is too new. Remembers the header, if it is above the tip and becomes valid
    /// before the one that is remembered.
    pub(super) fn on_too_new(&mut self, now: Moment, peer: PeerId, rejection: &Rejection) {
        self.download.stop_asking(peer);
        let Some(header) = TooNew::of(rejection) else { return };
        if let Some(record) = self.peers.get_mut(&peer) {
            record.too_new_at = Some(now.since_start);
        }
        let sooner = self.too_new.is_none_or(|before| header.time < before.time);
        if header.height <= self.tip.height || !sooner {
            return;
        }
        if self.settings.follow && self.too_new.is_none() {
            self.report(SyncEvent::TooNew(header));
        }
        self.too_new = Some(header);
    }

    /// Returns whether a peer sent a header within the last minute that is still too new. Blocks that it announces
    /// meanwhile build on that header: we need not request them, and do not punish the peer for them.
    pub(super) fn is_paused(&self, now: Moment, peer: PeerId) -> bool {
        let recent = |at: Duration| now.since_start.saturating_sub(at) < REQUEST_INTERVAL;
        let sent_at = self.peers.get(&peer).and_then(|peer| peer.too_new_at);
        self.too_new.is_some() && sent_at.is_some_and(recent)
    }

    /// Asks all peers again as soon as the header that was too new is valid, with time or because the clock was set.
    pub(super) fn retry_too_new(&mut self, now: Moment) {
        let valid = self.too_new.is_some_and(|header| header.is_valid_at(now.unix));
        let pause = now.since_start.saturating_sub(self.completion.last_request);
        if valid && pause >= RETRY_PAUSE {
            self.forget_too_new();
            self.request_all_again(now);
        }
    }

    /// Forgets the header, which has become valid or whose height the chain has reached. Makes the next poll ask again
    /// each peer that sent a header that was too new.
    pub(super) fn forget_too_new(&mut self) {
        self.too_new = None;
        for (peer, record) in &mut self.peers {
            if record.too_new_at.take().is_some() {
                self.download.on_announcement(*peer);
            }
        }
    }

    /// Returns whether the sync cannot go on because of our clock: at least half of the peers that have reported the
    /// end of their chain have a next header that is too new.
    ///
    /// # Security
    /// Where blocks cost little, a single peer can make up a header with any time. So a minority of the peers does not
    /// decide.
    pub(super) fn is_stopped_by_clock(&self) -> bool {
        let senders = self.peers.values().filter(|peer| peer.too_new_at.is_some()).count();
        self.too_new.is_some() && senders * 2 >= self.download.confirmations()
    }
}
