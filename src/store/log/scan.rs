//! Everything in the log that may once have been a record, for the repair of a database.
//!
//! Nothing here is trusted: that a page is what it seems is for its headers to show.

use super::message::{
    Kind, Message, Read, SegmentHead, may_begin_at, number_of_message, read_unchecked,
};
use super::node::{leaf_entries, link_entry};
use super::replay::{read_segment, read_up_to};
use super::segment::{Item, Items};
use super::{LogError, SEGMENT, SEGMENT_HEAD};
use std::collections::HashMap;
use std::fs::File;

/// Where a value is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    offset: u64,
    len: usize,
    /// The later a version was written the greater this is; what is damaged comes before all.
    order: i64,
}

/// All values found.
#[derive(Debug, Default)]
pub(in crate::store) struct Found {
    /// By key, the best first: what was written last, and then what is damaged.
    keyed: HashMap<Vec<u8>, Vec<Extent>>,
    /// Values without a key, by their first 32 bytes: a page begins with its parent's hash.
    loose: HashMap<[u8; 32], Vec<Extent>>,
    file: Option<File>,
}

impl Found {
    /// The values that a key may have had, the best first.
    pub(in crate::store) fn of_key(&self, key: &[u8]) -> Vec<Vec<u8>> {
        self.read_all(self.keyed.get(key))
    }

    /// The values that begin so.
    pub(in crate::store) fn beginning_with(&self, start: &[u8; 32]) -> Vec<Vec<u8>> {
        self.read_all(self.loose.get(start))
    }

    fn add(&mut self, key: Option<Vec<u8>>, value: &[u8], extent: Extent) {
        if let Some(start) = value.first_chunk::<32>() {
            self.loose.entry(*start).or_default().push(extent);
        }
        if let Some(key) = key {
            self.keyed.entry(key).or_default().push(extent);
        }
    }

    fn read_all(&self, extents: Option<&Vec<Extent>>) -> Vec<Vec<u8>> {
        let read = |extent: &Extent| -> Option<Vec<u8>> {
            let mut bytes = vec![0; extent.len];
            let read = read_up_to(self.file.as_ref()?, &mut bytes, extent.offset).ok()?;
            bytes.truncate(read);
            Some(bytes)
        };
        // What cannot be read is not there to be had.
        extents.into_iter().flatten().filter_map(read).collect()
    }

    fn sort(&mut self) {
        for extents in self.keyed.values_mut().chain(self.loose.values_mut()) {
            extents.sort_by_key(|extent| std::cmp::Reverse(extent.order));
        }
    }
}

/// Looks through the whole file. `is_value` says whether bytes in a damaged stretch look like a value of their length.
///
/// # Errors
/// The system failed.
pub(in crate::store) fn scan(
    file: &File,
    is_value: impl Fn(&[u8]) -> bool,
) -> Result<Found, LogError> {
    let mut found = Found { file: Some(file.try_clone()?), ..Found::default() };
    let mut offset = 0;
    let len = file.metadata()?.len();
    while offset < len {
        let bytes = read_segment(file, offset)?;
        if let Some(number) = segment_of(&bytes) {
            scan_segment(&mut found, &bytes, offset, number, &is_value);
        }
        offset += SEGMENT;
    }
    found.sort();
    Ok(found)
}

/// The number that a segment's messages carry, by its header, or else by the first message.
fn segment_of(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<SEGMENT_HEAD>().and_then(SegmentHead::decode);
    let by_head = head.and_then(|head| u64::try_from(head.lsn).ok()).map(|lsn| lsn / SEGMENT);
    // Most of a free segment is zeros, which no message begins with.
    let mut starts = (SEGMENT_HEAD..bytes.len()).filter(|at| may_begin_at(*at) && bytes[*at] != 0);
    by_head.or_else(|| starts.find_map(|at| number_of_message(bytes, at)))
}

fn scan_segment(
    found: &mut Found,
    bytes: &[u8],
    offset: u64,
    number: u64,
    is_value: &impl Fn(&[u8]) -> bool,
) {
    let items: Vec<_> = Items::new(bytes, number, SEGMENT_HEAD).collect();
    for (index, (at, item)) in items.iter().enumerate() {
        let order = i64::try_from(number * SEGMENT).unwrap_or(0) + i64::try_from(*at).unwrap_or(0);
        let mut add = |key, value: &[u8], order| {
            let start = value.as_ptr() as usize - bytes.as_ptr() as usize;
            let extent = Extent { offset: offset + start as u64, len: value.len(), order };
            found.add(key, value, extent);
        };
        match item {
            Item::Message(message) => add_message(message, |key, value| add(key, value, order)),
            Item::Gap => {
                let end = items.get(index + 1).map_or(bytes.len(), |(next, _)| *next);
                let whole = read_unchecked(bytes, *at, number);
                let node = whole.filter(|(message, _)| message.kind == Kind::Node);
                if let Some((message, _)) = node {
                    add_message(&message, |key, value| add(key, value, order - i64::MAX));
                }
                add_loose(&bytes[*at..end], is_value, |value| add(None, value, order - i64::MAX));
            }
        }
    }
}

fn add_message<'a>(message: &Message<'a>, mut add: impl FnMut(Option<Vec<u8>>, &'a [u8])) {
    match message.kind {
        // No page is that large.
        _ if message.in_file => {}
        Kind::Node => {
            let entries = leaf_entries(message.body).unwrap_or_default();
            entries.into_iter().for_each(|(key, value)| add(Some(key), value));
        }
        // Its key lacks what all keys of its node begin with.
        Kind::Link => {
            if let Some((_, value)) = link_entry(message.body) {
                add(None, value);
            }
        }
        _ => {}
    }
}

/// Values in a damaged stretch: their length is in front of them.
fn add_loose<'a>(
    bytes: &'a [u8],
    is_value: &impl Fn(&[u8]) -> bool,
    mut add: impl FnMut(&'a [u8]),
) {
    for at in 0..bytes.len() {
        let mut rest = &bytes[at..];
        if let Some(value) = rest.bytes().filter(|value| is_value(value)) {
            add(value);
        }
    }
}
