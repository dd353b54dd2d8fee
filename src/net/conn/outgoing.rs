//! The messages that we send to a peer.

use super::disconnect::Disconnect;
use super::handle::Context;
use super::queued::{EncodedMessage, Queued};
use super::trace::{self, MessageDirection};
use crate::wire::{Command, MESSAGE_HEADER_LEN, Message, encode_frame};
use std::convert::Infallible;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// A write takes up further waiting messages while it has fewer bytes than this.
const BATCH: usize = 64 * 1024;

/// Writes messages to a peer.
pub(super) struct Outgoing<W> {
    writer: W,
    batch: Vec<u8>,
    /// The permits of the encoded messages in `batch`, which are given back once the batch is written.
    permits: Vec<OwnedSemaphorePermit>,
    context: Context,
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    pub(super) fn new(writer: W, context: Context) -> Self {
        Self { writer, batch: Vec::new(), permits: Vec::new(), context }
    }

    /// Sends these messages in one write.
    pub(super) async fn write(&mut self, messages: &[Message]) -> Result<(), Disconnect> {
        for message in messages {
            self.add(message);
        }
        self.flush().await
    }

    /// Sends the messages of both queues, `urgent` ones first, until the connection or `queue` ends.
    pub(super) async fn run(
        mut self,
        mut urgent: mpsc::Receiver<Message>,
        mut queue: mpsc::Receiver<Queued>,
    ) -> Result<Infallible, Disconnect> {
        loop {
            let queued = tokio::select! {
                biased;
                Some(message) = urgent.recv() => Queued::Message(message),
                queued = queue.recv() => queued.ok_or(Disconnect::Requested)?,
            };
            self.add_queued(queued);
            while self.batch.len() < BATCH {
                match urgent.try_recv().map(Queued::Message).or_else(|_| queue.try_recv()) {
                    Ok(queued) => self.add_queued(queued),
                    Err(_) => break,
                }
            }
            self.flush().await?;
        }
    }

    fn add_queued(&mut self, queued: Queued) {
        match queued {
            Queued::Message(message) => self.add(&message),
            Queued::Encoded(EncodedMessage { command, frame, permits }) => {
                let payload = &frame[MESSAGE_HEADER_LEN..];
                trace::encoded(MessageDirection::Sent, &self.context, command, payload);
                self.permits.extend(permits);
                self.add_frame(command, frame);
            }
        }
    }

    fn add(&mut self, message: &Message) {
        let frame = encode_frame(self.context.config.magic, message);
        let size = frame.len() - MESSAGE_HEADER_LEN;
        trace::message(MessageDirection::Sent, &self.context, message, size);
        self.add_frame(message.command(), frame);
    }

    fn add_frame(&mut self, command: Command, frame: Vec<u8>) {
        self.context.counters.sent().add_message(command, frame.len());
        let dump = trace::dump(self.context.config.magic, command, &frame[MESSAGE_HEADER_LEN..]);
        trace::bytes(MessageDirection::Sent, &self.context, command, dump);
        if self.batch.is_empty() {
            self.batch = frame;
        } else {
            self.batch.extend_from_slice(&frame);
        }
    }

    async fn flush(&mut self) -> Result<(), Disconnect> {
        let limit = self.context.config.timers.send;
        let write = async {
            self.writer.write_all(&self.batch).await?;
            self.writer.flush().await
        };
        let written = timeout(limit, write).await.map_err(|_| Disconnect::SendTimeout { limit })?;
        written.map_err(|error| Disconnect::broken(&error))?;
        self.context.counters.sent().add(self.batch.len());
        // The batch's memory is freed, so that an idle connection holds none. The next frame becomes the new batch.
        self.batch = Vec::new();
        self.permits.clear();
        Ok(())
    }
}
