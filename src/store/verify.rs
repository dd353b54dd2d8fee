//! Checking a stored chain again, from genesis.

use super::error::StoreError;
use super::{HeaderStore, StoredRun};
use crate::chain::{Branch, CheckedHeaders, Params, Rejection, link_batch};
use crate::primitives::{BlockHash, Header};

/// Headers read and checked at a time.
const STEP: u32 = 4096;

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
    Ok(VerifyReport {
        checked: branch.height() + 1,
        height: branch.height(),
        hash: branch.hash(),
        fault,
    })
}

/// Checks the next few headers and moves the branch's end to the last good one.
fn check_step<S: HeaderStore + ?Sized>(
    store: &S,
    branch: &mut Branch,
    tip: u32,
    now: u32,
) -> Result<Option<Fault>, StoreError> {
    let first = branch.height() + 1;
    let mut count = STEP.min(tip - branch.height());
    let run = match store.run_unchecked(first, count) {
        Err(StoreError::Damaged { height, what }) if height <= first => {
            return Ok(Some(stored_fault(first, "page", "an intact page", &what)));
        }
        Err(StoreError::Damaged { height, .. }) => {
            // The headers in front of the damage come first; the next step begins at it.
            count = count.min(height - first);
            store.run_unchecked(first, count)?
        }
        other => other?,
    };
    check_run(store, branch, run, now)
}

fn check_run<S: HeaderStore + ?Sized>(
    store: &S,
    branch: &mut Branch,
    run: StoredRun,
    now: u32,
) -> Result<Option<Fault>, StoreError> {
    let first = branch.height() + 1;
    if run.headers.is_empty() {
        return Ok(Some(stored_fault(first, "page", "a header", "none")));
    }
    if run.parent_work != *branch.chainwork() {
        let (expected, got) = (branch.chainwork().to_string(), run.parent_work.to_string());
        return Ok(Some(stored_fault(first, "chainwork", &expected, &got)));
    }
    let (good, fault) = check_headers(branch, run.headers, now);
    Ok(index_fault(store, first, good.hashes())?.or(fault))
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
    let missing = store.missing_in_index(first, hashes)?;
    Ok(missing.map(|height| stored_fault(height, "index", "an entry for its hash", "none")))
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

fn rule_fault(rejection: &Rejection) -> Fault {
    Fault {
        height: rejection.height,
        rule: rejection.violation.rule().to_owned(),
        expected: rejection.violation.expected(),
        got: rejection.violation.got(),
    }
}

pub(super) fn stored_fault(height: u32, what: &str, expected: &str, got: &str) -> Fault {
    Fault {
        height,
        rule: format!("stored-{what}"),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}
