//! The half of a connection that the peer writes.

use super::config::HANDSHAKE_MAX_PAYLOAD;
use super::disconnect::Disconnect;
use super::handle::{Context, Counters};
use super::spoken::Spoken;
use super::trace::{self, Way};
use crate::wire::{Command, FrameDecoder, FrameError, Message};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// Bytes taken from the socket at once: most of a full `headers` message (162 kB) in one call.
const READ_BUFFER: usize = 128 * 1024;

/// The messages that a peer sends.
pub(super) struct Incoming<R> {
    reader: R,
    buffer: Vec<u8>,
    decoder: FrameDecoder,
    /// When the message that is coming in began.
    begun: Option<Instant>,
    /// Whether the peer sent a whole message yet.
    greeted: bool,
    context: Context,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(reader: R, context: Context) -> Self {
        Self {
            reader,
            buffer: vec![0; READ_BUFFER],
            decoder: FrameDecoder::new(context.config.magic, HANDSHAKE_MAX_PAYLOAD),
            begun: None,
            greeted: false,
            context,
        }
    }

    /// The handshake is done: the peer may send what the protocol allows.
    pub(super) fn allow_large_messages(&mut self) {
        self.decoder.set_max_payload(self.context.config.max_payload);
    }

    /// Waits for bytes. Nothing is lost if the wait is given up.
    pub(super) async fn fill(&mut self) -> Result<(), Disconnect> {
        let read = self.reader.read(&mut self.buffer).await;
        let length = read.map_err(|error| Disconnect::broken(&error))?;
        if length == 0 {
            return Err(Disconnect::Closed);
        }
        Counters::add(&self.context.counters.received, length);
        self.decoder.push(&self.buffer[..length]);
        Ok(())
    }

    /// The next message among the bytes that came, if there is a whole one.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Disconnect> {
        loop {
            let frame = self.decoder.next_frame().map_err(|error| self.explain(error))?;
            let Some(frame) = frame else {
                self.check_protocol()?;
                self.record_beginning();
                return Ok(None);
            };
            self.begun = None;
            self.greeted = true;
            let (command, size) = (frame.command, frame.payload.len());
            let dump = trace::dump(self.context.config.magic, command, &frame.payload);
            match Message::decode(command, frame.payload) {
                Ok(message) => {
                    trace::message(Way::Received, &self.context, &message, size);
                    trace::bytes(Way::Received, &self.context, command, dump);
                    return Ok(Some(message));
                }
                Err(error) => {
                    trace::undecoded(&self.context, command, size, &error);
                    trace::bytes(Way::Received, &self.context, command, dump);
                    if !is_dispensable(command) {
                        return Err(Disconnect::Decode { command, error });
                    }
                }
            }
        }
    }

    /// When the message that is coming in must be complete.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + self.context.config.timers.message)
    }

    fn record_beginning(&mut self) {
        if !self.decoder.is_mid_message() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
    }

    /// Fails if the first bytes are another protocol's; they may be fewer than the head of a message.
    fn check_protocol(&self) -> Result<(), Disconnect> {
        let (unread, magic) = (self.decoder.unread(), self.context.config.magic);
        let is_ours = magic.iter().zip(unread).all(|(expected, got)| expected == got);
        match Spoken::by_first_bytes(unread) {
            Some(spoken) if !self.greeted && !is_ours => Err(Disconnect::OtherProtocol { spoken }),
            _ => Ok(()),
        }
    }

    /// A wrong magic is another network's if it is the first or a known one; else the stream is broken.
    fn explain(&self, error: FrameError) -> Disconnect {
        let FrameError::WrongMagic { expected, got } = error else {
            return Disconnect::Frame(error);
        };
        let known = self.context.config.known_magics.iter().find(|(magic, _)| *magic == got);
        let name = known.map(|(_, name)| *name);
        if self.greeted && name.is_none() {
            return Disconnect::Frame(error);
        }
        if let (None, Err(other)) = (name, self.check_protocol()) {
            return other;
        }
        Disconnect::WrongNetwork { expected, got, name }
    }
}

/// Whether a malformed message of that name is only logged.
///
/// Bitcoin Core logs and forgets any message it cannot decode. Here that goes for those on which nothing depends; a
/// peer that garbles any other would leave a request of ours unanswered, and is dropped so that another gets it.
fn is_dispensable(command: Command) -> bool {
    matches!(command, Command::FEEFILTER | Command::REJECT | Command::SENDCMPCT)
}
