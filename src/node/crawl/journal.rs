//! The file from which an interrupted crawl continues.
//!
//! The journal is a JSON Lines file to which entries are appended: one that identifies the file, and then, for each
//! run, the new addresses to start with and each peer that was asked, with the new addresses that it sent. Replaying
//! the entries restores the crawl's state. A killed process loses only its open connections; a power cut loses at most
//! the entries since the last sync to the disk.

use super::address::CrawlAddress;
use super::row::PeerRow;
use crate::format::to_u64;
use crate::primitives::Network;
use crate::store::{ErrorKind, FileLock, create_folder};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::warn;

/// The file's name in the network's folder.
pub const JOURNAL_FILE: &str = "crawl.jsonl";

/// The shortest time between two syncs of the file to the disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// The version of the file's format.
const VERSION: u32 = 1;

/// An entry of the journal, which is one line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JournalEntry {
    /// The first entry, which identifies the file.
    Crawl { version: u32, network: String },
    /// New addresses to start with.
    Found(Vec<CrawlAddress>),
    /// A peer that was asked, and the new addresses that it sent.
    Asked { row: PeerRow, learned: Vec<CrawlAddress> },
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process is crawling.
    #[error("another crawl is running in {}: wait for it, or choose another --data-dir", folder.display())]
    InUse {
        /// The network's folder.
        folder: PathBuf,
    },
    /// The file is not a journal of this network and version.
    #[error(
        "{}: not a crawl of {network} that this version can go on with: start again with --restart",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The network.
        network: Network,
    },
}

impl JournalError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Foreign { .. } => ErrorKind::Failed,
            Self::InUse { .. } => ErrorKind::InUse,
        }
    }
}

/// An open journal. Its file is locked against other processes until the journal is dropped.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// The entries of earlier runs.
    pub(super) earlier: Vec<JournalEntry>,
    synced: Instant,
}

impl Journal {
    /// Opens the journal in the network's folder. A missing folder or file is created. If `restart` is true, the
    /// file is emptied.
    ///
    /// # Errors
    /// Another crawl has the file open, or the file is not a journal of this network and version, or cannot be read or
    /// written.
    pub fn open(folder: &Path, network: Network, restart: bool) -> Result<Self, JournalError> {
        let path = folder.join(JOURNAL_FILE);
        let io = |source| JournalError::Io { path: path.clone(), source };
        create_folder(folder).map_err(io)?;
        let FileLock::Acquired(mut file) = FileLock::open(&path).map_err(io)? else {
            return Err(JournalError::InUse { folder: folder.to_owned() });
        };
        if restart {
            file.set_len(0).map_err(io)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (mut earlier, good) = whole_entries(&bytes);
        let first = JournalEntry::Crawl { version: VERSION, network: network.name().to_owned() };
        // A file that does not begin as a journal of this network is left as it is.
        let is_ours = match earlier.first() {
            Some(entry) => *entry == first,
            None => is_torn(&bytes, &first),
        };
        if !is_ours {
            return Err(JournalError::Foreign { path, network });
        }
        if good < bytes.len() {
            warn!("{}: the end is torn: continuing from the last whole entry", path.display());
            file.set_len(to_u64(good)).map_err(io)?;
        }
        file.seek(SeekFrom::Start(to_u64(good))).map_err(io)?;
        let is_new = earlier.is_empty();
        earlier.drain(..usize::from(!is_new));
        let mut journal = Self { file, path, earlier, synced: Instant::now() };
        if is_new {
            journal.append(&first)?;
        }
        Ok(journal)
    }

    /// Returns whether the journal has entries of an earlier run. This is false once the crawl has replayed them.
    pub fn is_resumed(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Appends an entry, which then survives the end of the process. Syncs the file to the disk if the last sync was at
    /// least [`SYNC_INTERVAL`] ago. Only synced entries survive a power cut.
    pub(super) fn append(&mut self, entry: &JournalEntry) -> Result<(), JournalError> {
        let written = self.write(entry);
        written.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }

    fn write(&mut self, entry: &JournalEntry) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(entry)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// Syncs the file to the disk.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }

    /// Removes the file of a finished crawl.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path)
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

/// Returns the entries before the first line that is torn or damaged, and their length in bytes.
fn whole_entries(bytes: &[u8]) -> (Vec<JournalEntry>, usize) {
    let (mut entries, mut good) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let parsed = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
        let Some(parsed) = parsed else { break };
        entries.push(parsed);
        good += line.len();
    }
    (entries, good)
}

/// Returns whether `bytes` is what a power cut may leave of a file with this one entry: the beginning of the entry,
/// which may be empty, and then only zeros.
fn is_torn(bytes: &[u8], entry: &JournalEntry) -> bool {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    serde_json::to_vec(entry).is_ok_and(|whole| whole.starts_with(&bytes[..end]))
}

#[cfg(test)]
mod tests {
    use super::{CrawlAddress, JOURNAL_FILE, Journal, JournalEntry, JournalError, PeerRow};
    use crate::primitives::Network;
    use std::fs;

    fn entries() -> Vec<JournalEntry> {
        let address =
            |at: u32| CrawlAddress { address: format!("127.0.0.{at}:18444"), services: 9 };
        vec![
            JournalEntry::Found(vec![address(1), address(2)]),
            JournalEntry::Asked {
                row: PeerRow::failed("127.0.0.1:18444", Some("no".to_owned())),
                learned: Vec::new(),
            },
            JournalEntry::Asked {
                row: PeerRow::unasked("127.0.0.2:18444", 1),
                learned: vec![address(3)],
            },
        ]
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_keeps_the_entries_before_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), Network::Regtest, false).unwrap();
        let mut journal = open();
        assert!(!journal.is_resumed());
        entries().iter().for_each(|entry| journal.append(entry).unwrap());
        drop(journal);
        let path = folder.path().join(JOURNAL_FILE);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let journal = open();
            let kept = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(journal.earlier, entries()[..kept], "cut at {cut}");
        }
        // A power cut may leave a file of the right length whose last blocks are zeros.
        let mut zeroed = whole.clone();
        zeroed[ends[1] + 5..].fill(0);
        fs::write(&path, &zeroed).unwrap();
        let mut journal = open();
        assert_eq!(journal.earlier, entries()[..1]);
        // The crawl continues from the last whole entry.
        entries()[1..].iter().for_each(|entry| journal.append(entry).unwrap());
        drop(journal);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_journal_belongs_to_one_process_and_one_network() {
        let folder = tempfile::tempdir().unwrap();
        let open = |network, restart| Journal::open(folder.path(), network, restart);
        let journal = open(Network::Regtest, false).unwrap();
        assert!(matches!(open(Network::Regtest, true), Err(JournalError::InUse { .. })));
        drop(journal);
        assert!(matches!(open(Network::Signet, false), Err(JournalError::Foreign { .. })));
        assert!(!open(Network::Signet, true).unwrap().is_resumed());
        open(Network::Signet, false).unwrap().remove().unwrap();
        let path = folder.path().join(JOURNAL_FILE);
        for foreign in ["my notes", "my notes\n", "{\"crawl\":{\"version\":2}}\nand more"] {
            fs::write(&path, foreign).unwrap();
            assert!(matches!(open(Network::Signet, false), Err(JournalError::Foreign { .. })));
            assert_eq!(fs::read_to_string(&path).unwrap(), foreign, "it is left as it is");
        }
        fs::write(&path, [0; 40]).unwrap();
        open(Network::Signet, false).unwrap().remove().unwrap();
        assert!(!folder.path().join(JOURNAL_FILE).exists());
    }
}
