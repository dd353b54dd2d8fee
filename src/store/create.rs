//! The database's folders: creation, and the end of an interrupted repair.
//!
//! A database is made under another name and renamed when it is whole and durable. So whatever bears the
//! final name was whole once: if it is empty now, it is damaged, not new.

use super::change_thread::Batch;
use super::database::open_sled;
use super::engine::Engine;
use super::error::StoreError;
use super::index::Pending;
use super::layout::{
    SCHEMA_VERSION, TIP_KEY, VERSION_KEY, encode_tip, new_page, page_key, push_record,
};
use crate::chain::{ChainTip, Params};
use crate::primitives::{BlockHash, Work};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where a network's databases are.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// The network's own folder.
    pub(super) network: PathBuf,
    /// The database.
    pub(super) database: PathBuf,
    /// What a repair is copied into.
    pub(super) repaired: PathBuf,
}

/// What the name of an old database begins with after a repair.
const ASIDE: &str = "headers.damaged";

impl Folders {
    pub(super) fn of(network: &Path) -> Self {
        Self {
            network: network.to_owned(),
            database: network.join("headers"),
            repaired: network.join("headers.new"),
        }
    }

    /// Where the database is: a repair may have been interrupted before it had its final name.
    pub(super) fn current(&self) -> Result<&Path, StoreError> {
        Ok(if self.hold_finished_repair()? { &self.repaired } else { &self.database })
    }

    /// Whether there is a database, or one that a repair only had to rename.
    pub(super) fn hold_database(&self) -> Result<bool, StoreError> {
        Ok(exists(&self.database)? || self.hold_finished_repair()?)
    }

    /// A repair sets the old database aside only when the new one is complete.
    fn hold_finished_repair(&self) -> Result<bool, StoreError> {
        if exists(&self.database)? || !exists(&self.repaired)? {
            return Ok(false);
        }
        let io = |source| StoreError::Io { path: self.network.clone(), source };
        for entry in fs::read_dir(&self.network).map_err(io)? {
            if entry.map_err(io)?.file_name().to_string_lossy().starts_with(ASIDE) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A name that no old database bears yet.
    fn free_aside(&self) -> Result<PathBuf, StoreError> {
        let mut path = self.network.join(ASIDE);
        for number in 2.. {
            if !exists(&path)? {
                break;
            }
            path = self.network.join(format!("{ASIDE}.{number}"));
        }
        Ok(path)
    }

    /// Does the second rename of a repair that was interrupted after the first.
    pub(super) fn finish_repair(&self) -> Result<(), StoreError> {
        if !self.hold_finished_repair()? {
            return Ok(());
        }
        rename(&self.repaired, &self.database)?;
        sync_folder(&self.network)
    }

    /// Puts the repaired database into the old one's place, which is kept aside: gives where.
    pub(super) fn swap(&self) -> Result<PathBuf, StoreError> {
        let aside = self.free_aside()?;
        rename(&self.database, &aside)?;
        rename(&self.repaired, &self.database)?;
        sync_folder(&self.network)?;
        Ok(aside)
    }
}

/// Makes a database that holds the network's genesis header, in a folder that is not there yet.
///
/// It is closed, for the caller to open by its final name. Renamed while open, it saved a bulk load 10 MiB (the C library
/// gives less back once it was given sled's page table of 4 MB), but sled then hung in a flush in 4 of 9 runs of
/// `tests/sync_branches.rs`.
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
    // The folders above may be new as well, or not ours to open: then they were there before.
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
    batch.insert(page_key(0), page);
    // Genesis is still to be indexed: the next commit does it.
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

/// Whether something is there; what cannot be looked at is an error, and not nothing.
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
