//! The database's folders: creation, and the renames at the end of a repair.
//!
//! A database is created under another name and renamed once it is complete and durable. So a database with the final
//! name was complete once: if it is empty now, it is damaged, not new.

use super::change_thread::Batch;
use super::database::open_sled;
use super::engine::Engine;
use super::error::StoreError;
use super::index::Pending;
use super::layout::{
    SCHEMA_VERSION, TIP_KEY, VERSION_KEY, chain_page_key, encode_tip, new_page, push_record,
};
use crate::chain::{ChainTip, Params};
use crate::primitives::{BlockHash, Work};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folders of a network's databases.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// The network's own folder.
    pub(super) network: PathBuf,
    /// The database.
    pub(super) database: PathBuf,
    /// The new database that a repair copies into.
    pub(super) repaired: PathBuf,
}

/// The prefix of an old database's name after a repair.
const DAMAGED_PREFIX: &str = "headers.damaged";

impl Folders {
    pub(super) fn of(network: &Path) -> Self {
        Self {
            network: network.to_owned(),
            database: network.join("headers"),
            repaired: network.join("headers.new"),
        }
    }

    /// Returns the database's folder: an interrupted repair may not have given it its final name.
    pub(super) fn current(&self) -> Result<&Path, StoreError> {
        Ok(if self.hold_finished_repair()? { &self.repaired } else { &self.database })
    }

    /// Returns whether there is a database, even one that an interrupted repair did not rename.
    pub(super) fn hold_database(&self) -> Result<bool, StoreError> {
        Ok(exists(&self.database)? || self.hold_finished_repair()?)
    }

    /// Returns whether a repair was interrupted after it had renamed the old database, which it does once the new one
    /// is complete.
    fn hold_finished_repair(&self) -> Result<bool, StoreError> {
        if exists(&self.database)? || !exists(&self.repaired)? {
            return Ok(false);
        }
        let io = |source| StoreError::Io { path: self.network.clone(), source };
        for entry in fs::read_dir(&self.network).map_err(io)? {
            if entry.map_err(io)?.file_name().to_string_lossy().starts_with(DAMAGED_PREFIX) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns a path for the old database that no earlier one has.
    fn free_aside(&self) -> Result<PathBuf, StoreError> {
        let mut path = self.network.join(DAMAGED_PREFIX);
        for number in 2.. {
            if !exists(&path)? {
                break;
            }
            path = self.network.join(format!("{DAMAGED_PREFIX}.{number}"));
        }
        Ok(path)
    }

    /// Does the second rename of a repair that was interrupted after the first one.
    pub(super) fn finish_repair(&self) -> Result<(), StoreError> {
        if !self.hold_finished_repair()? {
            return Ok(());
        }
        rename(&self.repaired, &self.database)?;
        sync_folder(&self.network)
    }

    /// Renames the old database and gives its name to the repaired one; returns the path of the old one.
    pub(super) fn swap(&self) -> Result<PathBuf, StoreError> {
        let aside = self.free_aside()?;
        rename(&self.database, &aside)?;
        rename(&self.repaired, &self.database)?;
        sync_folder(&self.network)?;
        Ok(aside)
    }
}

/// Creates a database that holds the network's genesis header, in a folder that does not exist yet.
///
/// The caller opens the database again by its final name. Renaming an open database saved 10 MiB in a bulk load (the C
/// library keeps more memory after sled's page table of 4 MB was freed), but then sled hung in a flush in 4 of 9 runs
/// of `tests/it/sync_branches.rs`.
pub(super) fn create(path: &Path, params: &Params) -> Result<(), StoreError> {
    let unfinished = path.with_extension("creating");
    remove_folder(&unfinished)?;
    let engine = Engine::new(open_sled(&unfinished)?, &unfinished)?;
    engine.apply(first_batch(params))?;
    engine.flush()?;
    drop(engine);
    for file in ["db", "conf"] {
        sync_file(&unfinished.join(file))?;
    }
    sync_folder(&unfinished)?;
    rename(&unfinished, path)?;
    let mut above = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    above.next().map_or(Ok(()), sync_folder)?;
    // The folders above may be new as well. A folder that cannot be opened was there before, and needs no fsync.
    above.take(2).for_each(|folder| drop(sync_folder(folder)));
    Ok(())
}

fn first_batch(params: &Params) -> Batch {
    let genesis = &params.genesis;
    let mut page = new_page(&BlockHash::ZERO, &Work::default());
    push_record(&mut page, genesis);
    let tip = ChainTip { height: 0, hash: genesis.hash(), chainwork: Work::of_bits(genesis.bits) };
    let mut batch = Batch::default();
    batch.insert(VERSION_KEY, SCHEMA_VERSION.to_le_bytes().to_vec());
    batch.insert(chain_page_key(0), page);
    // The next commit indexes genesis.
    batch.insert(TIP_KEY, encode_tip(&tip, Pending::default().indexed_to()));
    batch
}

fn sync_file(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    sync_file(path)
}

/// Returns whether a path exists; a path that cannot be examined is an error.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

pub(super) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    if !exists(path)? {
        return Ok(());
    }
    fs::remove_dir_all(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| StoreError::Io { path: from.to_owned(), source })
}
