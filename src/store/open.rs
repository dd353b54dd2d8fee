//! Opens the store: creates it if it is missing, checks its version and network, and tells damage apart from other
//! errors.

use super::cache::ReadCache;
use super::create::{Folders, create, exists};
use super::database::open_sled;
use super::engine::Engine;
use super::error::StoreError;
use super::index::Pending;
use super::layout::{
    HEADERS_PER_PAGE, SCHEMA_VERSION, TIP_KEY, VERSION_KEY, array, decode_page, decode_tip,
    index_in_page,
};
use super::lock::StoreLock;
use super::log::{remove_unfinished_snapshots, repair_settings, set_snapshots_aside, sync_blobs};
use super::records::{Files, Records, page_bytes};
use super::sides::Record;
use crate::chain::{self, ChainTip, Params};
use crate::primitives::Network;
use sled::Db;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use tracing::debug;

/// A chain in a sled database.
///
/// Most methods may block on the disk: async code calls them from threads meant for that.
#[derive(Debug)]
pub struct SledStore {
    // Fields are dropped in this order: the database first, the lock last.
    pub(super) records: Records,
    pub(super) params: &'static Params,
    /// The database's own folder.
    pub(super) folder: PathBuf,
    /// sled's data file. The store fsyncs it, since sled's `flush` does not.
    pub(super) file: File,
    pub(super) end: RwLock<End>,
    /// `None` unless [`SledStore::keep_in_memory`] was called. Readers add records while they hold `end` locked for
    /// reading, and a change evicts records while it holds `end` locked for writing.
    pub(super) cache: Option<ReadCache>,
    pub(super) writer: Mutex<Writer>,
    pub(super) lock: StoreLock,
}

/// The end of the stored chain, as readers need it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) tip: ChainTip,
    /// Height up to which (exclusively) the database's index is complete.
    pub(super) indexed_to: u32,
    /// The hashes from `indexed_to` on; `None` after an interrupted bulk load, until they are read back from the pages.
    pub(super) pending: Option<Pending>,
    /// How many changes there have been since the store was opened.
    pub(super) changes: u64,
}

/// The state that only the writer needs.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The bytes of the chain's last page, to which the next header is added.
    pub(super) page: Vec<u8>,
    /// How the side branches are stored; `None` until a change first needs it.
    pub(super) sides: Option<Vec<Record>>,
    /// The branch that may replace the end of the chain.
    pub(super) candidate: Option<Candidate>,
    /// The blob files (bodies too large for the log) that are known to be durable.
    pub(super) synced_blobs: BTreeSet<PathBuf>,
    /// Whether a change failed on its way to the disk, so that the disk's content is unknown until the next open.
    pub(super) failed: bool,
}

/// A branch that is stored beside the chain until it is complete and replaces the end of the chain.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Height of the last header that the branch shares with the chain.
    pub(super) fork: u32,
    /// The branch's end.
    pub(super) tip: ChainTip,
    /// The bytes of the branch's last page.
    pub(super) page: Vec<u8>,
}

impl SledStore {
    /// Opens the store in a network's folder. If there is none, creates one with the network's genesis header.
    ///
    /// # Errors
    /// The folder is in use or unusable, or its database is damaged, of a newer program, or of another network. Or sled
    /// lacks memory or threads, or the computer's clock is set to a time before 1970.
    pub fn open(folder: &Path, params: &'static Params) -> Result<Self, StoreError> {
        let lock = StoreLock::take(folder)?;
        let folders = Folders::of(folder);
        folders.finish_repair()?;
        if !exists(&folders.database)? {
            create(&folders.database, params)?;
        }
        Self::open_locked(&folders.database, params, lock)
    }

    /// Opens the store in a network's folder for reading. Writes nothing but a missing lock file, and lets other
    /// processes read at the same time.
    ///
    /// # Errors
    /// The folder is in use or unusable, or its database is damaged, of a newer program, or of another network.
    pub fn open_to_read(folder: &Path, params: &'static Params) -> Result<Self, StoreError> {
        let lock = StoreLock::share(folder)?;
        let folders = Folders::of(folder);
        let path = folders.current()?;
        let records = Records::Files(Files::open(path)?);
        let file = open_file(File::options().read(true), path)?;
        Self::over(records, file, path, params, lock)
    }

    /// Opens the database in its own folder, `path`, for writing, under a lock that the caller has taken.
    pub(super) fn open_locked(
        path: &Path,
        params: &'static Params,
        lock: StoreLock,
    ) -> Result<Self, StoreError> {
        let records = Records::Sled(Engine::new(open_database(path)?, path)?, OnceLock::new());
        let file = open_file(File::options().write(true), path)?;
        Self::over(records, file, path, params, lock)
    }

    fn over(
        records: Records,
        file: File,
        path: &Path,
        params: &'static Params,
        lock: StoreLock,
    ) -> Result<Self, StoreError> {
        check_version(&records)?;
        let (tip, indexed_to) = read_tip(&records)?;
        check_network(&records, params)?;
        let page = read_last_page(&records, &tip)?;
        if indexed_to > tip.height + 1 {
            return Err(StoreError::damaged(tip.height, "more hashes are indexed than there are"));
        }
        let pending = pending(&tip, indexed_to);
        Ok(Self {
            records,
            params,
            folder: path.to_owned(),
            file,
            end: RwLock::new(End { tip, indexed_to, pending, changes: 0 }),
            cache: None,
            writer: Mutex::new(Writer { page, ..Writer::default() }),
            lock,
        })
    }

    /// Returns the database for changing it.
    pub(super) fn engine(&self) -> Result<&Engine, StoreError> {
        match &self.records {
            Records::Sled(engine, _) => Ok(engine),
            Records::Files(_) => Err(StoreError::ReadOnly { folder: self.folder.clone() }),
        }
    }

    /// Makes all later reads use the files, since a change has failed and sled cannot be used any more. The files have
    /// either nothing of that change or all of it. If the files cannot be read, every later read fails, as every change
    /// does.
    pub(super) fn read_from_files(&self) {
        let mut end = self.end.write().unwrap_or_else(PoisonError::into_inner);
        let Records::Sled(_, files) = &self.records else { return };
        // Readers may have cached what the files do not have.
        if let Some(cache) = &self.cache {
            cache.clear();
        }
        let read = || {
            let found = Files::open(&self.folder)?;
            files.get_or_init(|| found);
            read_tip(&self.records)
        };
        match read() {
            Ok((tip, indexed_to)) => {
                let changes = end.changes + 1;
                *end = End { pending: pending(&tip, indexed_to), tip, indexed_to, changes };
            }
            Err(error) => debug!("{}: {error}", self.folder.display()),
        }
    }

    /// Returns what is wrong with the database's files, even if every record so far could be read; `None` if they are
    /// intact, or while the store reads through sled.
    pub fn damage(&self) -> Option<&str> {
        self.records.files().ok().and_then(Files::damage)
    }

    /// Checks that the log is intact, since damage may hide the headers that were stored last. Does nothing while the
    /// store reads through sled.
    ///
    /// # Errors
    /// The log is damaged.
    pub fn check_log(&self) -> Result<(), StoreError> {
        self.records.files().map_or(Ok(()), |files| check_log(files, &self.folder))
    }

    /// Returns whether a network's folder holds a database.
    ///
    /// # Errors
    /// The folder cannot be examined.
    pub fn exists(folder: &Path) -> Result<bool, StoreError> {
        Folders::of(folder).hold_database()
    }

    /// Returns the network's parameters.
    pub fn params(&self) -> &'static Params {
        self.params
    }

    /// Closes the database and returns the lock.
    pub(super) fn into_lock(self) -> StoreLock {
        self.lock
    }
}

/// Returns an empty list of pending hashes if all hashes are indexed, which is usual; `None` if the pending hashes have
/// to be read back from the pages first.
fn pending(tip: &ChainTip, indexed_to: u32) -> Option<Pending> {
    (indexed_to == tip.height + 1).then(|| Pending::starting_at(indexed_to))
}

fn open_file(options: &OpenOptions, folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("db");
    options.open(&path).map_err(|source| StoreError::Io { path, source })
}

/// Opens a database for writing, if its log is intact: sled cuts a log at the first message that it cannot read, and
/// erases everything after it.
///
/// Damaged files beside the log (settings, snapshots) are rebuilt, since the log alone holds the data.
pub(super) fn open_database(path: &Path) -> Result<Db, StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    remove_unfinished_snapshots(path).map_err(io)?;
    repair_settings(path).map_err(io)?;
    let files = Files::open(path)?;
    if files.ignored_snapshot() {
        set_snapshots_aside(path).map_err(io)?;
    }
    check_log(&files, path)?;
    // A killed process may have left bytes in the operating system's cache alone. The snapshot that sled writes next
    // relies on these bytes, so they have to be on disk first.
    sync_blobs(path, &mut BTreeSet::new()).map_err(io)?;
    let db = path.join("db");
    let synced = File::open(&db).and_then(|file| file.sync_data());
    synced.map_err(|source| StoreError::Io { path: db, source })?;
    files.cut_torn_batch().map_err(io)?;
    match open_sled(path) {
        Err(StoreError::Unreadable { .. }) if set_snapshots_aside(path).map_err(io)? => {
            check_log(&Files::open(path)?, path)?;
            open_sled(path)
        }
        opened => opened,
    }
}

fn check_log(files: &Files, path: &Path) -> Result<(), StoreError> {
    let Some(damage) = files.damage() else { return Ok(()) };
    debug!("{}: {damage}", path.display());
    Err(StoreError::Unreadable { folder: path.to_owned() })
}

/// Refuses a database of a newer program, or without a valid schema version.
pub(super) fn check_version(records: &Records) -> Result<(), StoreError> {
    let stored = records.get(VERSION_KEY, 0, "the schema version")?;
    let Some(got) = stored.filter(|bytes| bytes.len() == 4) else {
        return Err(StoreError::damaged(0, "no schema version"));
    };
    match u32::from_le_bytes(array(&got)) {
        SCHEMA_VERSION => Ok(()),
        got if got > SCHEMA_VERSION => Err(StoreError::TooNew { known: SCHEMA_VERSION, got }),
        got => Err(StoreError::damaged(0, format!("schema version {got} never existed"))),
    }
}

/// Refuses a database of another network, or with a damaged genesis.
pub(super) fn check_network(records: &Records, params: &Params) -> Result<(), StoreError> {
    let page = page_bytes(records, 0)?;
    let first = decode_page(0, &page)?.headers[0].hash();
    let genesis = params.genesis.hash();
    if first == genesis {
        return Ok(());
    }
    // A flipped bit in genesis is damage; another network's genesis is a mix-up.
    let known =
        Network::ALL.into_iter().any(|network| chain::params(network).genesis.hash() == first);
    if known {
        return Err(StoreError::OtherNetwork { expected: params.network, genesis, got: first });
    }
    Err(StoreError::damaged(0, format!("genesis is {first}, not {genesis}")))
}

pub(super) fn read_tip(records: &Records) -> Result<(ChainTip, u32), StoreError> {
    let bytes = records.get(TIP_KEY, 0, "the tip record")?;
    let bytes = bytes.ok_or_else(|| StoreError::damaged(0, "no tip record"))?;
    decode_tip(&bytes).ok_or_else(|| StoreError::damaged(0, "the tip record is cut short"))
}

/// Reads the last page, which must have the tip as its last header.
fn read_last_page(records: &Records, tip: &ChainTip) -> Result<Vec<u8>, StoreError> {
    let first = tip.height / HEADERS_PER_PAGE * HEADERS_PER_PAGE;
    let bytes = page_bytes(records, tip.height / HEADERS_PER_PAGE)?;
    let page = decode_page(first, &bytes)?;
    let expected = index_in_page(tip.height) + 1;
    if page.headers.len() != expected || page.last_hash() != tip.hash {
        return Err(StoreError::damaged(first, "the last page does not end with the tip"));
    }
    if page.work_after(expected) != tip.chainwork {
        return Err(StoreError::damaged(first, "the last page contradicts the tip's chain work"));
    }
    Ok(bytes.to_vec())
}

/// Returns the total size in bytes of all files in a folder and its subfolders.
pub(super) fn folder_size(folder: &Path) -> Result<u64, StoreError> {
    let io = |source| StoreError::Io { path: folder.to_owned(), source };
    let mut total = 0;
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let metadata = entry.metadata().map_err(io)?;
        total += if metadata.is_dir() { folder_size(&entry.path())? } else { metadata.len() };
    }
    Ok(total)
}
