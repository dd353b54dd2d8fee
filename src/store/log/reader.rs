//! Looks records up in sled's files.

use super::message::{
    LogMessage, MessageKind, Read, body_in_file, file_number, message_len, read_message,
    segment_number,
};
use super::node::{SearchStep, TreeNode};
use super::replay::{Replayed, read_up_to, replay};
use super::snapshot::{NodePlace, Place, Snapshot};
use super::{LogError, SEGMENT};
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The id of the node that holds the roots of all trees.
const META: u64 = 0;
/// sled's name of the tree that a database has from the start.
const TREE: &[u8] = b"__sled__default";
/// Leaves kept in memory. Neighbouring headers, or the buckets of one index run, lie in few leaves.
const LEAVES: usize = 32;
/// The most nodes that a search or a scan visits: more nodes are taken for a cycle.
const MAX_DEPTH: usize = 1 << 16;
/// Bytes read at once for a message whose length is not known yet: most changes and small nodes are shorter.
const GUESS: usize = 8 * 1024;

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// A database's files, for reading.
#[derive(Debug)]
pub(in crate::store) struct Log {
    file: File,
    /// The folder of message bodies that have files of their own.
    blobs: PathBuf,
    nodes: Vec<NodePlace>,
    root: u64,
    damage: Option<String>,
    ignored_snapshot: bool,
    torn: Vec<Range<u64>>,
    /// The tree's inner nodes that were read so far, by id.
    inner: Mutex<HashMap<u64, Arc<TreeNode>>>,
    /// The leaves that were read last, with their ids.
    leaves: Mutex<VecDeque<(u64, Arc<TreeNode>)>>,
}

impl Log {
    /// Reads a database's snapshot and the log after it, or the whole log if there is no usable snapshot.
    ///
    /// # Errors
    /// The system failed, there is no log, or the log does not lead to a tree.
    pub(in crate::store) fn open(folder: &Path) -> Result<Self, LogError> {
        let file = File::open(folder.join("db"))?;
        let newest = super::files::snapshots(folder)?.into_iter().max();
        let snapshot = newest.as_ref().map(fs::read).transpose()?;
        let snapshot = snapshot.and_then(|bytes| Snapshot::decode(&bytes));
        let ignored_snapshot = newest.is_some() && snapshot.is_none();
        let blobs = folder.join("blobs");
        let Replayed { nodes, damage, blobs, torn } =
            replay(&file, &blobs, snapshot.unwrap_or_default())?;
        let mut log = Self {
            file,
            blobs,
            nodes,
            root: 0,
            damage,
            ignored_snapshot,
            torn,
            inner: Mutex::default(),
            leaves: Mutex::default(),
        };
        log.root = log.find_root()?;
        Ok(log)
    }

    /// Returns what is wrong with the log, although a tree could be read from it; `None` if it is intact. sled would
    /// erase everything after the damage.
    pub(in crate::store) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Erases the torn batch at the log's end, if there is one: sled would read it as if it were whole.
    ///
    /// # Errors
    /// The system failed.
    pub(in crate::store) fn cut_torn_batch(&self, folder: &Path) -> io::Result<()> {
        if self.torn.is_empty() {
            return Ok(());
        }
        let file = File::options().write(true).open(folder.join("db"))?;
        let len = file.metadata()?.len();
        for part in &self.torn {
            let end = part.end.min(len);
            let zeros = vec![0; usize::try_from(end.saturating_sub(part.start)).unwrap_or(0)];
            file.write_all_at(&zeros, part.start)?;
        }
        file.sync_data()
    }

    /// Returns whether there is a snapshot that cannot be used.
    pub(in crate::store) fn ignored_snapshot(&self) -> bool {
        self.ignored_snapshot
    }

    /// Returns the value of a record, if there is one.
    ///
    /// # Errors
    /// Reading failed, or a node on the way to the record is damaged.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        let leaf = self.leaf_of(key)?;
        match leaf.step(key) {
            Some(SearchStep::Here(value)) => Ok(value.map(<[u8]>::to_vec)),
            _ => Err(LogError::damaged("a leaf of the tree does not hold its keys")),
        }
    }

    /// Returns the records from key `from` on, and stops before the first key for which `wanted` returns `false`.
    ///
    /// # Errors
    /// As [`Log::get`].
    pub(in crate::store) fn scan(
        &self,
        from: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Entry>, LogError> {
        let mut found = Vec::new();
        let mut leaf = self.leaf_of(from)?;
        for _ in 0..MAX_DEPTH {
            for (key, value) in leaf.entries().filter(|(key, _)| key.as_slice() >= from) {
                if !wanted(&key) {
                    return Ok(found);
                }
                found.push((key, value.to_vec()));
            }
            match leaf.next {
                Some(next) if !leaf.hi.is_empty() => leaf = self.node(next)?,
                _ => return Ok(found),
            }
        }
        Err(LogError::damaged("the tree's leaves form a cycle"))
    }

    fn leaf_of(&self, key: &[u8]) -> Result<Arc<TreeNode>, LogError> {
        let mut node = self.node(self.root)?;
        for _ in 0..MAX_DEPTH {
            match node.step(key) {
                Some(SearchStep::Here(_)) => return Ok(node),
                Some(SearchStep::Next(next)) => node = self.node(next)?,
                None => return Err(LogError::damaged("the tree does not lead to a key")),
            }
        }
        Err(LogError::damaged("the tree has a cycle"))
    }

    fn find_root(&self) -> Result<u64, LogError> {
        let damaged = || LogError::damaged("the root of the tree is missing");
        let NodePlace::At(place, _) = self.place(META)? else { return Err(damaged()) };
        let body = self.body(META, *place, MessageKind::Meta)?;
        let mut rest = body.as_slice();
        while !rest.is_empty() {
            let (name, pid) = (rest.bytes().ok_or_else(damaged)?, rest.varint());
            if name == TREE {
                return pid.ok_or_else(damaged);
            }
        }
        Err(damaged())
    }

    fn place(&self, pid: u64) -> Result<&NodePlace, LogError> {
        let place = usize::try_from(pid).ok().and_then(|at| self.nodes.get(at));
        place.ok_or_else(|| LogError::damaged("a node of the tree is missing"))
    }

    fn node(&self, pid: u64) -> Result<Arc<TreeNode>, LogError> {
        if let Some(node) = lock(&self.inner).get(&pid) {
            return Ok(node.clone());
        }
        if let Some((_, node)) = lock(&self.leaves).iter().find(|(known, _)| *known == pid) {
            return Ok(node.clone());
        }
        let node = Arc::new(self.read_node(pid)?);
        if node.is_index() {
            lock(&self.inner).insert(pid, node.clone());
        } else {
            let mut leaves = lock(&self.leaves);
            if leaves.len() >= LEAVES {
                leaves.pop_front();
            }
            leaves.push_back((pid, node.clone()));
        }
        Ok(node)
    }

    fn read_node(&self, pid: u64) -> Result<TreeNode, LogError> {
        let damaged = || LogError::damaged(format!("node {pid} of the tree is damaged"));
        let NodePlace::At(base, changes) = self.place(pid)? else { return Err(damaged()) };
        let base = self.body(pid, *base, MessageKind::Node)?;
        let mut node = TreeNode::decode(&base).ok_or_else(damaged)?;
        for change in changes {
            let link = self.body(pid, *change, MessageKind::Link)?;
            node.apply(&link).ok_or_else(damaged)?;
        }
        Ok(node)
    }

    /// Returns the body of the message at `place`, which must be of kind `kind` and about node `pid`.
    fn body(&self, pid: u64, place: Place, kind: MessageKind) -> Result<Vec<u8>, LogError> {
        let damaged = || LogError::damaged(format!("the message at {} is damaged", place.offset));
        let in_segment = SEGMENT - place.offset % SEGMENT;
        let in_segment = usize::try_from(in_segment).map_err(|_| damaged())?;
        let bytes = self.read_at_message(place.offset, in_segment)?;
        let message = read_message(&bytes, 0, segment_number(place.lsn)).ok_or_else(damaged)?;
        self.body_of(&message, pid, kind)?.ok_or_else(damaged)
    }

    /// Reads at least the bytes of the message at an offset, but at most `max` bytes.
    fn read_at_message(&self, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; GUESS.min(max)];
        let read = read_up_to(&self.file, &mut bytes, offset)?;
        let len = message_len(&bytes[..read]).unwrap_or(0).min(max);
        bytes.resize(len.max(read), 0);
        let more = read_up_to(&self.file, &mut bytes[read..], offset + read as u64)?;
        bytes.truncate(read + more);
        Ok(bytes)
    }

    fn body_of(
        &self,
        message: &LogMessage<'_>,
        pid: u64,
        kind: MessageKind,
    ) -> Result<Option<Vec<u8>>, LogError> {
        if message.pid != pid || message.kind != kind {
            return Ok(None);
        }
        let Some(file) = file_number(message) else { return Ok(Some(message.body.to_vec())) };
        match fs::read(self.blobs.join(file.to_string())) {
            Ok(bytes) => Ok(body_in_file(&bytes, kind)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
