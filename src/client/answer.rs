//! The answer to a request that takes time.

use super::ClientError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// The answer to a request that takes time. It is a future that works in any async runtime, and code without one can
/// [wait](Answer::wait) for it.
///
/// The client works on the request whether the answer is awaited or not.
#[derive(Debug)]
#[must_use = "the answer says whether the request succeeded"]
pub struct Answer<T> {
    receiver: Receiver<Result<T, ClientError>>,
}

/// The sender with which the client gives the answer.
pub(super) type AnswerSender<T> = Sender<Result<T, ClientError>>;

impl<T> Answer<T> {
    /// Makes an answer that is not known yet, and the sender for it.
    pub(super) fn pending() -> (AnswerSender<T>, Self) {
        let (sender, receiver) = channel();
        (sender, Self { receiver })
    }

    /// Waits for the answer.
    ///
    /// This method blocks the thread. In async code, await the answer instead.
    ///
    /// # Errors
    /// The request failed, or the client was shut down first.
    pub fn wait(self) -> Result<T, ClientError> {
        pollster::block_on(self)
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.receiver).poll(context);
        polled.map(|answer| answer.unwrap_or(Err(ClientError::ShutDown)))
    }
}
