//! The messages that a peer sends, decoded from a stream of bytes.

use super::config::HANDSHAKE_MAX_PAYLOAD;
use super::disconnect::Disconnect;
use super::handle::Context;
use super::other_protocol::OtherProtocol;
use super::trace::{self, MessageDirection};
use crate::wire::{Command, FrameDecoder, FrameError, MESSAGE_HEADER_LEN, Message};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// Most bytes that are read at once. A full `headers` message has 162 kB, so it takes two reads or more.
const READ_BUFFER: usize = 128 * 1024;

/// Reads messages from a peer.
pub(super) struct Incoming<R> {
    reader: R,
    buffer: Vec<u8>,
    decoder: FrameDecoder,
    /// When the first byte of an incomplete message came; `None` if no message is incomplete.
    message_start: Option<Instant>,
    /// Whether the peer has sent a whole message.
    has_sent_message: bool,
    context: Context,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(reader: R, context: Context) -> Self {
        Self {
            reader,
            buffer: vec![0; READ_BUFFER],
            decoder: FrameDecoder::new(context.config.magic, HANDSHAKE_MAX_PAYLOAD),
            message_start: None,
            has_sent_message: false,
            context,
        }
    }

    /// Allows payloads of up to [`Config::max_payload`](super::Config::max_payload), since the handshake is complete.
    pub(super) fn allow_large_messages(&mut self) {
        self.decoder.set_max_payload(self.context.config.max_payload);
    }

    /// Waits for bytes. No byte is lost if the wait is cancelled.
    pub(super) async fn fill(&mut self) -> Result<(), Disconnect> {
        let read = self.reader.read(&mut self.buffer).await;
        let length = read.map_err(|error| Disconnect::broken(&error))?;
        if length == 0 {
            return Err(Disconnect::Closed);
        }
        self.context.counters.received().add(length);
        self.decoder.push(&self.buffer[..length]);
        Ok(())
    }

    /// Returns the next message, if all of its bytes have come.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Disconnect> {
        loop {
            let frame = self.decoder.next_frame().map_err(|error| self.explain(error))?;
            let Some(frame) = frame else {
                self.check_protocol()?;
                self.record_message_start();
                return Ok(None);
            };
            self.message_start = None;
            self.has_sent_message = true;
            let (command, size) = (frame.command, frame.payload.len());
            self.context.counters.received().add_message(command, MESSAGE_HEADER_LEN + size);
            let dump = trace::dump(self.context.config.magic, command, &frame.payload);
            match Message::decode(command, frame.payload) {
                Ok(message) => {
                    trace::message(MessageDirection::Received, &self.context, &message, size);
                    trace::bytes(MessageDirection::Received, &self.context, command, dump);
                    return Ok(Some(message));
                }
                Err(error) => {
                    trace::undecoded(&self.context, command, size, &error);
                    trace::bytes(MessageDirection::Received, &self.context, command, dump);
                    if !is_dispensable(command) {
                        return Err(Disconnect::Decode { command, error });
                    }
                }
            }
        }
    }

    /// Returns when an incomplete message must be complete; `None` if no message is incomplete.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.message_start.map(|start| start + self.context.config.timers.message)
    }

    fn record_message_start(&mut self) {
        if !self.decoder.is_mid_message() {
            self.message_start = None;
        } else if self.message_start.is_none() {
            self.message_start = Some(Instant::now());
        }
    }

    /// Fails if the peer's first bytes belong to another protocol, even if they are too few for a message header.
    fn check_protocol(&self) -> Result<(), Disconnect> {
        let (unread, magic) = (self.decoder.unread(), self.context.config.magic);
        let is_ours = magic.iter().zip(unread).all(|(expected, got)| expected == got);
        match OtherProtocol::by_first_bytes(unread) {
            Some(protocol) if !self.has_sent_message && !is_ours => {
                Err(Disconnect::OtherProtocol { protocol })
            }
            _ => Ok(()),
        }
    }

    /// Returns the reason for which a framing error ends the connection. A wrong magic means another network if a known
    /// network has this magic. An unknown magic means another protocol or network if no message came before it;
    /// otherwise the stream is broken.
    fn explain(&self, error: FrameError) -> Disconnect {
        let FrameError::WrongMagic { expected, got } = error else {
            return Disconnect::Frame(error);
        };
        let known = self.context.config.known_magics.iter().find(|(magic, _)| *magic == got);
        let name = known.map(|(_, name)| *name);
        if self.has_sent_message && name.is_none() {
            return Disconnect::Frame(error);
        }
        if let (None, Err(other)) = (name, self.check_protocol()) {
            return other;
        }
        Disconnect::WrongNetwork { expected, got, name }
    }
}

/// Returns whether a malformed message of this kind is only logged.
///
/// Bitcoin Core logs a malformed message of any kind, and keeps the connection. Here, a malformed message of another
/// kind ends the connection: it may be the answer to a request, which another peer then gets.
fn is_dispensable(command: Command) -> bool {
    matches!(command, Command::FEEFILTER | Command::REJECT | Command::SENDCMPCT)
}
