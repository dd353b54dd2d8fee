//! Reads the log from the snapshot on, as sled does when it opens, but writes nothing.

use super::message::{
    Kind, Lsn, Message, Read, SegmentHead, file_number, number_of_message, segment_number,
};
use super::segment::{Item, Items};
use super::snapshot::{NodePlace, Place, Snapshot};
use super::{LogError, SEGMENT, SEGMENT_HEAD};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the log says, up to its end.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// Where each node is, by id.
    pub(super) nodes: Vec<NodePlace>,
    /// What is wrong with the log that no interrupted write explains. sled would cut the log there, and erase the rest.
    pub(super) damage: Option<String>,
    /// The folder of bodies that have files of their own.
    pub(super) blobs: PathBuf,
    /// The parts of the file with a torn batch, which never reached the disk as a whole but which sled would read as if
    /// it had. The last part comes first.
    pub(super) torn: Vec<Range<u64>>,
}

/// A segment of the log that is in use.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    /// Up to where the log was on disk when the segment was begun.
    stable: Lsn,
}

/// The segments, by where in the log they begin.
type Segments = BTreeMap<Lsn, Segment>;

/// [`SEGMENT`] in the types of log positions and of buffer lengths.
const SEGMENT_LSN: Lsn = 512 * 1024;
const SEGMENT_BYTES: usize = 512 * 1024;

/// Reads the log from where the snapshot ends.
///
/// # Errors
/// The system failed.
pub(super) fn replay(file: &File, blobs: &Path, snapshot: Snapshot) -> Result<Replayed, LogError> {
    let from = snapshot.stable.unwrap_or(0).max(0);
    let first = from - from % SEGMENT_LSN;
    let blobs = blobs.to_owned();
    let mut log = Replayed { nodes: snapshot.nodes, damage: None, blobs, torn: Vec::new() };
    let segments = log.find_segments(file, first)?;
    let stable = segments.values().map(|segment| segment.stable).fold(first, Lsn::max);
    let batch = last_batch(file, &segments)?;
    let end = log.find_end(file, &segments, stable, batch)?;
    if end + 1 < from {
        log.record_damage("the log ends before the snapshot does");
    }
    if end < stable - stable % SEGMENT_LSN {
        log.torn = after(end, &segments);
    }
    for (lsn, segment) in segments.range(..=end) {
        let bytes = read_segment(file, segment.offset)?;
        if !log.apply(&bytes, *lsn, segment.offset, from, end) {
            break;
        }
    }
    if log.nodes.contains(&NodePlace::Missing) {
        log.record_damage("a node of the tree was never written");
    }
    Ok(log)
}

impl Replayed {
    fn record_damage(&mut self, what: impl Into<String>) {
        self.damage.get_or_insert_with(|| what.into());
    }

    /// The segments in use from a position of the log on.
    fn find_segments(&mut self, file: &File, first: Lsn) -> Result<Segments, LogError> {
        let mut segments = Segments::new();
        let mut headless = Vec::new();
        for offset in (0..file.metadata()?.len()).step_by(SEGMENT_BYTES) {
            let mut start = [0; SEGMENT_HEAD];
            read_up_to(file, &mut start, offset)?;
            match SegmentHead::decode(&start) {
                Some(head) if head.lsn >= first => {
                    let segment = Segment { offset, stable: head.stable };
                    if segments.insert(head.lsn, segment).is_some() {
                        self.record_damage("two segments of the log have the same place");
                    }
                }
                Some(_) => {}
                None => headless.push(offset),
            }
        }
        for offset in headless {
            self.find_headless(file, offset, first, &mut segments)?;
        }
        Ok(segments)
    }

    /// Finds the place of a segment whose header is damaged from its messages. A free segment has none.
    fn find_headless(
        &mut self,
        file: &File,
        offset: u64,
        first: Lsn,
        segments: &mut Segments,
    ) -> Result<(), LogError> {
        let bytes = read_segment(file, offset)?;
        let Some(number) = number_of_message(&bytes, SEGMENT_HEAD) else { return Ok(()) };
        let lsn = Lsn::try_from(number.saturating_mul(SEGMENT)).unwrap_or(-1);
        if lsn >= first && !segments.contains_key(&lsn) {
            self.record_damage("a segment's header is damaged");
            segments.insert(lsn, Segment { offset, stable: -1 });
        }
        Ok(())
    }

    /// The position of the log's last byte.
    ///
    /// Each of our batches is on disk before the next one begins, so a batch that begins after a gap says that the gap
    /// is damage. But after a power cut, of the last batch any part may be there and any other not: what a segment's
    /// header calls stable was handed to the system only. A segment that is missing below that was freed.
    fn find_end(
        &mut self,
        file: &File,
        segments: &Segments,
        stable: Lsn,
        batch: Option<Lsn>,
    ) -> Result<Lsn, LogError> {
        let start_of = |lsn: Lsn| lsn - lsn % SEGMENT_LSN;
        let first = start_of(batch.map_or(stable, |batch| batch.min(stable)));
        let (mut end, mut tear) = (-1, None);
        let mut expected = start_of(stable);
        for (lsn, segment) in segments.range(first..) {
            if *lsn > expected {
                tear.get_or_insert(end);
            }
            expected = expected.max(lsn + SEGMENT_LSN);
            let bytes = read_segment(file, segment.offset)?;
            end = end.max(lsn + Lsn::try_from(SEGMENT_HEAD).unwrap_or(0) - 1);
            for (at, item) in Items::new(&bytes, segment_number(*lsn), SEGMENT_HEAD) {
                match item {
                    Item::Gap => drop(tear.get_or_insert(end)),
                    Item::Message(message) => {
                        if message.kind == Kind::Manifest && tear.take().is_some() {
                            self.record_damage("the log has a hole before its end");
                        }
                        end = lsn + Lsn::try_from(at + message.len).unwrap_or(0) - 1;
                    }
                }
            }
        }
        Ok(tear.unwrap_or(end))
    }

    /// Applies a segment's messages; returns whether the next segment follows.
    fn apply(&mut self, bytes: &[u8], start: Lsn, offset: u64, from: Lsn, end: Lsn) -> bool {
        let mut gap = false;
        for (at, item) in Items::new(bytes, segment_number(start), SEGMENT_HEAD) {
            let lsn = start + Lsn::try_from(at).unwrap_or(Lsn::MAX);
            if lsn > end {
                return false;
            }
            let Item::Message(message) = item else {
                // A free segment may be overwritten only in part. Then no message follows the gap.
                gap = true;
                continue;
            };
            if gap {
                self.record_damage("a message of the log is damaged");
            }
            if message.kind == Kind::Manifest {
                let last = (&mut &*message.body).i64().unwrap_or(Lsn::MAX);
                if last > end {
                    return false;
                }
            } else if lsn >= from {
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                self.put(&message, Place { lsn, offset: offset.saturating_add(at) });
            }
        }
        true
    }

    fn put(&mut self, message: &Message<'_>, place: Place) {
        let Ok(at) = usize::try_from(message.pid) else { return };
        // sled removes the file once the node is written again further on, so the message is outdated.
        if file_number(message).is_some_and(|file| !self.blobs.join(file.to_string()).exists()) {
            return;
        }
        let known = self.nodes.get_mut(at);
        match (message.kind, known) {
            (Kind::Canceled | Kind::Cap | Kind::Manifest, _) => {}
            (Kind::Link, Some(NodePlace::At(base, changes))) => {
                if changes.last().unwrap_or(base).lsn < place.lsn {
                    changes.push(place);
                }
            }
            // The node is written again further on.
            (Kind::Link, _) => {}
            (kind, _) => {
                if self.nodes.len() <= at {
                    self.nodes.resize(at + 1, NodePlace::Missing);
                }
                let free = kind == Kind::Free;
                self.nodes[at] =
                    if free { NodePlace::Free } else { NodePlace::At(place, Vec::new()) };
            }
        }
    }
}

/// Returns the bytes that make sled read on after a position: the rest of its segment, and the headers of later ones.
fn after(end: Lsn, segments: &Segments) -> Vec<Range<u64>> {
    let cut = |(lsn, segment): (&Lsn, &Segment)| match u64::try_from(end + 1 - lsn) {
        Ok(kept) if kept < SEGMENT => Some(segment.offset + kept..segment.offset + SEGMENT),
        Ok(_) => None,
        Err(_) => Some(segment.offset..segment.offset + SEGMENT_HEAD as u64),
    };
    segments.iter().rev().filter_map(cut).collect()
}

/// Returns where the last batch begins, if there is one.
fn last_batch(file: &File, segments: &Segments) -> Result<Option<Lsn>, LogError> {
    for (lsn, segment) in segments.iter().rev() {
        let bytes = read_segment(file, segment.offset)?;
        let items = Items::new(&bytes, segment_number(*lsn), SEGMENT_HEAD);
        let is_manifest = |item: &Item<'_>| matches!(item, Item::Message(message) if message.kind == Kind::Manifest);
        if let Some((at, _)) = items.filter(|(_, item)| is_manifest(item)).last() {
            return Ok(Some(lsn.saturating_add(Lsn::try_from(at).unwrap_or(Lsn::MAX))));
        }
    }
    Ok(None)
}

/// A segment's bytes; fewer where the file ends.
pub(super) fn read_segment(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; SEGMENT_BYTES];
    let read = read_up_to(file, &mut bytes, offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Fills the buffer, or as much of it as the file has.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
