//! Reads records: through sled in the process that writes, and from sled's files in one that only reads.

use super::engine::Engine;
use super::error::StoreError;
use super::layout::{HEADERS_PER_PAGE, chain_page_key};
use super::log::{Log, LogError};
use sled::IVec;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tracing::debug;

/// The records of a database.
#[derive(Debug)]
pub(super) enum Records {
    /// Records are read and written through sled. Once a change has failed, the files are set, and records are read
    /// from them.
    Sled(Engine, OnceLock<Files>),
    /// Records are read from sled's files.
    Files(Files),
}

/// A database's files, whose records are read without sled.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    log: Log,
}

impl Files {
    /// Opens a database for reading; nothing is written.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        match Log::open(folder) {
            Ok(log) => Ok(Self { folder: folder.to_owned(), log }),
            Err(LogError::Io(source)) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::Io { path: folder.to_owned(), source })
            }
            Err(error) => {
                debug!("{}: {error}", folder.display());
                Err(StoreError::Unreadable { folder: folder.to_owned() })
            }
        }
    }

    /// Returns what is wrong with the log, although its records can be read; `None` if it is intact.
    pub(super) fn damage(&self) -> Option<&str> {
        self.log.damage()
    }

    /// Erases the torn batch at the log's end, if there is one: sled would read it as if it were whole.
    pub(super) fn cut_torn_batch(&self) -> std::io::Result<()> {
        self.log.cut_torn_batch(&self.folder)
    }

    /// Returns whether there is a snapshot that cannot be used.
    pub(super) fn ignored_snapshot(&self) -> bool {
        self.log.ignored_snapshot()
    }

    fn error(&self, height: u32, record: &str, error: LogError) -> StoreError {
        match error {
            LogError::Io(source) => StoreError::Io { path: self.folder.join("db"), source },
            LogError::Damaged(what) => {
                debug!("{record} from height {height} on: {what}");
                StoreError::damaged(height, format!("{record} cannot be read"))
            }
        }
    }
}

impl Records {
    /// Returns the files to read from, or sled's engine as `Err` if records are read through sled.
    pub(super) fn files(&self) -> Result<&Files, &Engine> {
        match self {
            Self::Sled(engine, files) => files.get().ok_or(engine),
            Self::Files(files) => Ok(files),
        }
    }

    /// Returns the value of a record, if there is one; `height` and `record` are for the error.
    pub(super) fn get(
        &self,
        key: &[u8],
        height: u32,
        record: &str,
    ) -> Result<Option<IVec>, StoreError> {
        match self.files() {
            Err(engine) => engine.read(height, record, |db| db.get(key)),
            Ok(files) => {
                let value = files.log.get(key).map_err(|error| files.error(height, record, error));
                Ok(value?.map(IVec::from))
            }
        }
    }

    /// Returns all records whose keys begin with `prefix`, in the order of their keys.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        height: u32,
        record: &str,
    ) -> Result<Vec<(IVec, IVec)>, StoreError> {
        match self.files() {
            Err(engine) => engine.read(height, record, |db| db.scan_prefix(prefix).collect()),
            Ok(files) => {
                let found = files.log.scan(prefix, |key| key.starts_with(prefix));
                let found = found.map_err(|error| files.error(height, record, error))?;
                Ok(found.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            }
        }
    }
}

/// Returns the bytes of a page.
pub(super) fn page_bytes(records: &Records, number: u32) -> Result<IVec, StoreError> {
    let read =
        |number: u32| records.get(&chain_page_key(number), number * HEADERS_PER_PAGE, "a page");
    match read(number) {
        Err(error @ StoreError::Damaged { .. }) => {
            // sled stores many pages in one node, and damage makes the whole node unreadable. Whichever of these pages
            // is read, the error names the first of the unreadable pages in a row.
            let below = (0..number).rev().map(read).map_while(Result::err);
            Err(below.take_while(StoreError::is_damage).last().unwrap_or(error))
        }
        other => other?
            .ok_or_else(|| StoreError::damaged(number * HEADERS_PER_PAGE, "a page is missing")),
    }
}
