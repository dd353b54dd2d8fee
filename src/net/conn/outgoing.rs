//! The half of a connection that we write.

use super::disconnect::Disconnect;
use super::handle::{Context, Counters};
use super::trace::{self, Way};
use crate::wire::{FRAME_HEAD_LEN, Message, encode_frame};
use std::convert::Infallible;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Messages that wait go out in one write until it has this many bytes.
const BATCH: usize = 64 * 1024;

/// The messages that a peer gets.
pub(super) struct Outgoing<W> {
    writer: W,
    batch: Vec<u8>,
    context: Context,
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    pub(super) fn new(writer: W, context: Context) -> Self {
        Self { writer, batch: Vec::new(), context }
    }

    /// Sends these messages, in one write.
    pub(super) async fn write(&mut self, messages: &[Message]) -> Result<(), Disconnect> {
        for message in messages {
            self.add(message);
        }
        self.flush().await
    }

    /// Sends what the two queues bring, `urgent` first, until the connection or the second queue ends.
    pub(super) async fn run(
        mut self,
        mut urgent: mpsc::Receiver<Message>,
        mut queue: mpsc::Receiver<Message>,
    ) -> Result<Infallible, Disconnect> {
        loop {
            let message = tokio::select! {
                biased;
                Some(message) = urgent.recv() => message,
                message = queue.recv() => message.ok_or(Disconnect::Requested)?,
            };
            self.add(&message);
            while self.batch.len() < BATCH {
                match urgent.try_recv().or_else(|_| queue.try_recv()) {
                    Ok(message) => self.add(&message),
                    Err(_) => break,
                }
            }
            self.flush().await?;
        }
    }

    fn add(&mut self, message: &Message) {
        let (magic, command) = (self.context.config.magic, message.command());
        let frame = encode_frame(magic, message);
        let payload = &frame[FRAME_HEAD_LEN..];
        trace::message(Way::Sent, &self.context, message, payload.len());
        let dump = trace::dump(magic, command, payload);
        trace::bytes(Way::Sent, &self.context, command, dump);
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
        Counters::add(&self.context.counters.sent, self.batch.len());
        self.batch.clear();
        Ok(())
    }
}
