//! Headers that are refused only because their time is too far ahead of our clock.
//!
//! Nobody is to blame for them. Bitcoin Core (`BLOCK_TIME_FUTURE`) leaves their sender alone, too, and takes them when
//! they come again. Here a peer that sent one is not asked again for a minute, or until the header has become valid.

use super::{ASK_AGAIN, Session};
use crate::chain::{MAX_FUTURE_SECS, Rejection};
use crate::chainstate::TooNew;
use crate::primitives::Header;
use crate::store::HeaderStore;
use crate::sync::PeerKey;
use std::time::{Duration, Instant};

/// The shortest pause between two questions for a header that has become valid: the clock may be set to and fro.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl<S: HeaderStore + 'static> Session<S> {
    /// Passes over a peer whose next header is too new, and remembers the header.
    pub(super) fn on_too_new(&mut self, peer: PeerKey, rejection: &Rejection) {
        self.engine.pass_over(peer);
        let Some(header) = TooNew::of(rejection) else { return };
        if let Some(line) = self.peers.get_mut(peer) {
            line.note.too_new_at = Some(Instant::now());
        }
        let sooner = self.too_new.is_none_or(|before| header.time < before.time);
        if header.height <= self.tip.height || !sooner {
            return;
        }
        if self.options.follow && self.too_new.is_none() {
            self.warn(format!(
                "{header}: it is taken when it becomes valid; if the clock is wrong, set it"
            ));
        }
        self.too_new = Some(header);
    }

    /// Whether a peer sent a header within the last minute that is still too new. What it announces meanwhile follows
    /// that header: to ask for it would bring nothing, and to send it is no offence.
    pub(super) fn is_paused(&mut self, peer: PeerKey) -> bool {
        let recent = |at: Instant| at.elapsed() < ASK_AGAIN;
        self.too_new.is_some()
            && self.peers.get(peer).and_then(|line| line.note.too_new_at).is_some_and(recent)
    }

    /// Whether a header's time is too far ahead of our clock.
    pub(super) fn is_too_new(&self, header: &Header) -> bool {
        i64::from(header.time) > i64::from(self.options.clock.unix()) + i64::from(MAX_FUTURE_SECS)
    }

    /// Asks all peers again as soon as the header that was too new is valid, also because the clock was set.
    pub(super) fn retry_too_new(&mut self) {
        let now = self.options.clock.unix();
        let valid = self.too_new.is_some_and(|header| header.is_valid_at(now));
        if valid && self.last_asked.elapsed() >= RETRY_PAUSE {
            self.forget_too_new();
            self.ask_all();
        }
    }

    /// The header has become valid, or the chain has grown to its height. Peers that were passed over are asked again.
    pub(super) fn forget_too_new(&mut self) {
        self.too_new = None;
        for (peer, line) in self.peers.lines() {
            if line.note.too_new_at.take().is_some() {
                self.engine.announced(peer);
            }
        }
    }

    /// Whether it is our clock that the chain ends for: at least half of the peers that were heard go on with a header
    /// that is too new for it.
    ///
    /// # Security
    /// Where blocks cost little a single peer can make up a header of any time. It does not speak for the others.
    pub(super) fn is_stopped_by_clock(&mut self) -> bool {
        let senders = self.peers.lines().filter(|(_, line)| line.note.too_new_at.is_some()).count();
        self.too_new.is_some() && senders * 2 >= self.engine.opinions()
    }
}
