//! A token bucket, which bounds how often peers may send requests.

use std::time::Duration;

/// A token bucket. One message may take the bucket's level below zero (overdraw the bucket). Further messages then wait
/// until the level is back at zero.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    capacity: f64,
    /// How many tokens are added each second.
    rate: f64,
    level: f64,
    /// The time at which the bucket had `level` tokens.
    at: Duration,
}

impl TokenBucket {
    /// Makes a full bucket. Times count from any fixed moment.
    pub(super) fn full(capacity: f64, rate: f64, now: Duration) -> Self {
        Self { capacity, rate, level: capacity, at: now }
    }

    /// Takes tokens, even if the bucket has fewer.
    pub(super) fn take(&mut self, tokens: f64, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(self.capacity) - tokens;
        self.at = now;
    }

    /// Returns whether the bucket is full.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level + passed * self.rate >= self.capacity
    }

    /// Returns when the level will be back at zero; `None` if the last [`take`](Self::take) did not overdraw the
    /// bucket.
    pub(super) fn ready_at(&self) -> Option<Duration> {
        let missing = -self.level;
        (missing > 0.0).then(|| self.at + Duration::from_secs_f64(missing / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::TokenBucket;
    use proptest::{prop_assert, proptest};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_overdrawn_bucket_is_ready_once_its_level_is_back_at_zero() {
        let mut bucket = TokenBucket::full(3.0, 2.0, SECOND);
        (0..3).for_each(|_| bucket.take(1.0, SECOND));
        assert_eq!(bucket.ready_at(), None);
        bucket.take(1.0, SECOND);
        assert_eq!(bucket.ready_at(), Some(SECOND + SECOND / 2));
        bucket.take(1.0, 10 * SECOND);
        assert_eq!(bucket.ready_at(), None, "the bucket is full again, not above its capacity");
        bucket.take(2.5, 10 * SECOND);
        assert_eq!(bucket.ready_at(), Some(10 * SECOND + SECOND / 4));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_capacity_the_rate_and_one_overdraft(
            waits in proptest::collection::vec(0_u64..3000, 1..200),
        ) {
            let (capacity, rate) = (10.0, 5.0);
            let (mut now, mut taken) = (Duration::ZERO, 0.0);
            let mut bucket = TokenBucket::full(capacity, rate, now);
            for wait in waits {
                now = (now + Duration::from_millis(wait)).max(bucket.ready_at().unwrap_or_default());
                bucket.take(1.0, now);
                taken += 1.0;
                prop_assert!(taken <= capacity + 1.0 + rate * now.as_secs_f64() + 1e-6);
            }
        }
    }
}
