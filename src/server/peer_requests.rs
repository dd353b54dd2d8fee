//! Limits how many requests to peers run at once.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How many requests to peers run at once. Each request opens up to `--peers` connections, and a download may hold a
/// block from each of several connections in memory.
const MAX_REQUESTS: usize = 4;

/// How long a request waits for its turn before it is refused.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Too many requests to peers are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Too many requests to peers are under way: try again later")]
pub(crate) struct TooBusy;

/// The limit on requests to peers that run at once.
#[derive(Debug)]
pub(crate) struct PeerRequestLimit(Arc<Semaphore>);

impl Default for PeerRequestLimit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_REQUESTS)))
    }
}

impl PeerRequestLimit {
    /// Waits until one more request may run. The request counts as running until the permit is dropped.
    ///
    /// # Errors
    /// The request has waited for [`MAX_WAIT`].
    pub(crate) async fn acquire(&self) -> Result<OwnedSemaphorePermit, TooBusy> {
        let permit = timeout(MAX_WAIT, Arc::clone(&self.0).acquire_owned()).await;
        permit.map_err(|_| TooBusy)?.map_err(|_| TooBusy)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REQUESTS, MAX_WAIT, PeerRequestLimit, TooBusy};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn one_request_too_many_waits_and_is_then_refused() {
        let requests = PeerRequestLimit::default();
        let mut permits = Vec::new();
        for _ in 0..MAX_REQUESTS {
            permits.push(requests.acquire().await.unwrap());
        }
        let start = Instant::now();
        assert_eq!(requests.acquire().await.unwrap_err(), TooBusy);
        assert_eq!(start.elapsed(), MAX_WAIT);
        permits.pop();
        assert!(requests.acquire().await.is_ok());
    }
}
