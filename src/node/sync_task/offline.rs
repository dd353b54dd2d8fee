//! Says that a sync which follows the chain has no peer, for those who read its log.

use crate::format::rough_span;
use std::time::Duration;

/// Without a peer for so long, that is said.
const FIRST: Duration = Duration::from_secs(30);

/// After so long it is said again, and after twice as long each time, up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_secs(10 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// Since when no peer is connected, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Offline {
    since: Option<Duration>,
    /// When it is said again, and the pause after that.
    next: Option<(Duration, Duration)>,
}

impl Offline {
    /// What to say now, if anything. `now` is the time since the start, `connected` the number of peers.
    pub(super) fn poll(&mut self, now: Duration, connected: usize) -> Option<String> {
        if connected > 0 {
            let was_said = std::mem::take(self).next.is_some();
            return was_said.then(|| "connected again".to_owned());
        }
        let since = *self.since.get_or_insert(now);
        let (at, pause) = self.next.unwrap_or((since + FIRST, FIRST_PAUSE));
        if now < at {
            return None;
        }
        self.next = Some((now + pause, (pause * 2).min(LONGEST_PAUSE)));
        let waited = rough_span(now.saturating_sub(since).as_secs());
        Some(format!("no peer has been connected for {waited}: still looking for one"))
    }
}

#[cfg(test)]
mod tests {
    use super::Offline;
    use std::time::Duration;

    #[test]
    fn being_offline_is_said_after_half_a_minute_then_rarely_and_so_is_its_end() {
        let mut offline = Offline::default();
        let mut said = Vec::new();
        let start = 100;
        // A day offline, looked at twice a second.
        for half in 0..=2 * 86_400 {
            let now = Duration::from_millis(start + 500 * half);
            said.extend(offline.poll(now, 0).map(|text| (half / 2, text)));
        }
        let times: Vec<u64> = said.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [30, 630, 1830, 4230, 9030, 18_630, 37_830, 59_430, 81_030]);
        assert_eq!(said[1].1, "no peer has been connected for 10 min 30 s: still looking for one");
        let back = offline.poll(Duration::from_secs(90_000), 1);
        assert_eq!(back.as_deref(), Some("connected again"));
        assert_eq!(offline.poll(Duration::from_secs(90_001), 1), None);
        // A short interruption is not worth a word.
        assert_eq!(offline.poll(Duration::from_secs(90_002), 0), None);
        assert_eq!(offline.poll(Duration::from_secs(90_020), 0), None);
        assert_eq!(offline.poll(Duration::from_secs(90_021), 2), None);
    }
}
