//! Iterates over the messages of a segment.

use super::message::{LogMessage, MessageKind, may_begin_at, read_message};

/// What a segment contains at a position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// A message whose checksum matches.
    Message(LogMessage<'a>),
    /// Bytes that are not an intact message, up to the next intact one or to the segment's end.
    Gap,
}

/// The messages of a segment in order, and what lies between them.
///
/// After a gap, the iterator continues with the next intact message that carries the segment's number, if there is one.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    number: u64,
    at: usize,
    ended: bool,
}

impl<'a> Items<'a> {
    /// Starts at the position `at`, which is not in the segment's header.
    pub(super) fn new(bytes: &'a [u8], number: u64, at: usize) -> Self {
        Self { bytes, number, at, ended: false }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (usize, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || !may_begin_at(self.at) {
            return None;
        }
        let at = self.at;
        if let Some(message) = read_message(self.bytes, at, self.number) {
            self.at += message.len;
            self.ended = message.kind == MessageKind::Cap;
            return Some((at, Item::Message(message)));
        }
        let mut after = (at + 1..self.bytes.len()).take_while(|at| may_begin_at(*at));
        match after.find(|at| read_message(self.bytes, *at, self.number).is_some()) {
            Some(next) => self.at = next,
            None => self.ended = true,
        }
        Some((at, Item::Gap))
    }
}
