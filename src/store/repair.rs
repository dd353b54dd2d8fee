//! Repair: the good headers are copied into a new database, which then takes the old one's place.
//!
//! Nothing of the damaged database is written to or relied on but its pages, read in order and held to
//! every rule again; it is kept beside the new one.

use super::error::StoreError;
use super::layout::{PAGE, decode_page, page_key};
use super::lock::StoreLock;
use super::open::{SledStore, open_sled, sync_folders};
use super::read::page_bytes;
use super::verify::{check_headers, stored_fault};
use super::{Change, Fault, HeaderStore, Tip};
use crate::chain::{Branch, CheckedHeaders, Params};
use sled::Db;
use std::fs;
use std::path::{Path, PathBuf};

/// Pages copied in one step.
const STEP: u32 = 256;

/// What a repair did.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// The chain's end in the new database.
    pub tip: Tip,
    /// What ended the copy: the first thing wrong, or `None` where every header was good.
    pub fault: Option<Fault>,
    /// Where the old database is kept.
    pub aside: PathBuf,
}

/// Rebuilds the database in a network's folder from the good headers of the one that is there.
///
/// `now` is the wall clock in Unix seconds; `progress` hears of each height reached. Branches beside the
/// active chain are not copied: they come again from peers.
///
/// # Errors
/// The folder is in use or unusable. Damage is not an error here.
pub fn repair(
    folder: &Path,
    params: &'static Params,
    now: u32,
    progress: impl FnMut(u32),
) -> Result<Repaired, StoreError> {
    let lock = StoreLock::take(folder)?;
    let (old, new) = (SledStore::database_folder(folder), folder.join("headers.new"));
    let aside = folder.join("headers.damaged");
    remove_folder(&new)?;
    let store = SledStore::open_locked(&new, params, lock)?;
    let fault = match open_sled(&old) {
        Ok(db) => copy(&db, &store, now, progress)?,
        Err(StoreError::Unreadable { reason, .. }) => {
            Some(stored_fault(0, "database", "a database that opens", &reason))
        }
        Err(error) => return Err(error),
    };
    store.settle()?;
    let tip = store.tip();
    let lock = store.into_lock();
    remove_folder(&aside)?;
    rename(&old, &aside)?;
    rename(&new, &old)?;
    sync_folders(&[Some(folder)])?;
    drop(lock);
    Ok(Repaired { tip, fault, aside })
}

fn copy(
    old: &Db,
    new: &SledStore,
    now: u32,
    mut progress: impl FnMut(u32),
) -> Result<Option<Fault>, StoreError> {
    let mut branch = Branch::genesis(new.params());
    loop {
        let (good, fault) = read_step(old, &mut branch, now)?;
        let ended = good.is_empty();
        new.commit(&Change { append: Some(&good), ..Change::default() })?;
        progress(branch.height());
        if fault.is_some() || ended {
            return Ok(fault);
        }
    }
}

/// The good headers of the next few pages, and what is wrong with the one after them.
fn read_step(
    old: &Db,
    branch: &mut Branch,
    now: u32,
) -> Result<(CheckedHeaders, Option<Fault>), StoreError> {
    let first = branch.height() + 1;
    let mut headers = Vec::new();
    let mut damage = None;
    for number in first / PAGE..first / PAGE + STEP {
        let page = page_bytes(old, number).and_then(|bytes| decode_page(number * PAGE, &bytes));
        match page {
            Ok(page) => {
                let skip = usize::try_from(first.saturating_sub(number * PAGE)).unwrap_or(0);
                headers.extend(page.headers.into_iter().skip(skip));
            }
            // A page that is not there is the chain's end, unless more follow it.
            Err(_) if is_past_last_page(old, number) => break,
            Err(StoreError::Damaged { height, what }) => {
                damage = Some(stored_fault(height.max(first), "page", "an intact page", &what));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let (good, fault) = check_headers(branch, headers, now);
    Ok((good, fault.or(damage)))
}

fn is_past_last_page(old: &Db, number: u32) -> bool {
    let end = page_key(u32::MAX);
    old.range(page_key(number)..=end).next().is_none()
}

fn remove_folder(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    fs::remove_dir_all(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| StoreError::Io { path: from.to_owned(), source })
}
