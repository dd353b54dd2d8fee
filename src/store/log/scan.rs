//! Finds everything in the log that may once have been a record, for the repair of a database.
//!
//! Nothing found here is trusted: the repair checks each page by the hashes of its headers.

use super::message::{
    LogMessage, MessageKind, Read, SegmentHead, may_begin_at, number_of_message, read_unchecked,
};
use super::node::{leaf_entries, link_entry};
use super::replay::read_up_to;
use super::segment::{Item, Items};
use super::{LogError, SEGMENT, SEGMENT_BYTES, SEGMENT_HEAD};
use crate::store::damage::is_bad_block;
use std::collections::HashMap;
use std::fs::File;
use std::io;

/// How many bytes a disk reads, or fails to read, as a whole: a sector, or a page of the system's cache.
const BLOCK: usize = 4096;

/// The place of a value in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Extent {
    offset: u64,
    len: usize,
    /// Newer versions have greater numbers. Versions from damaged messages have negative numbers.
    order: i64,
}

/// All values that a scan has found.
#[derive(Debug, Default)]
pub(in crate::store) struct Found {
    keyed: HashMap<Vec<u8>, Vec<Extent>>,
    /// Values whose keys are lost.
    keyless: Vec<Extent>,
    /// Offsets in damaged parts of the file at which a value may end whose beginning is lost.
    ends: Vec<u64>,
    file: Option<File>,
}

impl Found {
    /// Returns all values with keys.
    pub(in crate::store) fn keyed(&self) -> impl Iterator<Item = (&[u8], &[Extent])> {
        self.keyed.iter().map(|(key, extents)| (key.as_slice(), extents.as_slice()))
    }

    /// Returns the values that a key may have had: the newest first, damaged ones last.
    pub(in crate::store) fn of_key(&self, key: &[u8]) -> &[Extent] {
        self.keyed.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns the values whose keys are lost.
    pub(in crate::store) fn keyless(&self) -> &[Extent] {
        &self.keyless
    }

    /// Returns the `len` bytes before each place at which a lost value may end. These bytes need not be a value.
    pub(in crate::store) fn fragments(&self, len: usize) -> impl Iterator<Item = Vec<u8>> {
        let starts = self.ends.iter().filter_map(move |end| end.checked_sub(len as u64));
        starts.filter_map(move |offset| self.read(&Extent { offset, len, order: 0 }))
    }

    /// Reads a value; returns `None` if the system cannot read it.
    pub(in crate::store) fn read(&self, extent: &Extent) -> Option<Vec<u8>> {
        read_around_bad_blocks(self.file.as_ref()?, extent.len, extent.offset).ok()
    }

    fn add(&mut self, key: Option<Vec<u8>>, extent: Extent) {
        match key {
            Some(key) => self.keyed.entry(key).or_default().push(extent),
            None => self.keyless.push(extent),
        }
    }
}

/// Sorts the versions of a value: the newest first, damaged ones last.
pub(in crate::store) fn sort_versions(extents: &mut [Extent]) {
    extents.sort_by_key(|extent| std::cmp::Reverse(extent.order));
}

/// Recognises values by their bytes.
pub(in crate::store) trait Values {
    /// Returns whether bytes in a damaged part of the file look like a value.
    fn is_value(&self, bytes: &[u8]) -> bool;

    /// Returns the key of a value if the value shows it. `end` holds the last bytes of the key, as far as they are
    /// known.
    fn key_of(&self, end: &[u8], value: &[u8]) -> Option<Vec<u8>>;
}

/// Searches the whole file.
///
/// # Errors
/// The system failed.
pub(in crate::store) fn scan(file: &File, values: &impl Values) -> Result<Found, LogError> {
    let mut found = Found { file: Some(file.try_clone()?), ..Found::default() };
    let mut offset = 0;
    let len = file.metadata()?.len();
    while offset < len {
        let bytes = read_around_bad_blocks(file, SEGMENT_BYTES, offset)?;
        if let Some(number) = segment_of(&bytes) {
            scan_segment(&mut found, &bytes, offset, number, values);
        }
        offset += SEGMENT;
    }
    found.keyed.values_mut().for_each(|extents| sort_versions(extents));
    Ok(found)
}

/// Reads `len` bytes, or fewer if the file ends there. Blocks that the disk cannot read are left at zero.
fn read_around_bad_blocks(file: &File, len: usize, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = match read_up_to(file, &mut bytes, offset) {
        Err(error) if is_bad_block(&error) => read_by_block(file, &mut bytes, offset)?,
        read => read?,
    };
    bytes.truncate(read);
    Ok(bytes)
}

fn read_by_block(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut at = 0;
    for part in parts_by_block(buffer, offset) {
        match read_up_to(file, part, offset + at as u64) {
            Err(error) if is_bad_block(&error) => part.fill(0),
            Err(error) => return Err(error),
            Ok(read) if read < part.len() => return Ok(at + read),
            Ok(_) => {}
        }
        at += part.len();
    }
    Ok(at)
}

/// Cuts a buffer where blocks of the file begin; `offset` is the buffer's place in the file.
fn parts_by_block(buffer: &mut [u8], offset: u64) -> impl Iterator<Item = &mut [u8]> {
    let before = usize::try_from(offset.next_multiple_of(BLOCK as u64) - offset).unwrap_or(0);
    let (first, rest) = buffer.split_at_mut(before.min(buffer.len()));
    std::iter::once(first).chain(rest.chunks_mut(BLOCK))
}

/// Returns the number that a segment's messages carry, from the segment's header or else from its first intact message.
fn segment_of(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<SEGMENT_HEAD>().and_then(SegmentHead::decode);
    let by_head = head.and_then(|head| u64::try_from(head.lsn).ok()).map(|lsn| lsn / SEGMENT);
    // Most of a free segment is zeros, and few messages begin with a zero.
    let mut starts = (SEGMENT_HEAD..bytes.len()).filter(|at| may_begin_at(*at) && bytes[*at] != 0);
    by_head.or_else(|| starts.find_map(|at| number_of_message(bytes, at)))
}

fn scan_segment(found: &mut Found, bytes: &[u8], offset: u64, number: u64, values: &impl Values) {
    let items: Vec<_> = Items::new(bytes, number, SEGMENT_HEAD).collect();
    for (index, (at, item)) in items.iter().enumerate() {
        let order = i64::try_from(number * SEGMENT).unwrap_or(0) + i64::try_from(*at).unwrap_or(0);
        let place = |value: &[u8]| value.as_ptr() as usize - bytes.as_ptr() as usize;
        let mut add = |key, value: &[u8], order| {
            let extent = Extent { offset: offset + place(value) as u64, len: value.len(), order };
            found.add(key, extent);
        };
        match item {
            Item::Message(message) => {
                add_message(message, values, |key, value| add(key, value, order));
            }
            Item::Gap => {
                let order = order - i64::MAX;
                let end = items.get(index + 1).map_or(bytes.len(), |(next, _)| *next);
                let whole = read_unchecked(bytes, *at, number);
                if let Some((message, _)) =
                    whole.filter(|(message, _)| message.kind == MessageKind::Node)
                {
                    add_message(&message, values, |key, value| add(key, value, order));
                }
                let mut ends = vec![end];
                add_loose(&bytes[*at..end], values, |head, value| {
                    ends.push(place(value) - head);
                    add(values.key_of(&[], value), value, order);
                });
                found.ends.extend(ends.iter().map(|end| offset + *end as u64));
            }
        }
    }
}

fn add_message<'a>(
    message: &LogMessage<'a>,
    values: &impl Values,
    mut add: impl FnMut(Option<Vec<u8>>, &'a [u8]),
) {
    match message.kind {
        // A message with pages is never so large that its body has a file of its own.
        _ if message.in_file => {}
        MessageKind::Node => {
            let entries = leaf_entries(message.body).unwrap_or_default();
            entries.into_iter().for_each(|(key, value)| add(Some(key), value));
        }
        // The key lacks the prefix of its node.
        MessageKind::Link => {
            if let Some((key, value)) = link_entry(message.body) {
                add(values.key_of(key, value), value);
            }
        }
        _ => {}
    }
}

/// Calls `add` for each value in a damaged part of the file, with the number of bytes of the value's length prefix.
fn add_loose<'a>(bytes: &'a [u8], values: &impl Values, mut add: impl FnMut(usize, &'a [u8])) {
    for at in 0..bytes.len() {
        let mut rest = &bytes[at..];
        if let Some(value) = rest.bytes().filter(|value| values.is_value(value)) {
            add(bytes.len() - at - rest.len() - value.len(), value);
        }
    }
}
