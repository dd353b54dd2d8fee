//! Headers that a peer sends in vain.

use std::time::{Duration, Instant};

/// For so long what was sent in vain is remembered.
const WINDOW: Duration = Duration::from_secs(600);

/// Counts what a peer sends in vain. What is long ago is forgotten: over weeks every peer is too late at times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Useless {
    count: u32,
    since: Option<Instant>,
}

impl Useless {
    /// One more: how many there are now.
    pub(super) fn note(&mut self, now: Instant) -> u32 {
        if self.since.is_none_or(|since| now.duration_since(since) > WINDOW) {
            *self = Self { count: 0, since: Some(now) };
        }
        self.count += 1;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::{Useless, WINDOW};
    use std::time::{Duration, Instant};

    #[test]
    fn what_comes_at_once_adds_up_and_what_is_long_ago_is_forgotten() {
        let (mut useless, start) = (Useless::default(), Instant::now());
        let counts: Vec<u32> = (0..20).map(|_| useless.note(start)).collect();
        assert_eq!(counts, (1..=20).collect::<Vec<_>>());
        assert_eq!(useless.note(start + WINDOW), 21);
        assert_eq!(useless.note(start + WINDOW + Duration::from_millis(1)), 1);
    }
}
