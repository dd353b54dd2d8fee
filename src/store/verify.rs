//! Checking a stored chain again, from genesis.

use super::error::StoreError;
use super::layout::PAGE;
use super::{HeaderStore, StoredRun};
use crate::chain::{Branch, CheckedHeaders, Params, Rejection, link_batch};
use crate::primitives::{BlockHash, Header};

/// Headers whose index entries are checked together: each bucket is then read for many of them at once.
const STEP: u32 = 16_384;

/// The first thing found wrong in a stored chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The lowest height that is not good.
    pub height: u32,
    /// The broken rule: Bitcoin Core's name for a header's, `stored-…` for the database's own.
    pub rule: String,
    /// What was expected.
    pub expected: String,
    /// What is there.
    pub got: String,
}

/// What a check of the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many headers were found good, genesis included.
    pub checked: u32,
    /// Height of the last good header.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// The first fault, if any.
    pub fault: Option<Fault>,
}

/// Checks every stored header again: proof of work, links, every rule, the stored work and the index.
///
/// `now` is the wall clock in Unix seconds; `progress` hears of each height reached.
///
/// # Errors
/// Reading failed for a reason other than damage: damage is what the report is for.
pub fn verify<S: HeaderStore + ?Sized>(
    store: &S,
    params: &'static Params,
    now: u32,
    mut progress: impl FnMut(u32),
) -> Result<VerifyReport, StoreError> {
    let tip = store.tip();
    let mut branch = Branch::genesis(params);
    let mut fault = index_fault(store, 0, &[branch.hash()])?;
    while fault.is_none() && branch.height() < tip.height {
        fault = check_step(store, &mut branch, tip.height, now)?;
        progress(branch.height());
    }
    if fault.is_none() {
        fault = check_tip(store, &branch);
    }
    if fault.is_none() {
        fault = sides_fault(store)?;
    }
    Ok(VerifyReport {
        checked: branch.height() + 1,
        height: branch.height(),
        hash: branch.hash(),
        fault,
    })
}

/// Checks the next few pages and their index entries, and moves the branch's end to the last good header.
fn check_step<S: HeaderStore + ?Sized>(
    store: &S,
    branch: &mut Branch,
    tip: u32,
    now: u32,
) -> Result<Option<Fault>, StoreError> {
    let first = branch.height() + 1;
    let last = tip.min(first - first % STEP + STEP - 1);
    let mut hashes = Vec::new();
    let mut fault = None;
    while fault.is_none() && branch.height() < last {
        let (good, found) = check_page(store, branch, last, now)?;
        hashes.extend_from_slice(good.hashes());
        fault = found;
    }
    // A good header's missing entry lies below whatever else is wrong.
    Ok(index_fault(store, first, &hashes)?.or(fault))
}

/// Checks what is left of the branch's page: each page repeats its parent's hash and the work before it.
fn check_page<S: HeaderStore + ?Sized>(
    store: &S,
    branch: &mut Branch,
    last: u32,
    now: u32,
) -> Result<(CheckedHeaders, Option<Fault>), StoreError> {
    let first = branch.height() + 1;
    let count = (PAGE - first % PAGE).min(last - branch.height());
    let mut damage = None;
    let run = match store.run_unchecked(first, count) {
        Err(StoreError::Damaged { height, what }) => {
            damage = Some(stored_fault(height.max(first), "page", "an intact page", &what));
            store.run_unchecked(first, height.saturating_sub(first))?
        }
        other => other?,
    };
    if let Some(fault) = start_fault(branch, &run) {
        let (nothing, _) = check_headers(branch, Vec::new(), now);
        return Ok((nothing, Some(fault)));
    }
    let (good, fault) = check_headers(branch, run.headers, now);
    Ok((good, fault.or(damage)))
}

/// What a run's records say of the chain before it, against what the headers there add up to.
fn start_fault(branch: &Branch, run: &StoredRun) -> Option<Fault> {
    let (height, parent) = (run.first_height, run.headers.first()?.prev);
    if parent != branch.hash() {
        let (expected, got) = (branch.hash().to_string(), parent.to_string());
        return Some(stored_fault(height, "parent", &expected, &got));
    }
    if run.parent_work != *branch.chainwork() {
        let (expected, got) = (branch.chainwork().to_string(), run.parent_work.to_string());
        return Some(stored_fault(height, "chainwork", &expected, &got));
    }
    None
}

/// Holds headers to every rule on top of the branch; the good ones and the first fault come back.
pub(super) fn check_headers(
    branch: &mut Branch,
    headers: Vec<Header>,
    now: u32,
) -> (CheckedHeaders, Option<Fault>) {
    let (batch, batch_fault) = link_batch(branch.params(), headers);
    let (good, rejection) = branch.extend(batch, now);
    let rejection = rejection.or_else(|| {
        batch_fault.map(|fault| Rejection {
            height: branch.height() + 1,
            hash: fault.hash,
            violation: fault.violation,
        })
    });
    (good, rejection.as_ref().map(rule_fault))
}

fn index_fault<S: HeaderStore + ?Sized>(
    store: &S,
    first: u32,
    hashes: &[BlockHash],
) -> Result<Option<Fault>, StoreError> {
    match store.missing_in_index(first, hashes) {
        Err(StoreError::Damaged { height, what }) => {
            Ok(Some(stored_fault(height.max(first), "index", "a readable index", &what)))
        }
        other => {
            let fault = |height| stored_fault(height, "index", "an entry for its hash", "none");
            Ok(other?.map(fault))
        }
    }
}

fn check_tip<S: HeaderStore + ?Sized>(store: &S, branch: &Branch) -> Option<Fault> {
    let tip = store.tip();
    if tip.hash != branch.hash() {
        let (expected, got) = (branch.hash().to_string(), tip.hash.to_string());
        return Some(stored_fault(tip.height, "tip", &expected, &got));
    }
    if tip.chainwork != *branch.chainwork() {
        let (expected, got) = (branch.chainwork().to_string(), tip.chainwork.to_string());
        return Some(stored_fault(tip.height, "chainwork", &expected, &got));
    }
    None
}

fn sides_fault<S: HeaderStore + ?Sized>(store: &S) -> Result<Option<Fault>, StoreError> {
    match store.sides() {
        Err(StoreError::Damaged { height, what }) => {
            Ok(Some(stored_fault(height, "side-branch", "readable records", &what)))
        }
        other => other.map(|_| None),
    }
}

fn rule_fault(rejection: &Rejection) -> Fault {
    Fault {
        height: rejection.height,
        rule: rejection.violation.rule().to_owned(),
        expected: rejection.violation.expected(),
        got: rejection.violation.got(),
    }
}

/// The fault of a database that does not open.
pub fn unreadable_fault() -> Fault {
    stored_fault(0, "database", "a database that opens", "files that cannot be read")
}

pub(super) fn stored_fault(height: u32, what: &str, expected: &str, got: &str) -> Fault {
    Fault {
        height,
        rule: format!("stored-{what}"),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}
