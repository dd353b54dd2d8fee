//! How fast a peer answers, and how many headers it is therefore asked for at once.

use super::FULL_ANSWER;
use std::collections::VecDeque;
use std::time::Duration;

/// Most headers that one peer is asked for at once: 16 full answers are 2.6 MB on its line.
const MAX_IN_FLIGHT: u32 = 16 * FULL_ANSWER;

/// The smallest window: two full answers, so that the peer prepares one while the other is on its way.
const MIN_IN_FLIGHT: u32 = 2 * FULL_ANSWER;

/// A peer that has never answered gets this many times the round trip of its handshake, but no less than the floor.
const FIRST_ANSWER_FACTOR: u32 = 8;
const FIRST_ANSWER_FLOOR: Duration = Duration::from_secs(1);

/// A peer that has answered gets this many times its usual answer time, but no less than the floor.
const ANSWER_FACTOR: u32 = 4;
const ANSWER_FLOOR: Duration = Duration::from_millis(250);

/// The best rate is the highest of this many last answers. Older ones may be from when the line was faster.
const RATES: usize = 16;

/// The window is this many times what the line holds, plus a full answer. Asking for more than it holds shows when the line
/// has become faster.
const GAIN: f64 = 1.25;

/// The shortest delay that counts, in seconds: clocks cannot tell shorter ones apart.
const SHORTEST: f64 = 1e-6;

/// What a peer's handshake and its answers have shown of its speed.
#[derive(Debug)]
pub(super) struct PeerSpeed {
    /// The handshake's round trip: all that is known before the first answer.
    round_trip: Duration,
    /// When it answered last.
    pub(super) answered_at: Duration,
    /// How long its answers take, smoothed.
    pub(super) answer_time: Option<Duration>,
    /// How long its fastest answer took.
    fastest_answer: Option<Duration>,
    /// How many headers it has sent.
    pub(super) delivered: u64,
    /// Headers per second, for each of the last answers.
    rates: VecDeque<f64>,
    /// How many headers it may be asked for at once.
    pub(super) window: u32,
}

impl PeerSpeed {
    /// Returns the speed of a peer that has not answered yet; `window` is how many headers it may be asked for at first.
    pub(super) fn new(round_trip: Duration, window: u32) -> Self {
        Self {
            round_trip,
            answered_at: Duration::ZERO,
            answer_time: None,
            fastest_answer: None,
            delivered: 0,
            rates: VecDeque::new(),
            window: window.clamp(MIN_IN_FLIGHT, MAX_IN_FLIGHT),
        }
    }

    /// Records an answer of `count` headers to a request that was sent at `asked_at`, when the peer had delivered
    /// `delivered_before` headers.
    ///
    /// The window follows from what the line carries in the shortest answer time there was: less would leave the line idle, and
    /// more would queue up at the peer and delay the next request. As in BBR for TCP, the rate is all that arrived since
    /// the request was sent, divided by that time.
    pub(super) fn record_answer(
        &mut self,
        now: Duration,
        asked_at: Duration,
        delivered_before: u64,
        count: u32,
    ) {
        let took = now.saturating_sub(asked_at);
        self.answered_at = now;
        self.delivered += u64::from(count);
        let fastest = self.fastest_answer.map_or(took, |fastest| fastest.min(took));
        self.fastest_answer = Some(fastest);
        self.answer_time = Some(self.answer_time.map_or(took, |usual| (usual * 3 + took) / 4));
        let arrived = u32::try_from(self.delivered - delivered_before).unwrap_or(u32::MAX);
        if self.rates.len() == RATES {
            self.rates.pop_front();
        }
        self.rates.push_back(f64::from(arrived) / took.as_secs_f64().max(SHORTEST));
        let rate = self.rates.iter().copied().fold(0.0, f64::max);
        let on_the_line = rate * fastest.as_secs_f64();
        self.window = FULL_ANSWER
            .saturating_add(whole(on_the_line * GAIN))
            .clamp(MIN_IN_FLIGHT, MAX_IN_FLIGHT);
    }

    /// Returns how long its fastest answer took; the longest possible time for a peer that has not answered yet.
    pub(super) fn fastest_answer(&self) -> Duration {
        self.fastest_answer.unwrap_or(Duration::MAX)
    }

    /// Returns how long its next answer will probably take: its usual answer time, or the handshake's round trip if it has
    /// not answered yet.
    pub(super) fn expected_answer_time(&self) -> Duration {
        self.answer_time.unwrap_or(self.round_trip)
    }

    /// Returns how long an answer may take, by the peer's own measure, before it is late; at most `limit`.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        let own = match self.answer_time {
            Some(usual) => ANSWER_FLOOR.max(usual * ANSWER_FACTOR),
            None => FIRST_ANSWER_FLOOR.max(self.round_trip * FIRST_ANSWER_FACTOR),
        };
        own.min(limit)
    }

    /// Returns how long the peer may stay silent before we expect no answer any more: `limit`, or more if its answers usually
    /// take long.
    pub(super) fn silence_limit(&self, limit: Duration) -> Duration {
        limit.max(self.answer_time.unwrap_or_default() * ANSWER_FACTOR)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the type's range"
)]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}
