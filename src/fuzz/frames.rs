//! Framing: a stream gives the same messages however it is cut.

use super::Bytes;
use crate::wire::{Frame, FrameDecoder, FrameError, MESSAGE_HEADER_LEN, Message, encode_frame};

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// A limit that the fuzzer's streams can reach.
const MAX_PAYLOAD: u32 = 1024;

/// Decodes a stream as a whole and cut into pieces, and compares the results. The input has the number of cuts, the
/// lengths of the pieces before them, a byte that says whether message headers are added, and then the stream. The
/// lengths repeat until the stream ends.
pub(super) fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let cuts: Vec<usize> = (0..bytes.u8() % 16).map(|_| usize::from(bytes.u8()) + 1).collect();
    let is_framed = bytes.u8().is_multiple_of(2);
    let stream = if is_framed { framed(bytes.0) } else { bytes.0.to_vec() };
    let whole = decode(std::iter::once(&stream[..]));
    let mut rest = &stream[..];
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle().take(stream.len()) {
        let (piece, next) = rest.split_at(rest.len().min(*cut));
        pieces.push(piece);
        rest = next;
    }
    pieces.push(rest);
    assert_eq!(decode(pieces.into_iter()), whole, "cut as {cuts:?}");
    check_reencoding(&stream, &whole);
}

/// Returns a stream of messages with valid message headers. In the input, a message has a byte for its command, a byte
/// for a fifth of its payload's length, and its payload.
fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [command, length, after @ ..] = rest {
        let (payload, next) = after.split_at(after.len().min(usize::from(*length) * 5));
        let names = ["tx", "headers", "inv", "verack", "x", "sendheaders1"];
        let command = crate::wire::Command::new(names[usize::from(*command) % names.len()]);
        let message = Message::Unknown { command, payload: payload.to_vec() };
        stream.extend(encode_frame(MAGIC, &message));
        rest = next;
    }
    stream
}

/// Returns the messages, and how the stream ends: with an error, or else whether in the middle of a message.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<bool, FrameError>) {
    let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(decoder.is_mid_message()))
}

/// Checks that the stream begins with the encoded messages, and that the rest of it fits `end`.
fn check_reencoding(stream: &[u8], (frames, end): &(Vec<Frame>, Result<bool, FrameError>)) {
    let mut again = Vec::new();
    for Frame { command, payload } in frames {
        assert!(payload.len() <= MAX_PAYLOAD as usize);
        let message = Message::Unknown { command: *command, payload: payload.clone() };
        again.extend(encode_frame(MAGIC, &message));
    }
    assert!(stream.starts_with(&again));
    let left = stream.len() - again.len();
    match end {
        Ok(is_mid_message) => {
            assert_eq!(*is_mid_message, left > 0);
            assert!(left < MESSAGE_HEADER_LEN + MAX_PAYLOAD as usize);
        }
        Err(_) => assert!(left >= MESSAGE_HEADER_LEN),
    }
}
