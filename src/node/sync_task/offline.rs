//! Decides when a sync that is to follow the chain warns that it has no peer.

use crate::format::rough_span;
use std::time::Duration;

/// How long the sync has no peer before the first warning.
const FIRST_WARNING: Duration = Duration::from_secs(30);

/// The pause after the first warning. Each further pause is twice as long as the pause before it, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(10 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// How long the sync has had no peer, and when it warns next.
#[derive(Debug, Default)]
pub(super) struct Offline {
    /// Since when no peer has been connected although one was wanted.
    since: Option<Duration>,
    /// The time of the next warning and the pause after it; `None` before the first warning.
    next: Option<(Duration, Duration)>,
    /// Whether a warning was published since a peer was last connected.
    warning_published: bool,
}

/// A change that is worth a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OfflineNews {
    /// There has been no peer for a while; the message says for how long.
    Offline(String),
    /// A peer is connected again.
    Online,
}

impl Offline {
    /// Returns the news to publish now, if there are any. `now` is the time since the start, `wanted` says whether the
    /// sync wants a peer, and `connected` is the number of connected peers.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        wanted: bool,
        connected: usize,
    ) -> Option<OfflineNews> {
        if connected > 0 {
            return std::mem::take(self).warning_published.then_some(OfflineNews::Online);
        }
        if !wanted {
            (self.since, self.next) = (None, None);
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let (at, pause) = self.next.unwrap_or((since + FIRST_WARNING, FIRST_PAUSE));
        if now < at {
            return None;
        }
        self.warning_published = true;
        self.next = Some((now + pause, (pause * 2).min(LONGEST_PAUSE)));
        let waited = rough_span(now.saturating_sub(since).as_secs());
        let text = format!("no peer has been connected for {waited}: still looking for one");
        Some(OfflineNews::Offline(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{Offline, OfflineNews};
    use std::time::Duration;

    #[test]
    fn a_sync_without_peers_warns_after_half_a_minute_and_then_ever_more_rarely() {
        let mut offline = Offline::default();
        let mut warnings = Vec::new();
        let start = 100;
        // The sync is offline for a day, and is polled twice a second.
        for half in 0..=2 * 86_400 {
            let now = Duration::from_millis(start + 500 * half);
            warnings.extend(offline.poll(now, true, 0).map(|news| (half / 2, news)));
        }
        let times: Vec<u64> = warnings.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [30, 630, 1830, 4230, 9030, 18_630, 37_830, 59_430, 81_030]);
        let text = "no peer has been connected for 10 min 30 s: still looking for one";
        assert_eq!(warnings[1].1, OfflineNews::Offline(text.to_owned()));
        let mut poll = |seconds, wanted, connected| {
            offline.poll(Duration::from_secs(seconds), wanted, connected)
        };
        assert_eq!(poll(90_000, true, 1), Some(OfflineNews::Online));
        assert_eq!(poll(90_001, true, 1), None);
        // A short interruption causes no message.
        assert_eq!(poll(90_002, true, 0), None);
        assert_eq!(poll(90_020, true, 0), None);
        assert_eq!(poll(90_021, true, 2), None);
        // Nothing is published while no peer is wanted.
        assert_eq!(poll(90_100, false, 0), None);
        assert_eq!(poll(91_000, false, 0), None);
        // After a warning, `Online` is published even if the network was switched off in between.
        assert_eq!(poll(92_000, true, 0), None);
        assert!(matches!(poll(92_030, true, 0), Some(OfflineNews::Offline(_))));
        assert_eq!(poll(92_031, false, 0), None);
        assert_eq!(poll(92_032, true, 1), Some(OfflineNews::Online));
    }
}
