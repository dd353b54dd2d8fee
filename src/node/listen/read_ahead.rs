//! Reads the answer to the next request of a peer that downloads the chain, before the peer sends it.
//!
//! A client without hints requests headers only once it has the headers before them. To read an answer takes half a
//! millisecond, which would be a third of the client's download time (measured).

use super::answer::PeerAnswer;
use crate::primitives::BlockHash;
use crate::store::StoreError;
use crate::wire::GetHeaders;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How many answers may wait for their requests, for all peers together: 2.6 MB.
pub(super) const MAX_AHEAD: usize = 16;

/// How long an answer waits for its request. A peer that downloads sends its next request sooner.
const LIFETIME: Duration = Duration::from_secs(2);

/// An answer that is being read; it is `None` if Bitcoin Core would not answer.
pub(super) type PendingAnswer = JoinHandle<Result<Option<PeerAnswer>, StoreError>>;

/// An answer whose request has not come yet.
#[derive(Debug)]
pub(super) struct ReadAhead {
    /// The hash of the header before the answer's first header.
    after: BlockHash,
    reading: PendingAnswer,
    expires: Instant,
    _permit: OwnedSemaphorePermit,
}

impl ReadAhead {
    /// Keeps an answer that is being read. It answers a request for the headers after `after`.
    pub(super) fn new(
        after: BlockHash,
        reading: PendingAnswer,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { after, reading, expires: Instant::now() + LIFETIME, _permit: permit }
    }

    /// Returns when the answer is too old to be sent.
    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    /// Returns the answer if it answers this request and is not too old.
    pub(super) fn take_for(self, request: &GetHeaders) -> Option<PendingAnswer> {
        let asks_for_it =
            request.stop == BlockHash::ZERO && request.locator.first() == Some(&self.after);
        (asks_for_it && Instant::now() < self.expires).then_some(self.reading)
    }
}
