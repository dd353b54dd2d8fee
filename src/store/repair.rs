//! Repair: copies the good headers into a new database, which then replaces the old one.
//!
//! Repair only reads the damaged database, and keeps it beside the new one. It uses pages from anywhere in the damaged
//! file, and checks every header again, by all rules but the two-hour limit on times in the future.

use super::create::{Folders, create, remove_folder};
use super::error::StoreError;
use super::layout::HEADERS_PER_PAGE;
use super::lock::StoreLock;
use super::open::{SledStore, check_network, check_version};
use super::records::Records;
use super::salvage::Salvage;
use super::verify::{check_headers, stored_fault};
use super::{Change, Fault, HeaderStore};
use crate::chain::{Branch, ChainTip, CheckedHeaders, Params};
use crate::primitives::Header;
use std::io;
use std::path::{Path, PathBuf};

/// Pages copied in one step, 8,192 headers: larger steps take more memory and save no time (measured).
const PAGES_PER_STEP: u32 = 128;

/// The result of a repair.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// The chain's end in the new database.
    pub tip: ChainTip,
    /// The first fault, recovered or not; `None` if every header was good.
    pub fault: Option<Fault>,
    /// The folder of the old database.
    pub aside: PathBuf,
}

/// Rebuilds the database in a network's folder from all its headers that can be recovered.
///
/// Headers are not compared with the clock again: they were when they arrived. `progress` is called with each height
/// reached. Side branches are not copied: peers send them again.
///
/// # Errors
/// The folder is in use, cannot be read or written, or holds no database, or one of a newer program or of another network.
/// Damage is not an error here.
pub fn repair(
    folder: &Path,
    params: &'static Params,
    progress: impl FnMut(u32),
) -> Result<Repaired, StoreError> {
    let lock = StoreLock::take(folder)?;
    let folders = Folders::of(folder);
    if !folders.hold_database()? {
        let source = io::ErrorKind::NotFound.into();
        return Err(StoreError::Io { path: folders.database, source });
    }
    folders.finish_repair()?;
    let old = Salvage::open(&folders.database, params)?;
    if let Some(records) = old.records() {
        check_is_ours(records, params)?;
    }
    remove_folder(&folders.repaired)?;
    create(&folders.repaired, params)?;
    let store = SledStore::open_locked(&folders.repaired, params, lock)?;
    let fault = copy(&old, &store, progress)?;
    store.finish_bulk_load()?;
    let tip = store.tip();
    let lock = store.into_lock();
    let aside = folders.swap()?;
    drop(lock);
    Ok(Repaired { tip, fault, aside })
}

/// Refuses a database of a newer program or of another network, since such a database is not damaged.
fn check_is_ours(records: &Records, params: &Params) -> Result<(), StoreError> {
    for check in [check_version(records), check_network(records, params)] {
        match check {
            Err(error) if !error.is_damage() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn copy(
    old: &Salvage,
    new: &SledStore,
    mut progress: impl FnMut(u32),
) -> Result<Option<Fault>, StoreError> {
    let mut branch = Branch::genesis(new.params());
    let mut first_fault = None;
    loop {
        let step = read_step(old, &mut branch);
        let none_copied = step.good.is_empty();
        new.commit(&Change { append: Some(&step.good), ..Change::default() })?;
        progress(branch.height());
        let faults = step.recovered.into_iter().chain(step.fault);
        first_fault = first_fault.or(faults.min_by_key(|fault| fault.height));
        if step.ends || none_copied {
            return Ok(first_fault.or_else(|| missing_end(old, branch.height())));
        }
    }
}

/// The result of recovering the next pages.
struct CopyStep {
    good: CheckedHeaders,
    /// The fault of the first page that was damaged and could be recovered.
    recovered: Option<Fault>,
    /// The fault of the header after the good ones.
    fault: Option<Fault>,
    /// Whether no header follows.
    ends: bool,
}

/// Returns a fault if the old tip record names headers that could not be copied, or if there is no tip record.
fn missing_end(old: &Salvage, copied: u32) -> Option<Fault> {
    let missing = |height| stored_fault(height, "page", "a header", "none");
    match old.tip() {
        Some(tip) => (tip.height > copied).then(|| missing(copied + 1)),
        None => Some(stored_fault(copied, "tip", "a tip record", "none")),
    }
}

fn read_step(old: &Salvage, branch: &mut Branch) -> CopyStep {
    let first = branch.height() + 1;
    let mut headers: Vec<Header> = Vec::new();
    let (mut recovered, mut missing) = (None, None);
    let mut parent = branch.hash();
    for number in first / HEADERS_PER_PAGE..first / HEADERS_PER_PAGE + PAGES_PER_STEP {
        let before = if number == 0 { branch.params().genesis.prev } else { parent };
        let piece = old.page(number, &before);
        // Only the first step skips a header: genesis, which the new database has already.
        let skip = usize::try_from(first.saturating_sub(number * HEADERS_PER_PAGE)).unwrap_or(0);
        let at = number * HEADERS_PER_PAGE;
        if recovered.is_none() && !piece.headers.is_empty() && !old.is_intact(number, &piece) {
            recovered =
                Some(stored_fault(at.max(first), "page", "an intact page", "a damaged one"));
        }
        let count = piece.headers.len();
        headers.extend(piece.headers.into_iter().skip(skip));
        parent = headers.last().map_or(branch.hash(), Header::hash);
        if count < usize::try_from(HEADERS_PER_PAGE).expect("a page is small") {
            let next = at + u32::try_from(count).expect("a page is small");
            let known = old.tip().is_some_and(|tip| tip.height >= next);
            missing =
                known.then(|| stored_fault(next.max(first), "page", "an intact page", "none"));
            break;
        }
    }
    let ends = headers.len()
        < usize::try_from(PAGES_PER_STEP * HEADERS_PER_PAGE - first % HEADERS_PER_PAGE)
            .unwrap_or(0);
    let (good, fault) = check_headers(branch, headers);
    let ends = ends || fault.is_some();
    CopyStep { good, recovered, fault: fault.or(missing), ends }
}
