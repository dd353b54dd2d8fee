//! Reads the log from the snapshot on, as sled does when it opens, but writes nothing.

use super::message::{
    LogMessage, Lsn, MessageKind, Read, SegmentHead, body_in_file, file_number, number_of_message,
    segment_number,
};
use super::segment::{Item, Items};
use super::snapshot::{NodePlace, Place, Snapshot};
use super::{LogError, SEGMENT, SEGMENT_BYTES, SEGMENT_HEAD};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The node id in the message that begins a batch (`BATCH_MANIFEST_PID` in sled).
const MANIFEST_PID: u64 = u64::MAX - 666;

/// The content of the log, up to its end.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// Where each node is, by id.
    pub(super) nodes: Vec<NodePlace>,
    /// What is wrong with the log, if no interrupted write explains it. sled would cut the log at the damage, and
    /// erase the rest.
    pub(super) damage: Option<String>,
    /// The folder of message bodies that have files of their own.
    pub(super) blobs: PathBuf,
    /// The parts of the file to erase so that sled does not read the torn batch, the last part first. The batch never
    /// reached the disk as a whole, but sled would read it as if it had.
    pub(super) torn: Vec<Range<u64>>,
}

/// A segment of the log that is in use.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    /// Up to where sled had handed the log to the operating system when it began the segment.
    stable: Lsn,
}

/// The segments, by where in the log they begin.
type Segments = BTreeMap<Lsn, Segment>;

/// [`SEGMENT`] as a distance of log positions.
const SEGMENT_LSN: Lsn = 512 * 1024;

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
    let (batch, canceled) = find_last_batch(file, &segments, from)?;
    let found = log.find_end(file, &segments, stable, batch)?;
    let end = canceled.map_or(found, |start| found.min(start - 1));
    if end + 1 < from {
        log.record_damage("the log ends before the snapshot does");
    }
    if end < found || end < stable - stable % SEGMENT_LSN {
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

    /// Returns the segments in use from position `first` of the log on.
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

    /// Finds the place of a segment with a damaged header: its first message carries the segment's number. A free
    /// segment has no message at its start.
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

    /// Returns the position of the log's last byte.
    ///
    /// The store fsyncs each batch before the next one begins, so a gap in a batch before the last one is damage. But
    /// after a power cut, or a panic in one of sled's writing threads, any part of the log after the second-to-last
    /// batch may be missing: parts of the last batch, or of nodes that sled wrote again before that batch. `stable`
    /// does not help: sled has handed the log up to there to the operating system, but need not have synced it. A
    /// segment that is missing below `stable` was freed.
    fn find_end(
        &mut self,
        file: &File,
        segments: &Segments,
        stable: Lsn,
        batch: Option<LastBatch>,
    ) -> Result<Lsn, LogError> {
        let start_of = |lsn: Lsn| lsn - lsn % SEGMENT_LSN;
        let first = start_of(batch.map_or(stable, |batch| batch.start.min(stable)));
        let mut search =
            EndSearch { batch, end: -1, tear: None, torn_file: None, unwritten: BTreeMap::new() };
        let mut expected = start_of(stable);
        for (lsn, segment) in segments.range(first..) {
            if *lsn > expected {
                search.record_tear();
            }
            expected = expected.max(lsn + SEGMENT_LSN);
            let bytes = read_segment(file, segment.offset)?;
            search.end = search.end.max(lsn + Lsn::try_from(SEGMENT_HEAD).unwrap_or(0) - 1);
            for (at, item) in Items::new(&bytes, segment_number(*lsn), SEGMENT_HEAD) {
                match item {
                    Item::Gap => search.record_tear(),
                    Item::Message(message) => {
                        self.search_end(
                            &mut search,
                            &message,
                            lsn + Lsn::try_from(at).unwrap_or(0),
                        );
                    }
                }
            }
        }
        Ok(search.result())
    }

    /// Moves the end to the last byte of the message that begins at `start`. If the message begins a batch, records
    /// damage if a gap before it cannot be a torn write.
    fn search_end(&mut self, search: &mut EndSearch, message: &LogMessage<'_>, start: Lsn) {
        if search.batch.is_some_and(|batch| start > batch.previous_end) {
            self.record_file(message, search);
        }
        let is_torn = |tear: Lsn| search.batch.is_some_and(|batch| batch.is_torn(start, tear));
        if message.kind == MessageKind::Manifest && search.tear.is_some_and(|tear| !is_torn(tear)) {
            search.tear = None;
            self.record_damage("the log has a hole before its end");
        }
        search.end = start + Lsn::try_from(message.len).unwrap_or(0) - 1;
    }

    /// Records a message whose blob file never reached the disk as a whole: `search.end` is the last byte before it.
    ///
    /// If the file is missing, sled skips the message, since it removes the file once the node is written again or freed.
    /// At a file that is there but not whole, sled ends the log, even if the node is written again later.
    fn record_file(&self, message: &LogMessage<'_>, search: &mut EndSearch) {
        let body = file_number(message).map(|file| fs::read(self.blobs.join(file.to_string())));
        match body {
            Some(Err(_)) => {
                search.unwritten.entry(message.pid).or_insert(search.end);
            }
            Some(Ok(bytes)) if body_in_file(&bytes, message.kind).is_none() => {
                search.torn_file.get_or_insert(search.end);
            }
            _ if matches!(message.kind, MessageKind::Node | MessageKind::Free) => {
                search.unwritten.remove(&message.pid);
            }
            _ => {}
        }
    }

    /// Applies a segment's messages; returns whether the log goes on in the next segment.
    fn apply(&mut self, bytes: &[u8], start: Lsn, offset: u64, from: Lsn, end: Lsn) -> bool {
        let mut gap = false;
        for (at, item) in Items::new(bytes, segment_number(start), SEGMENT_HEAD) {
            let lsn = start + Lsn::try_from(at).unwrap_or(Lsn::MAX);
            if lsn > end {
                return false;
            }
            let Item::Message(message) = item else {
                // sled may have overwritten a free segment only in part. Then no message follows the gap.
                gap = true;
                continue;
            };
            if gap {
                self.record_damage("a message of the log is damaged");
            }
            if message.kind == MessageKind::Manifest {
                if last_of_batch(&message) > end {
                    return false;
                }
            } else if lsn >= from {
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                self.put(&message, Place { lsn, offset: offset.saturating_add(at) });
            }
        }
        true
    }

    fn put(&mut self, message: &LogMessage<'_>, place: Place) {
        let Ok(at) = usize::try_from(message.pid) else { return };
        // sled removes a blob file once its node is written again later in the log. So a message without its file is
        // outdated.
        if file_number(message).is_some_and(|file| !self.blobs.join(file.to_string()).exists()) {
            return;
        }
        let known = self.nodes.get_mut(at);
        match (message.kind, known) {
            (MessageKind::Canceled | MessageKind::Cap | MessageKind::Manifest, _) => {}
            (MessageKind::Link, Some(NodePlace::At(base, changes))) => {
                if changes.last().unwrap_or(base).lsn < place.lsn {
                    changes.push(place);
                }
            }
            // Without the node that it changes, the message is outdated: the node is written again or freed later.
            (MessageKind::Link, _) => {}
            (kind, _) => {
                if self.nodes.len() <= at {
                    self.nodes.resize(at + 1, NodePlace::Missing);
                }
                let free = kind == MessageKind::Free;
                self.nodes[at] =
                    if free { NodePlace::Free } else { NodePlace::At(place, Vec::new()) };
            }
        }
    }
}

/// Returns the parts of the file that make sled read on after `end`: the rest of the segment that contains `end`, and
/// the headers of later segments. The last segment comes first.
fn after(end: Lsn, segments: &Segments) -> Vec<Range<u64>> {
    let cut = |(lsn, segment): (&Lsn, &Segment)| match u64::try_from(end + 1 - lsn) {
        Ok(kept) if kept < SEGMENT => Some(segment.offset + kept..segment.offset + SEGMENT),
        Ok(_) => None,
        Err(_) => Some(segment.offset..segment.offset + SEGMENT_HEAD as u64),
    };
    segments.iter().rev().filter_map(cut).collect()
}

/// The state of a search for the log's end.
struct EndSearch {
    batch: Option<LastBatch>,
    /// The last byte of the message or segment header that was read last.
    end: Lsn,
    /// The last byte before the first gap, which may be a torn write instead of damage.
    tear: Option<Lsn>,
    /// The last byte before the first message whose file is not whole.
    torn_file: Option<Lsn>,
    /// By node, the last byte before the first message whose file is missing.
    unwritten: BTreeMap<u64, Lsn>,
}

impl EndSearch {
    fn record_tear(&mut self) {
        self.tear.get_or_insert(self.end);
    }

    /// Returns the position of the log's last byte.
    fn result(self) -> Lsn {
        let ends = self.tear.into_iter().chain(self.torn_file).chain(self.unwritten.into_values());
        ends.min().unwrap_or(self.end)
    }
}

/// Where the last batch is.
#[derive(Clone, Copy, Debug)]
struct LastBatch {
    start: Lsn,
    /// The last byte of the batch before it, or of what the snapshot covers.
    previous_end: Lsn,
}

impl LastBatch {
    /// Returns whether this batch begins at `start`, and a gap after the byte `end` comes after the end of the previous
    /// batch.
    fn is_torn(self, start: Lsn, end: Lsn) -> bool {
        start == self.start && end >= self.previous_end
    }
}

/// Returns the last batch, and where the first canceled batch after it begins. `from` is where the snapshot ends.
///
/// A batch whose writer failed half-way begins with a canceled message, and sled would take its other messages for
/// changes of their own (`RecoveryGuard` in sled's page cache). The writer then stops, so the rest of the log is of
/// that batch.
fn find_last_batch(
    file: &File,
    segments: &Segments,
    from: Lsn,
) -> Result<(Option<LastBatch>, Option<Lsn>), LogError> {
    let (mut last, mut canceled) = (None, None);
    for (lsn, segment) in segments.iter().rev() {
        let bytes = read_segment(file, segment.offset)?;
        let items: Vec<_> = Items::new(&bytes, segment_number(*lsn), SEGMENT_HEAD).collect();
        for (at, item) in items.into_iter().rev() {
            let Item::Message(message) = item else { continue };
            let start = lsn.saturating_add(Lsn::try_from(at).unwrap_or(Lsn::MAX));
            match (message.kind, last) {
                (MessageKind::Manifest, Some(start)) => {
                    let previous_end = last_of_batch(&message);
                    return Ok((Some(LastBatch { start, previous_end }), canceled));
                }
                (MessageKind::Manifest, None) => last = Some(start),
                (MessageKind::Canceled, None) if message.pid == MANIFEST_PID && start >= from => {
                    canceled = Some(start);
                }
                _ => {}
            }
        }
    }
    Ok((last.map(|start| LastBatch { start, previous_end: from - 1 }), canceled))
}

/// Returns the file offsets of the blocks, each of `block` bytes, that hold parts of the last batch and nothing else.
#[cfg(test)]
pub(in crate::store) fn blocks_of_last_batch(
    file: &File,
    block: usize,
) -> Result<Vec<u64>, LogError> {
    let segments = Replayed::default().find_segments(file, 0)?;
    let start = find_last_batch(file, &segments, 0)?.0.map_or(Lsn::MAX, |batch| batch.start);
    let (mut end, mut blocks) = (start, Vec::new());
    for (lsn, segment) in segments.range(start - start % SEGMENT_LSN..) {
        let bytes = read_segment(file, segment.offset)?;
        let position = |at: usize| lsn + Lsn::try_from(at).unwrap_or(Lsn::MAX);
        for (at, item) in Items::new(&bytes, segment_number(*lsn), SEGMENT_HEAD) {
            match item {
                Item::Message(message) if position(at) == start => end = last_of_batch(&message),
                _ => {}
            }
        }
        // The segment's first block holds the segment's header too.
        let own = (block..SEGMENT_BYTES).step_by(block);
        let own = own.filter(|at| position(*at) > start && position(at + block) <= end);
        blocks.extend(own.map(|at| segment.offset + u64::try_from(at).unwrap_or(u64::MAX)));
    }
    Ok(blocks)
}

/// Returns the position of a batch's last byte, which the message that begins the batch names.
fn last_of_batch(manifest: &LogMessage<'_>) -> Lsn {
    (&mut &*manifest.body).i64().unwrap_or(Lsn::MAX)
}

/// Reads the bytes of a segment, or fewer if the file ends there.
pub(super) fn read_segment(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; SEGMENT_BYTES];
    let read = read_up_to(file, &mut bytes, offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads until the buffer is full or the file ends; returns the number of bytes read.
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
