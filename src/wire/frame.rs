//! Cuts a stream of bytes into messages, and encodes messages to be sent.

use super::command::{COMMAND_LEN, Command};
use super::error::FrameError;
use super::headers::encode_entries;
use super::message::Message;
use crate::primitives::sha256d;

/// Length in bytes of a message's head (Bitcoin Core `CMessageHeader`): magic 4, command 12, payload length 4
/// (little-endian), checksum 4.
pub const MESSAGE_HEADER_LEN: usize = 24;

/// Longest payload in bytes that any message may have. Source: Bitcoin Core `MAX_PROTOCOL_MESSAGE_LENGTH`.
pub const MAX_PAYLOAD: u32 = 4_000_000;

/// Length in bytes of the longest CompactSize, which is the count in front of a list.
const MAX_COUNT_LEN: usize = 9;

/// A whole message, checked but not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The name of the message.
    pub command: Command,
    /// The payload, whose length and checksum are as the head says.
    pub payload: Vec<u8>,
}

/// A decoded head whose payload is still coming in.
#[derive(Debug)]
struct Body {
    command: Command,
    length: usize,
    checksum: [u8; 4],
    payload: Vec<u8>,
}

/// Cuts the bytes of a connection into messages, however they were split on the way.
///
/// Push the bytes that arrive, then take frames until there is none. A [`FrameError`] is final: close the connection,
/// since the start of the next message is unknown.
///
/// # Security
/// Magic, command and length are checked as soon as the head has arrived. A payload's buffer grows with the bytes that
/// arrive, to at most twice their number, so a claimed length alone costs nothing.
#[derive(Debug)]
pub struct FrameDecoder {
    magic: [u8; 4],
    max_payload: u32,
    /// The bytes from `start` on are not read yet. There are none while `body` is incomplete.
    input: Vec<u8>,
    start: usize,
    body: Option<Body>,
}

impl FrameDecoder {
    /// Returns a decoder for one connection on the network with this magic, for payloads up to `max_payload` bytes.
    pub fn new(magic: [u8; 4], max_payload: u32) -> Self {
        Self { magic, max_payload, input: Vec::new(), start: 0, body: None }
    }

    /// Changes the payload limit for messages whose head was not read yet.
    pub fn set_max_payload(&mut self, max_payload: u32) {
        self.max_payload = max_payload;
    }

    /// Returns whether a message has begun and not ended.
    pub fn is_mid_message(&self) -> bool {
        self.body.is_some() || self.start < self.input.len()
    }

    /// Returns the bytes that have arrived and that belong to no message whose head was read.
    pub fn unread(&self) -> &[u8] {
        &self.input[self.start..]
    }

    /// Adds bytes that have arrived. While a payload is incomplete, its bytes go straight into its buffer.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if let Some(body) = &mut self.body {
            bytes = body.fill(bytes);
        }
        // The unread bytes are moved to the front only if there are at most as many as were read before them. So at
        // most one byte is moved for each byte that is read.
        if self.start >= self.input.len() - self.start {
            self.input.drain(..self.start);
            self.start = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Returns the next whole message, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// The magic is another network's, the command is malformed, the payload is too long, or its checksum is wrong.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.body.is_none() {
            let Some((head, rest)) = self.unread().split_first_chunk::<MESSAGE_HEADER_LEN>() else {
                return Ok(None);
            };
            let mut body = self.read_message_header(head)?;
            let left = body.fill(rest).len();
            self.start = self.input.len() - left;
            self.body = Some(body);
        }
        match self.body.take() {
            Some(body) if body.missing() == 0 => body.finish().map(Some),
            unfinished => {
                self.body = unfinished;
                Ok(None)
            }
        }
    }

    fn read_message_header(&self, head: &[u8; MESSAGE_HEADER_LEN]) -> Result<Body, FrameError> {
        let magic = part::<4>(head, 0);
        if magic != self.magic {
            return Err(FrameError::WrongMagic { expected: self.magic, got: magic });
        }
        let name = part::<COMMAND_LEN>(head, 4);
        let command = Command::from_bytes(name).ok_or(FrameError::BadCommand { got: name })?;
        let length = u32::from_le_bytes(part(head, 16));
        if length > self.max_payload {
            return Err(FrameError::TooLong { limit: self.max_payload, got: length, command });
        }
        Ok(Body {
            command,
            length: usize::try_from(length).expect("within a limit that memory can hold"),
            checksum: part(head, 20),
            payload: Vec::new(),
        })
    }
}

fn part<const N: usize>(head: &[u8; MESSAGE_HEADER_LEN], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&head[at..at + N]);
    part
}

impl Body {
    fn missing(&self) -> usize {
        self.length - self.payload.len()
    }

    /// Takes the bytes that belong to this payload, and returns the rest.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(self.missing()));
        let arrived = self.payload.len() + taken.len();
        if arrived > self.payload.capacity() {
            let capacity = self.length.min(arrived * 2);
            self.payload.reserve_exact(capacity - self.payload.len());
        }
        self.payload.extend_from_slice(taken);
        rest
    }

    fn finish(self) -> Result<Frame, FrameError> {
        let expected = checksum(&self.payload);
        if expected != self.checksum {
            let (got, command) = (self.checksum, self.command);
            return Err(FrameError::BadChecksum { expected, got, command });
        }
        Ok(Frame { command: self.command, payload: self.payload })
    }
}

/// Returns the first four bytes of the payload's double SHA-256.
fn checksum(payload: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256d(payload);
    [a, b, c, d]
}

/// Encodes a message with its head, ready to be sent.
///
/// # Panics
/// If the payload has 4 GiB or more. No message that came through a [`FrameDecoder`] has so many bytes.
pub fn encode_frame(magic: [u8; 4], message: &Message) -> Vec<u8> {
    frame(magic, message.command(), 40, |out| message.encode_payload(out))
}

/// Encodes a `headers` message with its head, ready to be sent. `entries` are the headers as they go over the wire: 80
/// bytes each, and a zero byte after each.
///
/// This saves a node that serves a stored chain from making a [`HeadersMessage`](super::HeadersMessage).
///
/// # Panics
/// If the payload, which is the count and the entries, has 4 GiB or more.
pub fn encode_headers_frame(magic: [u8; 4], entries: &[u8]) -> Vec<u8> {
    let size = entries.len() + MAX_COUNT_LEN;
    frame(magic, Command::HEADERS, size, |out| encode_entries(entries, out))
}

/// Encodes a message whose payload `write` appends. `size` is an estimate of the payload's length in bytes.
fn frame(
    magic: [u8; 4],
    command: Command,
    size: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(MESSAGE_HEADER_LEN + size);
    out.extend_from_slice(&magic);
    out.extend_from_slice(&command.to_bytes());
    out.extend_from_slice(&[0; 8]);
    write(&mut out);
    let payload = &out[MESSAGE_HEADER_LEN..];
    let length = u32::try_from(payload.len()).expect("no message has 4 GiB").to_le_bytes();
    let checksum = checksum(payload);
    out[16..20].copy_from_slice(&length);
    out[20..24].copy_from_slice(&checksum);
    out
}

#[cfg(test)]
mod tests {
    use super::{Command, Frame, FrameDecoder, FrameError, MAX_PAYLOAD, Message};
    use super::{encode_frame, encode_headers_frame};
    use crate::primitives::{Header, hex};
    use crate::wire::HeadersMessage;

    const MAIN: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];

    fn verack() -> Vec<u8> {
        hex::decode("f9beb4d976657261636b000000000000000000005df6e0e2").unwrap()
    }

    fn decode(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
        let mut decoder = FrameDecoder::new(MAIN, MAX_PAYLOAD);
        decoder.push(bytes);
        decoder.next_frame()
    }

    #[test]
    fn verack_has_the_known_bytes_both_ways() {
        assert_eq!(encode_frame(MAIN, &Message::Verack), verack());
        let frame = Frame { command: Command::VERACK, payload: Vec::new() };
        assert_eq!(decode(&verack()), Ok(Some(frame)));
    }

    #[test]
    fn headers_from_their_entries_are_the_same_message() {
        for count in [0, 1, 252, 253, 2000] {
            let header = Header::decode(&[7; 80]);
            let headers = Message::Headers(HeadersMessage::plain(vec![header; count]));
            let entry = [&header.encode()[..], &[0]].concat();
            assert_eq!(
                encode_headers_frame(MAIN, &entry.repeat(count)),
                encode_frame(MAIN, &headers)
            );
        }
    }

    #[test]
    fn another_networks_magic_is_kept_in_the_error() {
        let testnet = [0x0b, 0x11, 0x09, 0x07];
        assert_eq!(
            decode(&encode_frame(testnet, &Message::Verack)),
            Err(FrameError::WrongMagic { expected: MAIN, got: testnet })
        );
    }

    #[test]
    fn a_command_with_bytes_after_its_padding_is_refused() {
        let mut bytes = verack();
        bytes[15] = b'x';
        assert!(matches!(decode(&bytes), Err(FrameError::BadCommand { got }) if got[11] == b'x'));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_from_the_head_alone() {
        let mut bytes = verack();
        bytes[16..20].copy_from_slice(&(MAX_PAYLOAD + 1).to_le_bytes());
        let command = Command::VERACK;
        assert_eq!(
            decode(&bytes),
            Err(FrameError::TooLong { limit: MAX_PAYLOAD, got: MAX_PAYLOAD + 1, command })
        );
    }

    #[test]
    fn a_raised_limit_holds_for_the_next_message() {
        let message = Message::Unknown { command: Command::TX, payload: vec![7; 100] };
        let mut decoder = FrameDecoder::new(MAIN, 50);
        decoder.push(&verack());
        decoder.push(&encode_frame(MAIN, &message));
        assert!(decoder.next_frame().unwrap().is_some());
        decoder.set_max_payload(100);
        assert_eq!(decoder.next_frame().unwrap().unwrap().payload, [7; 100]);
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut bytes = verack();
        bytes[23] ^= 1;
        assert!(matches!(
            decode(&bytes),
            Err(FrameError::BadChecksum { expected: [0x5d, 0xf6, 0xe0, 0xe2], .. })
        ));
    }

    #[test]
    fn memory_grows_with_what_arrives_not_with_what_is_claimed() {
        let mut head = verack();
        head[16..20].copy_from_slice(&MAX_PAYLOAD.to_le_bytes());
        let mut decoder = FrameDecoder::new(MAIN, MAX_PAYLOAD);
        decoder.push(&head);
        assert_eq!(decoder.next_frame(), Ok(None));
        for arrived in 1..=3000 {
            decoder.push(&[0]);
            assert_eq!(decoder.next_frame(), Ok(None));
            let capacity = decoder.body.as_ref().unwrap().payload.capacity();
            assert!(capacity <= 2 * arrived, "{capacity} reserved for {arrived}");
        }
        assert!(decoder.is_mid_message());
    }
}
