//! How fast the pool dials.

use std::time::Duration;

/// Dials in flight for each free slot: most addresses are dead, or their nodes are full. Dials beyond the free slots
/// are cancelled, or their connections closed right after the handshake.
const DIALS_PER_SLOT: usize = 3;
/// The lowest and the highest limit on dials in flight while there is a free slot.
const MIN_DIALS: usize = 8;
const MAX_DIALS: usize = 32;
/// Pause between further dials, once one dial is in flight for each free slot. The pool can do without the further
/// dials if the first ones answer at once (the idea of RFC 8305).
const HEAD_START: Duration = Duration::from_millis(100);

/// After this many failures in a row, dialling fast has not helped. From then on the pool dials two addresses a
/// second, as Bitcoin Core does.
const FAST_DIALS: u32 = 100;
const STEADY_PAUSE: Duration = Duration::from_millis(500);
const STEADY_DIALS: usize = 4;
/// After this many failures in a row without any peer, there is probably no network. The pool then dials only once a
/// second, which is still often enough to notice within seconds that the network is back.
const NO_NETWORK: u32 = 1000;
const NO_NETWORK_PAUSE: Duration = Duration::from_secs(1);

/// How long the pool waits before it searches the address manager again, after it found no address to dial there.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Decides how fast to dial.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Failures since the last success.
    failures: u32,
    pub(super) last_dial: Option<Duration>,
    /// When the address manager is searched again, after it had no address to dial.
    pub(super) no_address_until: Option<Duration>,
    pub(super) next_feeler: Option<Duration>,
    /// Whether the pool looked for the last address to dial in the address manager first.
    pub(super) addrman_first: bool,
}

impl Pace {
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Makes the next poll search the address manager, which may have an address to dial now.
    pub(super) fn look_again(&mut self) {
        self.no_address_until = None;
    }

    pub(super) fn has_no_address(&self) -> bool {
        self.no_address_until.is_some()
    }

    /// Returns how many dials may be in flight, and the pause between two dials. `dialling` dials are in flight, not
    /// counting slow ones; `alone` means that no peer is connected.
    pub(super) fn limits(
        &self,
        free_slots: usize,
        dialling: usize,
        alone: bool,
    ) -> (usize, Duration) {
        if free_slots == 0 {
            (0, Duration::ZERO)
        } else if self.failures < FAST_DIALS {
            let pause = if dialling < free_slots { Duration::ZERO } else { HEAD_START };
            ((free_slots * DIALS_PER_SLOT).clamp(MIN_DIALS, MAX_DIALS), pause)
        } else if self.failures < NO_NETWORK || !alone {
            (free_slots.min(STEADY_DIALS), STEADY_PAUSE)
        } else {
            (MIN_DIALS, NO_NETWORK_PAUSE)
        }
    }
}
