//! Reads the bodies of RPC calls, within a limited amount of memory for all of them.

use axum::body::Bytes;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Body;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Longest body of a request in bytes. Source: Bitcoin Core `MIN_SUPPORTED_BODY_SIZE`.
const MAX_BODY: usize = 0x0200_0000;

/// Up to this many KiB, a body counts as small. Small bodies do not wait behind longer ones.
const SMALL_BODY_KIB: u32 = 64;

/// How much memory all small bodies together, and all longer ones together, may take, in KiB. Further bodies wait.
const BODIES_KIB: [usize; 2] = [8 << 10, 33 << 10];

/// How long a request may take in total to get memory for its body and to send the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long [`discard`] waits for a body. Clients without credentials get no more time, because a connection counts as
/// busy meanwhile, and busy ones are not closed to make room for others.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The free memory for bodies, in KiB: for small ones and for longer ones.
#[derive(Debug)]
pub(super) struct BodyMemory([Semaphore; 2]);

/// A body that was read. Its memory counts as taken until this is dropped.
#[derive(Debug)]
pub(super) struct CallBody<'a> {
    /// The body.
    pub bytes: Vec<u8>,
    _memory: SemaphorePermit<'a>,
}

impl BodyMemory {
    /// Makes the memory for all bodies of a server.
    pub(super) fn new() -> Self {
        Self(BODIES_KIB.map(Semaphore::new))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// The body is too long, cannot be read, or does not arrive in time. The status says which.
    pub(super) async fn read(
        &self,
        body: impl Body<Data = Bytes>,
    ) -> Result<CallBody<'_>, StatusCode> {
        let expected =
            body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if expected.is_some_and(|length| length > MAX_BODY) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let read = self.read_parts(body, expected.unwrap_or(MAX_BODY));
        timeout(BODY_TIMEOUT, read).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
    }

    /// Reads a body of at most `longest` bytes. Until it is longer than a small body, it counts as one: a client that
    /// stalls before that does not hold the memory for longer bodies.
    async fn read_parts(
        &self,
        body: impl Body<Data = Bytes>,
        longest: usize,
    ) -> Result<CallBody<'_>, StatusCode> {
        let (mut body, mut bytes) = (pin!(body), Vec::new());
        let mut memory = self.take(kib(longest).min(SMALL_BODY_KIB)).await;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > longest {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if kib(bytes.len()) <= SMALL_BODY_KIB && kib(length) > SMALL_BODY_KIB {
                // It does not wait with permits for small bodies. What has come of it is not counted meanwhile.
                drop(memory);
                memory = self.take(kib(longest)).await;
                // Growing by doubling would take more than the permits count.
                bytes.reserve_exact(longest.saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(&data);
        }
        bytes.shrink_to_fit();
        let surplus = memory.num_permits().saturating_sub(kib(bytes.len()) as usize);
        drop(memory.split(surplus));
        Ok(CallBody { bytes, _memory: memory })
    }

    async fn take(&self, kib: u32) -> SemaphorePermit<'_> {
        let memory = &self.0[usize::from(kib > SMALL_BODY_KIB)];
        memory.acquire_many(kib).await.expect("the semaphores are never closed")
    }
}

/// Reads a body without keeping it, so that its connection can be used again. Returns whether it was read to its end in
/// time.
pub(super) async fn discard(body: impl Body<Data = Bytes>) -> bool {
    let length = body.size_hint().lower();
    if usize::try_from(length).map_or(true, |length| length > MAX_BODY) {
        return false;
    }
    let read = async {
        let (mut body, mut length) = (pin!(body), 0);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            length += frame.data_ref().map_or(0, Bytes::len);
            if length > MAX_BODY {
                return false;
            }
        }
        true
    };
    timeout(DISCARD_TIMEOUT, read).await.unwrap_or(false)
}

/// Returns how many KiB a body of so many bytes counts for.
fn kib(length: usize) -> u32 {
    u32::try_from(length.div_ceil(1024).max(1)).unwrap_or(u32::MAX)
}
