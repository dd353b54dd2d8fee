//! Opening the sled database: first creation, schema version, damage told apart from trouble.

use super::Tip;
use super::create::{Folders, create, exists};
use super::error::StoreError;
use super::guard::{get, is_damaged_file, quietly};
use super::index::Pending;
use super::layout::{PAGE, TIP_KEY, VERSION_KEY, array, decode_page, decode_tip};
use super::lock::StoreLock;
use super::read::page_bytes;
use super::sides::Record;
use super::staged::Staged;
use crate::chain::{self, Params};
use crate::primitives::Network;
use sled::Db;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};
use tracing::debug;

/// Version of the stored format that this program writes.
///
/// History: 1, the first (0.1.0).
pub const SCHEMA_VERSION: u32 = 1;

/// What sled may keep in memory. It is only a wish: sled evicts late, however small this is (see
/// `make_evictable`), and with 64 KB or 8 MB the peak, the time to write and the time to read were the same (measured).
const CACHE_BYTES: u64 = 1 << 20;

/// So many headers added make a bulk load: fewer delay the next open by less than a millisecond.
const BULK: usize = 20_000;

/// How long sled may take to let go of a closed database's file. It takes milliseconds.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// How often to look whether it has.
const CLOSE_POLL: Duration = Duration::from_millis(1);

/// A chain in a sled database.
///
/// All methods block on the disk: async code calls them from threads meant for that.
#[derive(Debug)]
pub struct SledStore {
    pub(super) db: Db,
    pub(super) params: &'static Params,
    /// The database's own folder.
    pub(super) folder: PathBuf,
    /// sled's one data file, for the fsync that its `flush` does not do.
    pub(super) file: File,
    pub(super) end: RwLock<End>,
    pub(super) writer: Mutex<Writer>,
    // Fields are dropped in this order: the database, then its last handle and opening, then the lock.
    pub(super) closing: Closing,
    lock: StoreLock,
}

/// Opens the database once more when it has been closed after a bulk load.
///
/// sled writes its snapshot (where in the log each page is) when it opens, not when it closes. So without
/// this the next open, which may be a user's first query, reads all of the log since then: 16 ms for
/// 930,000 headers with the file in memory, 190 ms for 5,000,000, where later ones take 3 ms and 10 ms.
#[derive(Debug)]
pub(super) struct Closing {
    /// The last one to let go of the database: sled panics when the disk is gone by then.
    db: Option<Db>,
    folder: PathBuf,
    /// Headers added since the database was opened.
    pub(super) added: AtomicUsize,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let db = self.db.take();
        let again = *self.added.get_mut() >= BULK && !thread::panicking();
        // What was said to be stored is. What is wrong, if anything, the next open will say.
        let _ = quietly(|| {
            drop(db);
            if again {
                drop(open_sled(&self.folder));
            }
        });
    }
}

/// What readers need to know of the chain's end.
#[derive(Debug)]
pub(super) struct End {
    pub(super) tip: Tip,
    /// Height up to which (exclusively) the database's index is complete.
    pub(super) indexed_to: u32,
    /// The hashes from there on; `None` until they were read back after an interrupted bulk load.
    pub(super) pending: Option<Pending>,
}

/// What only the writer needs.
#[derive(Debug)]
pub(super) struct Writer {
    /// The last page's bytes, for the next header to be added to.
    pub(super) page: Vec<u8>,
    /// How the side branches are stored; `None` until a change of them has asked.
    pub(super) sides: Option<Vec<Record>>,
    /// The branch that is to take over.
    pub(super) staged: Option<Staged>,
    /// A change did not reach the disk: what is there is unknown until the database is opened again.
    pub(super) failed: bool,
}

impl SledStore {
    /// Opens the store in a network's folder; an empty one is given the network's genesis header.
    ///
    /// # Errors
    /// The folder is in use or unusable, or what it holds is damaged, newer, or of another network.
    pub fn open(folder: &Path, params: &'static Params) -> Result<Self, StoreError> {
        let lock = StoreLock::take(folder)?;
        let folders = Folders::of(folder);
        folders.finish_repair()?;
        if !exists(&folders.database)? {
            create(&folders.database, params)?;
        }
        Self::open_locked(&folders.database, params, lock)
    }

    /// Opens the database in a folder of its own, under a lock that the caller has taken.
    pub(super) fn open_locked(
        path: &Path,
        params: &'static Params,
        lock: StoreLock,
    ) -> Result<Self, StoreError> {
        let db = open_sled(path)?;
        let file_path = path.join("db");
        let file = File::options().write(true).open(&file_path);
        let file = file.map_err(|source| StoreError::Io { path: file_path, source })?;
        check_version(&db)?;
        let (tip, indexed_to) = read_tip(&db)?;
        check_network(&db, params)?;
        let page = read_last_page(&db, &tip)?;
        if indexed_to > tip.height + 1 {
            return Err(StoreError::damaged(tip.height, "more hashes are indexed than there are"));
        }
        // Everything indexed: the usual case, and then nothing is pending.
        let pending = (indexed_to == tip.height + 1).then(|| Pending::starting_at(indexed_to));
        let added = AtomicUsize::new(0);
        Ok(Self {
            closing: Closing { db: Some(db.clone()), folder: path.to_owned(), added },
            db,
            params,
            folder: path.to_owned(),
            file,
            end: RwLock::new(End { tip, indexed_to, pending }),
            writer: Mutex::new(Writer { page, sides: None, staged: None, failed: false }),
            lock,
        })
    }

    /// Whether a network's folder holds a database.
    ///
    /// # Errors
    /// The folder cannot be looked into.
    pub fn exists(folder: &Path) -> Result<bool, StoreError> {
        Folders::of(folder).hold_database()
    }

    /// The network's parameters.
    pub fn params(&self) -> &'static Params {
        self.params
    }

    /// Closes the database; the lock goes back to the caller.
    pub(super) fn into_lock(self) -> StoreLock {
        self.lock
    }
}

/// Opens sled itself. On some damage it panics: that is caught, and reported as what it is.
pub(super) fn open_sled(path: &Path) -> Result<Db, StoreError> {
    let unreadable = |reason: String| {
        debug!("{}: {reason}", path.display());
        StoreError::Unreadable { folder: path.to_owned() }
    };
    let config = sled::Config::default()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        // No background flusher: with one, power cuts left databases that did not open (measured).
        .flush_every_ms(None);
    wait_until_free(&path.join("db"))?;
    match quietly(|| config.open()) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(source))) if !is_damaged_file(&source) => {
            Err(StoreError::Io { path: path.to_owned(), source })
        }
        Ok(Err(error)) => Err(unreadable(error.to_string())),
        Err(panic) => Err(unreadable(panic)),
    }
}

/// Waits for sled's own lock, which its threads hold for a moment after a database was closed.
///
/// Other processes are kept out by [`StoreLock`], so it is never held for long.
fn wait_until_free(file: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: file.to_owned(), source };
    let deadline = Instant::now() + CLOSE_DEADLINE;
    let Ok(handle) = File::options().write(true).open(file) else { return Ok(()) };
    while let Err(error) = handle.try_lock() {
        match error {
            TryLockError::WouldBlock if Instant::now() < deadline => thread::sleep(CLOSE_POLL),
            error => return Err(io(error.into())),
        }
    }
    handle.unlock().map_err(io)
}

/// Refuses a database of a newer program.
pub(super) fn check_version(db: &Db) -> Result<(), StoreError> {
    let stored = get(db, VERSION_KEY, 0, "the schema version")?;
    let Some(got) = stored.filter(|bytes| bytes.len() == 4) else {
        return Err(StoreError::damaged(0, "no schema version"));
    };
    match u32::from_le_bytes(array(&got)) {
        SCHEMA_VERSION => Ok(()),
        got if got > SCHEMA_VERSION => Err(StoreError::TooNew { known: SCHEMA_VERSION, got }),
        got => Err(StoreError::damaged(0, format!("schema version {got} never existed"))),
    }
}

/// Refuses a database of another network.
pub(super) fn check_network(db: &Db, params: &Params) -> Result<(), StoreError> {
    let page = page_bytes(db, 0)?;
    let first = decode_page(0, &page)?.hashes[0];
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

pub(super) fn read_tip(db: &Db) -> Result<(Tip, u32), StoreError> {
    let bytes = get(db, TIP_KEY, 0, "the tip record")?;
    let bytes = bytes.ok_or_else(|| StoreError::damaged(0, "no tip record"))?;
    decode_tip(&bytes).ok_or_else(|| StoreError::damaged(0, "the tip record is cut short"))
}

/// The last page, which must hold the tip as its last header.
fn read_last_page(db: &Db, tip: &Tip) -> Result<Vec<u8>, StoreError> {
    let first = tip.height / PAGE * PAGE;
    let bytes = page_bytes(db, tip.height / PAGE)?;
    let page = decode_page(first, &bytes)?;
    let expected = usize::try_from(tip.height % PAGE).expect("less than a page") + 1;
    if page.headers.len() != expected || page.last_hash() != tip.hash {
        return Err(StoreError::damaged(first, "the last page does not end with the tip"));
    }
    if page.work_after(expected) != tip.chainwork {
        return Err(StoreError::damaged(first, "the last page contradicts the tip's chain work"));
    }
    Ok(bytes.to_vec())
}

/// Bytes of all files in a folder and below.
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
