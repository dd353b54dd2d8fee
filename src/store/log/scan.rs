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
pub(in crate::store) struct Extent {
    offset: u64,
    len: usize,
    /// The later a version was written the greater this is; what is damaged comes before all.
    order: i64,
}

/// All values found.
#[derive(Debug, Default)]
pub(in crate::store) struct Found {
    keyed: HashMap<Vec<u8>, Vec<Extent>>,
    /// Values whose keys are lost.
    keyless: Vec<Extent>,
    /// Where in damaged stretches a value ends whose beginning is lost.
    ends: Vec<u64>,
    file: Option<File>,
}

impl Found {
    /// All values with keys.
    pub(in crate::store) fn keyed(&self) -> impl Iterator<Item = (&[u8], &[Extent])> {
        self.keyed.iter().map(|(key, extents)| (key.as_slice(), extents.as_slice()))
    }

    /// The values that a key may have had, the best first: what was written last, and then what is damaged.
    pub(in crate::store) fn of_key(&self, key: &[u8]) -> &[Extent] {
        self.keyed.get(key).map_or(&[], Vec::as_slice)
    }

    /// The values whose keys are lost.
    pub(in crate::store) fn keyless(&self) -> &[Extent] {
        &self.keyless
    }

    /// What is left of values that lie in damaged stretches and were so long, if one was. They may be anything.
    pub(in crate::store) fn fragments(&self, len: usize) -> impl Iterator<Item = Vec<u8>> {
        let starts = self.ends.iter().filter_map(move |end| end.checked_sub(len as u64));
        starts.filter_map(move |offset| self.read(&Extent { offset, len, order: 0 }))
    }

    /// `None` where it cannot be read: it is not there to be had.
    pub(in crate::store) fn read(&self, extent: &Extent) -> Option<Vec<u8>> {
        let mut bytes = vec![0; extent.len];
        let read = read_up_to(self.file.as_ref()?, &mut bytes, extent.offset).ok()?;
        bytes.truncate(read);
        Some(bytes)
    }

    fn add(&mut self, key: Option<Vec<u8>>, extent: Extent) {
        match key {
            Some(key) => self.keyed.entry(key).or_default().push(extent),
            None => self.keyless.push(extent),
        }
    }
}

/// Puts the best version first: what was written last, and then what is damaged.
pub(in crate::store) fn sort_versions(extents: &mut [Extent]) {
    extents.sort_by_key(|extent| std::cmp::Reverse(extent.order));
}

/// What values say of themselves.
pub(in crate::store) trait Values {
    /// Whether bytes in a damaged stretch look like a value of their length.
    fn is_value(&self, bytes: &[u8]) -> bool;

    /// The key of a value, if that shows; `end` is what is known of the key.
    fn key_of(&self, end: &[u8], value: &[u8]) -> Option<Vec<u8>>;
}

/// Looks through the whole file.
///
/// # Errors
/// The system failed.
pub(in crate::store) fn scan(file: &File, values: &impl Values) -> Result<Found, LogError> {
    let mut found = Found { file: Some(file.try_clone()?), ..Found::default() };
    let mut offset = 0;
    let len = file.metadata()?.len();
    while offset < len {
        let bytes = read_segment(file, offset)?;
        if let Some(number) = segment_of(&bytes) {
            scan_segment(&mut found, &bytes, offset, number, values);
        }
        offset += SEGMENT;
    }
    found.keyed.values_mut().for_each(|extents| sort_versions(extents));
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
                if let Some((message, _)) = whole.filter(|(message, _)| message.kind == Kind::Node)
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
    message: &Message<'a>,
    values: &impl Values,
    mut add: impl FnMut(Option<Vec<u8>>, &'a [u8]),
) {
    match message.kind {
        // No page is that large.
        _ if message.in_file => {}
        Kind::Node => {
            let entries = leaf_entries(message.body).unwrap_or_default();
            entries.into_iter().for_each(|(key, value)| add(Some(key), value));
        }
        // Its key lacks what all keys of its node begin with.
        Kind::Link => {
            if let Some((key, value)) = link_entry(message.body) {
                add(values.key_of(key, value), value);
            }
        }
        _ => {}
    }
}

/// Values in a damaged stretch: their length is in front of them, in so many bytes.
fn add_loose<'a>(bytes: &'a [u8], values: &impl Values, mut add: impl FnMut(usize, &'a [u8])) {
    for at in 0..bytes.len() {
        let mut rest = &bytes[at..];
        if let Some(value) = rest.bytes().filter(|value| values.is_value(value)) {
            add(bytes.len() - at - rest.len() - value.len(), value);
        }
    }
}
