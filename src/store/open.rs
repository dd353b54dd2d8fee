//! Opening the sled database: first creation, schema version, damage told apart from trouble.

use super::Tip;
use super::error::StoreError;
use super::index::Pending;
use super::layout::{PAGE, TIP_KEY, VERSION_KEY, array, decode_page, decode_tip};
use super::layout::{encode_tip, new_page, page_key, push_record};
use super::lock::StoreLock;
use crate::chain::{Params, Work};
use crate::primitives::BlockHash;
use sled::{Batch, Db};
use std::fs::{self, File};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};

/// Version of the stored format that this program writes.
///
/// History: 1, the first (0.1.0).
pub const SCHEMA_VERSION: u32 = 1;

/// Name of the database's folder inside the network's.
const DATABASE: &str = "headers";

/// What sled may keep in memory. The chain is read in order and written once: more gains nothing (measured).
const CACHE_BYTES: u64 = 8 << 20;

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
    lock: StoreLock,
}

/// What readers need to know of the chain's end.
#[derive(Debug)]
pub(super) struct End {
    pub(super) tip: Tip,
    pub(super) indexed_to: u32,
}

/// What only the writer needs.
#[derive(Debug)]
pub(super) struct Writer {
    /// The last page's bytes, for the next header to be added to.
    pub(super) page: Vec<u8>,
    /// Hashes not indexed yet; `None` until they were read back after an interrupted bulk load.
    pub(super) pending: Option<Pending>,
}

impl SledStore {
    /// Opens the store in a network's folder; an empty one is given the network's genesis header.
    ///
    /// # Errors
    /// The folder is in use or unusable, or what it holds is damaged, newer, or of another network.
    pub fn open(folder: &Path, params: &'static Params) -> Result<Self, StoreError> {
        let lock = StoreLock::take(folder)?;
        Self::open_locked(&folder.join(DATABASE), params, lock)
    }

    /// Opens the database in a folder of its own, under a lock that the caller has taken.
    pub(super) fn open_locked(
        path: &Path,
        params: &'static Params,
        lock: StoreLock,
    ) -> Result<Self, StoreError> {
        let db = open_sled(path)?;
        let file_path = path.join("db");
        let io = |source| StoreError::Io { path: file_path.clone(), source };
        let file = File::options().write(true).open(&file_path).map_err(io)?;
        if db.is_empty() {
            create(&db, params)?;
            db.flush()?;
            file.sync_all().map_err(io)?;
            sync_folders(&[Some(path), path.parent()])?;
        }
        check_version(&db)?;
        let (tip, indexed_to) = read_tip(&db)?;
        check_network(&db, params)?;
        let page = read_last_page(&db, &tip)?;
        // Everything indexed: the usual case, and then nothing is pending.
        let pending = (indexed_to == tip.height + 1).then(|| Pending::starting_at(indexed_to));
        Ok(Self {
            db,
            params,
            folder: path.to_owned(),
            file,
            end: RwLock::new(End { tip, indexed_to }),
            writer: Mutex::new(Writer { page, pending }),
            lock,
        })
    }

    /// Whether a network's folder holds a database.
    pub fn exists(folder: &Path) -> bool {
        folder.join(DATABASE).join("db").exists()
    }

    /// The network's parameters.
    pub fn params(&self) -> &'static Params {
        self.params
    }

    /// Closes the database; the lock goes back to the caller.
    pub(super) fn into_lock(self) -> StoreLock {
        self.lock
    }

    /// The database's folder inside a network's.
    pub(super) fn database_folder(folder: &Path) -> PathBuf {
        folder.join(DATABASE)
    }
}

/// Opens sled itself. On some damage it panics: that is caught, and reported as what it is.
pub(super) fn open_sled(path: &Path) -> Result<Db, StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { folder: path.to_owned(), reason };
    let config = sled::Config::default()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        // No background flusher: with one, power cuts left databases that did not open (measured).
        .flush_every_ms(None);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let opened = panic::catch_unwind(AssertUnwindSafe(|| config.open()));
    panic::set_hook(hook);
    match opened {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(source))) => Err(StoreError::Io { path: path.to_owned(), source }),
        Ok(Err(error)) => Err(unreadable(error.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(unreadable(said.unwrap_or("it cannot be read").to_owned()))
        }
    }
}

fn create(db: &Db, params: &Params) -> Result<(), StoreError> {
    let genesis = &params.genesis;
    let mut page = new_page(&BlockHash::ZERO, &Work::default());
    push_record(&mut page, genesis);
    let tip = Tip { height: 0, hash: genesis.hash(), chainwork: Work::of_bits(genesis.bits) };
    let mut batch = Batch::default();
    batch.insert(VERSION_KEY, SCHEMA_VERSION.to_le_bytes().to_vec());
    batch.insert(&page_key(0), page);
    let mut pending = Pending::starting_at(0);
    pending.push(&tip.hash);
    pending.write_all(db, &mut batch)?;
    batch.insert(TIP_KEY, encode_tip(&tip, 1));
    Ok(db.apply_batch(batch)?)
}

/// A new file's name is durable only when its folder is.
pub(super) fn sync_folders(folders: &[Option<&Path>]) -> Result<(), StoreError> {
    for folder in folders.iter().flatten() {
        File::open(folder)
            .and_then(|handle| handle.sync_all())
            .map_err(|source| StoreError::Io { path: folder.to_path_buf(), source })?;
    }
    Ok(())
}

fn check_version(db: &Db) -> Result<(), StoreError> {
    let stored = db.get(VERSION_KEY)?;
    let Some(got) = stored.filter(|bytes| bytes.len() == 4) else {
        return Err(StoreError::damaged(0, "no schema version"));
    };
    match u32::from_le_bytes(array(&got)) {
        SCHEMA_VERSION => Ok(()),
        got if got > SCHEMA_VERSION => Err(StoreError::TooNew { known: SCHEMA_VERSION, got }),
        got => Err(StoreError::damaged(0, format!("schema version {got} never existed"))),
    }
}

fn check_network(db: &Db, params: &Params) -> Result<(), StoreError> {
    let page = db.get(page_key(0))?.ok_or_else(|| StoreError::damaged(0, "no first page"))?;
    let first = decode_page(0, &page)?.hashes[0];
    let genesis = params.genesis.hash();
    if first == genesis {
        return Ok(());
    }
    // A flipped bit in genesis is damage; another network's genesis is a mix-up.
    let known = crate::primitives::Network::ALL
        .into_iter()
        .any(|network| crate::chain::params(network).genesis.hash() == first);
    if known {
        return Err(StoreError::OtherNetwork { expected: params.network, genesis, got: first });
    }
    Err(StoreError::damaged(0, format!("genesis is {first}, not {genesis}")))
}

pub(super) fn read_tip(db: &Db) -> Result<(Tip, u32), StoreError> {
    let bytes = db.get(TIP_KEY)?.ok_or_else(|| StoreError::damaged(0, "no tip record"))?;
    decode_tip(&bytes).ok_or_else(|| StoreError::damaged(0, "the tip record is cut short"))
}

/// The last page, which must hold the tip as its last header.
pub(super) fn read_last_page(db: &Db, tip: &Tip) -> Result<Vec<u8>, StoreError> {
    let number = tip.height / PAGE;
    let first = number * PAGE;
    let bytes = db
        .get(page_key(number))?
        .ok_or_else(|| StoreError::damaged(first, "the page with the tip is missing"))?;
    let page = decode_page(first, &bytes)?;
    let expected = usize::try_from(tip.height % PAGE).expect("below 128") + 1;
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
