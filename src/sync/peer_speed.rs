//! How fast a peer answers, and how many headers it is therefore asked for at once.

use super::FULL_ANSWER;
use std::collections::VecDeque;
use std::time::Duration;

/// The largest window: 16 full answers, which are 2.6 MB.
const MAX_IN_FLIGHT: u32 = 16 * FULL_ANSWER;

/// The smallest window: two full answers, so that the peer prepares one while the other is on its way.
const MIN_IN_FLIGHT: u32 = 2 * FULL_ANSWER;

/// A peer that has never answered gets this many times the round trip of its handshake to answer, but no less than
/// [`FIRST_ANSWER_FLOOR`].
const FIRST_ANSWER_FACTOR: u32 = 8;
const FIRST_ANSWER_FLOOR: Duration = Duration::from_secs(1);

/// A peer that has answered gets this many times its usual answer time to answer, but no less than [`ANSWER_FLOOR`].
const ANSWER_FACTOR: u32 = 4;
const ANSWER_FLOOR: Duration = Duration::from_millis(250);

/// The line's rate is the highest rate among this many latest answers. Older answers may be from when the line was
/// faster.
const RATES: usize = 16;

/// The window is this many times the line's bandwidth-delay product, plus a full answer. Only a window larger than the
/// product can show that the line has become faster.
const WINDOW_GAIN: f64 = 1.25;

/// The shortest delay that counts, in seconds: clocks cannot tell shorter ones apart.
const SHORTEST: f64 = 1e-6;

/// What a peer's handshake and its answers have shown of its speed.
#[derive(Debug)]
pub(super) struct PeerSpeed {
    /// The handshake's round trip: all that is known before the first answer.
    round_trip: Duration,
    /// When it answered last; zero before the first answer.
    pub(super) answered_at: Duration,
    /// How long its answers take, smoothed; `None` before the first answer.
    pub(super) answer_time: Option<Duration>,
    /// How long its fastest answer took.
    fastest_answer: Option<Duration>,
    /// How many headers its answers have brought.
    pub(super) delivered: u64,
    /// Headers per second, for each of the last answers.
    rates: VecDeque<f64>,
    /// While it owes fewer headers than this, it may be asked for another range.
    pub(super) window: u32,
}

impl PeerSpeed {
    /// Returns the speed of a peer that has not answered yet; `window` is its window until the first answer.
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
    /// The window follows from the headers that the line carries in the peer's shortest answer time. A smaller window
    /// would leave the line idle, and a larger one would make answers queue up at the peer. As in BBR for TCP, the rate
    /// is the number of headers that arrived since the request was sent, divided by the time since then.
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
            .saturating_add(whole(on_the_line * WINDOW_GAIN))
            .clamp(MIN_IN_FLIGHT, MAX_IN_FLIGHT);
    }

    /// Returns how long its fastest answer took; [`Duration::MAX`] if it has not answered yet.
    pub(super) fn fastest_answer(&self) -> Duration {
        self.fastest_answer.unwrap_or(Duration::MAX)
    }

    /// Returns how long its next answer will probably take: its usual answer time, or the handshake's round trip if it
    /// has not answered yet.
    pub(super) fn expected_answer_time(&self) -> Duration {
        self.answer_time.unwrap_or(self.round_trip)
    }

    /// Returns after how long an answer is late, judged by how fast this peer usually answers; at most `limit`.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        let own = match self.answer_time {
            Some(usual) => ANSWER_FLOOR.max(usual * ANSWER_FACTOR),
            None => FIRST_ANSWER_FLOOR.max(self.round_trip * FIRST_ANSWER_FACTOR),
        };
        own.min(limit)
    }

    /// Returns how long the peer may stay silent before we stop expecting an answer: `limit`, or longer if its answers
    /// usually take long.
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
