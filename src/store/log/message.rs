//! Segments and messages of the log.

use super::{RED_ZONE, SEGMENT, SEGMENT_HEAD};

/// A position in the log, counted through all segments ever written: sled's `Lsn`.
pub(super) type Lsn = i64;

/// The content of a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    /// The position in the log at which the segment begins.
    pub(super) lsn: Lsn,
    /// Up to where sled had handed the log to the operating system when it began the segment.
    pub(super) stable: Lsn,
}

impl SegmentHead {
    /// Decodes a segment's header. Returns `None` if it is not valid: the segment is free, or its header is damaged.
    pub(super) fn decode(bytes: &[u8; SEGMENT_HEAD]) -> Option<Self> {
        let mut rest = &bytes[..];
        let crc = rest.u32()? ^ u32::MAX;
        let (lsn, stable) = (rest.i64()? ^ i64::MAX, rest.i64()? ^ i64::MAX);
        let good = crc32fast::hash(&bytes[4..]) == crc && lsn >= 0 && is_segment_start(lsn);
        good.then_some(Self { lsn, stable })
    }
}

fn is_segment_start(lsn: Lsn) -> bool {
    u64::try_from(lsn).is_ok_and(|lsn| lsn.is_multiple_of(SEGMENT))
}

/// Returns the number of the segment that a log position lies in.
pub(super) fn segment_number(lsn: Lsn) -> u64 {
    u64::try_from(lsn).unwrap_or(0) / SEGMENT
}

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    /// Does nothing, since its writer gave up.
    Canceled,
    /// Ends the segment.
    Cap,
    /// Begins a batch, and names the position of the batch's last byte. If the log ends before that byte, the batch is
    /// void.
    Manifest,
    /// Frees a node.
    Free,
    /// The counter of ids, which this program does not use.
    Counter,
    /// The roots of all trees.
    Meta,
    /// A whole node.
    Node,
    /// A change to a node.
    Link,
}

impl MessageKind {
    fn decode(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Canceled,
            2 => Self::Cap,
            3 => Self::Manifest,
            4 => Self::Free,
            5 => Self::Counter,
            6 | 7 => Self::Meta,
            8 | 9 => Self::Node,
            10 | 11 => Self::Link,
            _ => return None,
        })
    }
}

fn is_in_file(kind: u8) -> bool {
    [7, 9, 11].contains(&kind)
}

/// Returns the number of the file that holds a message's body, if a file does.
pub(super) fn file_number(message: &LogMessage<'_>) -> Option<i64> {
    let mut body = message.body;
    message.in_file.then(|| body.i64()).flatten()
}

/// Returns the body of a message from the bytes of its own file; `None` if it is damaged.
pub(super) fn body_in_file(file: &[u8], kind: MessageKind) -> Option<Vec<u8>> {
    let (crc, rest) = file.split_first_chunk::<4>()?;
    let (kind_byte, body) = rest.split_first()?;
    let good = crc32fast::hash(rest) == u32::from_le_bytes(*crc);
    (good && MessageKind::decode(*kind_byte) == Some(kind)).then(|| body.to_vec())
}

/// A message whose checksum matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogMessage<'a> {
    pub(super) kind: MessageKind,
    /// The id of the node that the message is about.
    pub(super) pid: u64,
    pub(super) body: &'a [u8],
    /// Whether the real body is in a file of its own, since it is larger than a quarter of a segment. Then `body` is
    /// only the number of that file.
    pub(super) in_file: bool,
    /// The length of the whole message in bytes.
    pub(super) len: usize,
}

/// Returns whether a message may begin at this position of a segment.
pub(super) fn may_begin_at(at: usize) -> bool {
    usize::try_from(SEGMENT).is_ok_and(|segment| (SEGMENT_HEAD..=segment - RED_ZONE).contains(&at))
}

/// Returns the segment number that the message at a position carries; `None` if there is no intact message.
pub(super) fn number_of_message(segment: &[u8], at: usize) -> Option<u64> {
    let mut rest = segment.get(at + 5..)?;
    rest.varint()?;
    let number = rest.varint()?;
    read_message(segment, at, number).map(|_| number)
}

/// Reads the message at a position of a segment's bytes; returns `None` if there is none or it is damaged.
pub(super) fn read_message(segment: &[u8], at: usize, number: u64) -> Option<LogMessage<'_>> {
    let (message, crc) = read_unchecked(segment, at, number)?;
    let head = &segment[at + 4..at + message.len - message.body.len()];
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(message.body);
    hasher.update(head);
    (hasher.finalize() == crc).then_some(message)
}

/// Returns the length in bytes of the message at the start of `bytes`, according to its head. The message may be
/// damaged, and may continue beyond the end of `bytes`.
pub(super) fn message_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let (_crc, _kind) = (rest.u32()?, rest.u8()?);
    let body = usize::try_from(rest.varint()?).ok()?;
    let (_number, _pid) = (rest.varint()?, rest.varint()?);
    (bytes.len() - rest.len()).checked_add(body)
}

/// Reads a message that may be damaged, and the checksum that it should have.
pub(super) fn read_unchecked(
    segment: &[u8],
    at: usize,
    number: u64,
) -> Option<(LogMessage<'_>, u32)> {
    let bytes = segment.get(at..)?;
    let mut rest = bytes;
    let crc = rest.u32()? ^ u32::MAX;
    let kind_byte = rest.u8()?;
    let kind = MessageKind::decode(kind_byte)?;
    let body_len = usize::try_from(rest.varint()?).ok()?;
    if rest.varint()? != number {
        return None;
    }
    let pid = rest.varint()?;
    let head = bytes.len() - rest.len();
    let body = rest.get(..body_len)?;
    Some((
        LogMessage { kind, pid, body, in_file: is_in_file(kind_byte), len: head + body_len },
        crc,
    ))
}

/// Reads sled's numbers and byte strings from the front of a slice. Each method returns `None` if the slice is too
/// short.
pub(super) trait Read<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]>;

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// Reads a number in 1 to 9 bytes. The first byte is the number itself or says how many bytes follow.
    fn varint(&mut self) -> Option<u64> {
        let first = self.u8()?;
        Some(match first {
            0..=240 => u64::from(first),
            241..=248 => 240 + 256 * u64::from(first - 241) + u64::from(self.u8()?),
            249 => {
                let two = self.take(2)?;
                2288 + 256 * u64::from(two[0]) + u64::from(two[1])
            }
            250.. => {
                let mut wide = [0; 8];
                let bytes = self.take(usize::from(first - 247))?;
                wide[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(wide)
            }
        })
    }

    /// Reads a length and a byte string of this length.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.varint()?;
        self.take(usize::try_from(len).ok()?)
    }
}

impl<'a> Read<'a> for &'a [u8] {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.split_at_checked(count)?;
        *self = rest;
        Some(taken)
    }
}
