//! The file that a crawl goes on from.
//!
//! JSON Lines, written as things happen and never changed: what the sources named, then each peer that was asked with
//! what was new of what it told. Whoever reads it again gets the same state. A process that is killed loses nothing but
//! its open connections; a machine that loses power, the last seconds.

use super::address::Told;
use super::row::PeerRow;
use crate::primitives::Network;
use crate::store::Exclusive;
use crate::store::Trouble;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::warn;

/// Name of the file in the network's folder.
pub const JOURNAL_FILE: &str = "crawl.jsonl";

/// How often what was written is made durable.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

const VERSION: u32 = 1;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// The first: what this is.
    Crawl { version: u32, network: String },
    /// Addresses to start with.
    Found(Vec<Told>),
    /// A peer that was asked, and what was new of what it told.
    Asked { row: PeerRow, learned: Vec<Told> },
}

/// Why a crawl cannot be kept or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process is crawling.
    #[error("another crawl is running in {}: wait for it, or choose another --data-dir", folder.display())]
    InUse {
        /// The network's folder.
        folder: PathBuf,
    },
    /// The file is no crawl of this network that this program can read.
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
    /// What kind of trouble this is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Io { .. } | Self::Foreign { .. } => Trouble::Failed,
            Self::InUse { .. } => Trouble::InUse,
        }
    }
}

/// An open file, locked against other processes until dropped.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// What an earlier run has written.
    pub(super) earlier: Vec<Line>,
    synced: Instant,
}

impl Journal {
    /// Opens the file in the network's folder, which is made where it is missing; `restart` empties it.
    ///
    /// # Errors
    /// Another process has it, it is of another kind, or the system refuses.
    pub fn open(folder: &Path, network: Network, restart: bool) -> Result<Self, JournalError> {
        let path = folder.join(JOURNAL_FILE);
        let io = |source| JournalError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(io)?;
        let Exclusive::Ours(mut file) = Exclusive::open(&path).map_err(io)? else {
            return Err(JournalError::InUse { folder: folder.to_owned() });
        };
        if restart {
            file.set_len(0).map_err(io)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (mut earlier, good) = whole_lines(&bytes);
        if good < bytes.len() {
            warn!("{}: the end is torn: going on from what is whole", path.display());
            file.set_len(to_u64(good)).map_err(io)?;
        }
        file.seek(SeekFrom::Start(to_u64(good))).map_err(io)?;
        let first = Line::Crawl { version: VERSION, network: network.name().to_owned() };
        let mut journal = Self { file, path, earlier: Vec::new(), synced: Instant::now() };
        if earlier.is_empty() {
            journal.append(&first)?;
        } else if earlier.remove(0) != first {
            return Err(JournalError::Foreign { path: journal.path, network });
        }
        journal.earlier = earlier;
        Ok(journal)
    }

    /// Whether an earlier run has left something to go on from.
    pub fn is_resumed(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Writes a line; the system has it when this returns, the disk soon.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let written = self.write(line);
        written.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }

    /// Removes the file: the crawl is done.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path)
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

/// The lines up to the first that is none, and how many bytes they have.
fn whole_lines(bytes: &[u8]) -> (Vec<Line>, usize) {
    let (mut lines, mut good) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let parsed = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
        let Some(parsed) = parsed else { break };
        lines.push(parsed);
        good += line.len();
    }
    (lines, good)
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{JOURNAL_FILE, Journal, JournalError, Line, PeerRow, Told};
    use crate::primitives::Network;
    use std::fs;

    fn lines() -> Vec<Line> {
        let told = |at: u32| Told { address: format!("127.0.0.{at}:18444"), services: 9 };
        vec![
            Line::Found(vec![told(1), told(2)]),
            Line::Asked {
                row: PeerRow::failed("127.0.0.1:18444", Some("no".to_owned())),
                learned: Vec::new(),
            },
            Line::Asked { row: PeerRow::told("127.0.0.2:18444", 1), learned: vec![told(3)] },
        ]
    }

    #[test]
    fn a_file_cut_or_garbled_anywhere_gives_the_lines_before() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), Network::Regtest, false).unwrap();
        let mut journal = open();
        assert!(!journal.is_resumed());
        lines().iter().for_each(|line| journal.append(line).unwrap());
        drop(journal);
        let path = folder.path().join(JOURNAL_FILE);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let journal = open();
            let kept = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(journal.earlier, lines()[..kept], "cut at {cut}");
        }
        // What a power cut may leave: the right length, and nothing in the last blocks.
        let mut zeroed = whole.clone();
        zeroed[ends[1] + 5..].fill(0);
        fs::write(&path, &zeroed).unwrap();
        let mut journal = open();
        assert_eq!(journal.earlier, lines()[..1]);
        // And it can be gone on from.
        lines()[1..].iter().for_each(|line| journal.append(line).unwrap());
        drop(journal);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn only_one_process_has_it_and_only_for_its_network() {
        let folder = tempfile::tempdir().unwrap();
        let open = |network, restart| Journal::open(folder.path(), network, restart);
        let journal = open(Network::Regtest, false).unwrap();
        assert!(matches!(open(Network::Regtest, true), Err(JournalError::InUse { .. })));
        drop(journal);
        assert!(matches!(open(Network::Signet, false), Err(JournalError::Foreign { .. })));
        assert!(!open(Network::Signet, true).unwrap().is_resumed());
        open(Network::Signet, false).unwrap().remove().unwrap();
        assert!(!folder.path().join(JOURNAL_FILE).exists());
    }
}
