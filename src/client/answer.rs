//! What a client is still working on.

use super::ClientError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// The answer to a question that takes time: a future, for any runtime, or something to wait for.
///
/// The work goes on whether it is awaited or not; the answer is dropped with it.
#[derive(Debug)]
#[must_use = "the answer says whether it worked"]
pub struct Answer<T> {
    receiver: Receiver<Result<T, ClientError>>,
}

/// Gives an answer.
pub(super) type Answering<T> = Sender<Result<T, ClientError>>;

impl<T> Answer<T> {
    /// An answer that is still to come.
    pub(super) fn pending() -> (Answering<T>, Self) {
        let (sender, receiver) = channel();
        (sender, Self { receiver })
    }

    /// Waits for the answer.
    ///
    /// It blocks the thread: in an async function, the answer is to be awaited.
    ///
    /// # Errors
    /// What was asked for could not be done.
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
