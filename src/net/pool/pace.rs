//! How fast to dial.

use std::time::Duration;

/// Dials in flight for each free place: most addresses are dead or full. Those that are too many are cancelled, or hung
/// up on right after the handshake.
const DIALS_PER_PLACE: usize = 3;
/// Fewest and most dials in flight while there is a free place.
const MIN_DIALS: usize = 8;
const MAX_DIALS: usize = 32;
/// Pause between those beyond one for each free place, as in RFC 8305: who answers at once makes them superfluous.
const HEAD_START: Duration = Duration::from_millis(100);

/// After so many failures in a row the haste has not helped: from then on as Bitcoin Core, two a second.
const HASTY: u32 = 100;
const STEADY_PAUSE: Duration = Duration::from_millis(500);
const STEADY_DIALS: usize = 4;
/// After so many, with no peer at all, there is no network: slower, but still so that its return is noticed within
/// seconds.
const HOPELESS: u32 = 1000;
const HOPELESS_PAUSE: Duration = Duration::from_secs(1);

/// How fast to dial.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Failures since the last success.
    failures: u32,
    pub(super) last_dial: Option<Duration>,
    /// The address manager is not looked through until then.
    pub(super) nothing_until: Option<Duration>,
    pub(super) next_feeler: Option<Duration>,
    pub(super) from_addrman: bool,
}

impl Pace {
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// There may be somebody to dial now.
    pub(super) fn look_again(&mut self) {
        self.nothing_until = None;
    }

    pub(super) fn found_nothing(&self) -> bool {
        self.nothing_until.is_some()
    }

    /// Most dials that may be under way, and the pause between two of them.
    pub(super) fn limits(&self, free: usize, dialling: usize, alone: bool) -> (usize, Duration) {
        if free == 0 {
            (0, Duration::ZERO)
        } else if self.failures < HASTY {
            let pause = if dialling < free { Duration::ZERO } else { HEAD_START };
            ((free * DIALS_PER_PLACE).clamp(MIN_DIALS, MAX_DIALS), pause)
        } else if self.failures < HOPELESS || !alone {
            (free.min(STEADY_DIALS), STEADY_PAUSE)
        } else {
            (MIN_DIALS, HOPELESS_PAUSE)
        }
    }
}
