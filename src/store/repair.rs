//! Repair: the good headers are copied into a new database, which then takes the old one's place.
//!
//! Nothing of the damaged database is written to or relied on but its pages, read in order and held to
//! every rule again; it is kept beside the new one.

use super::create::{Folders, create, remove_folder};
use super::error::StoreError;
use super::guard::guarded;
use super::layout::{PAGE, Page, decode_page, page_key};
use super::lock::StoreLock;
use super::open::{SledStore, check_network, check_version, open_sled, read_tip};
use super::read::page_bytes;
use super::verify::{check_headers, stored_fault, unreadable_fault};
use super::{Change, Fault, HeaderStore, Tip};
use crate::chain::{Branch, CheckedHeaders, Params};
use crate::primitives::BlockHash;
use sled::Db;
use std::path::{Path, PathBuf};

/// Pages copied in one step, 8,192 headers: larger steps take more memory and save no time (measured).
const STEP: u32 = 128;

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
    let folders = Folders::of(folder);
    folders.finish_repair()?;
    let old = match open_sled(&folders.database) {
        Ok(db) => {
            check_is_ours(&db, params)?;
            Ok(db)
        }
        Err(StoreError::Unreadable { .. }) => Err(()),
        Err(error) => return Err(error),
    };
    remove_folder(&folders.repaired)?;
    create(&folders.repaired, params)?;
    let store = SledStore::open_locked(&folders.repaired, params, lock)?;
    let fault = match old {
        Ok(db) => copy(&db, &store, now, progress)?,
        Err(()) => Some(unreadable_fault()),
    };
    store.settle()?;
    let tip = store.tip();
    let lock = store.into_lock();
    let aside = folders.swap()?;
    drop(lock);
    Ok(Repaired { tip, fault, aside })
}

/// A database of a newer program or of another network is not damaged: it is kept away from repair.
fn check_is_ours(db: &Db, params: &Params) -> Result<(), StoreError> {
    for check in [check_version(db), check_network(db, params)] {
        match check {
            Err(error) if !error.is_damage() => return Err(error),
            _ => {}
        }
    }
    Ok(())
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
            return Ok(fault.or_else(|| missing_end(old, branch.height())));
        }
    }
}

/// Headers that the old tip record knows of, or genesis itself, that were not there to be copied.
fn missing_end(old: &Db, copied: u32) -> Option<Fault> {
    let missing = |height| stored_fault(height, "page", "a header", "none");
    if is_past_last_page(old, 0) {
        return Some(missing(0));
    }
    let (tip, _) = read_tip(old).ok()?;
    (tip.height > copied).then(|| missing(copied + 1))
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
    let mut parent = first.is_multiple_of(PAGE).then(|| branch.hash());
    for number in first / PAGE..first / PAGE + STEP {
        match read_page(old, number, parent) {
            Ok(page) => {
                parent = Some(page.last_hash());
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

/// A page whose headers are taken to follow `parent`, where that is known, whatever the page itself says.
fn read_page(old: &Db, number: u32, parent: Option<BlockHash>) -> Result<Page, StoreError> {
    let mut bytes = page_bytes(old, number)?.to_vec();
    if let (Some(parent), Some(stored)) = (parent, bytes.first_chunk_mut()) {
        *stored = parent.0;
    }
    decode_page(number * PAGE, &bytes)
}

/// Whether there is no page from `number` on; what cannot be read counts as one.
fn is_past_last_page(old: &Db, number: u32) -> bool {
    let rest = page_key(number)..=page_key(u32::MAX);
    let next = guarded(number * PAGE, "a page", || old.range(rest).next().transpose());
    next.is_ok_and(|page| page.is_none())
}
