//! Checks a stored chain again, from genesis.

use super::HeaderStore;
use super::error::StoreError;
use super::layout::HEADERS_PER_PAGE;
use crate::chain::{BatchFault, Branch, CheckedHeaders, LinkedBatch, Params, Rejection};
use crate::chain::{link_batch, link_hashed};
use crate::primitives::{BlockHash, Header, Work};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Builder};

/// How many headers a thread reads and hashes in one step, together with their index entries.
const HEADERS_PER_STEP: u32 = 8_192;
/// The most threads that read. More of them would only wait for the thread that checks headers in height order.
const MAX_WORKERS: usize = 8;

/// A clock that no header's time is ahead of, for stored headers: their times are not compared with the real clock.
pub(crate) const NO_CLOCK: u32 = u32::MAX;

/// The first fault of a stored chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The lowest height that has a fault.
    pub height: u32,
    /// The broken rule: Bitcoin Core's name for a rule of headers, or `stored-…` for one of the database.
    pub rule: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub got: String,
}

/// The result of a check of the whole chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// The number of good headers, genesis included.
    pub checked: u32,
    /// Height of the last good header.
    pub height: u32,
    /// Hash of the last good header.
    pub hash: BlockHash,
    /// Time of the last good header, in Unix seconds.
    pub time: u32,
    /// The first fault, if any.
    pub fault: Option<Fault>,
}

/// Checks the stored headers again, up to the first fault: proof of work, links, the other rules, the stored work and
/// the index. If all are good, checks the tip record and the records of side branches too.
///
/// Headers are not compared with the clock again: they were when they arrived. `progress` is called with the height
/// reached after each step of at most 8,192 headers.
///
/// # Errors
/// Reading failed for a reason other than damage, or a thread could not be started. The report names damage as a fault.
pub fn verify<S: HeaderStore + ?Sized>(
    store: &S,
    params: &'static Params,
    mut progress: impl FnMut(u32),
) -> Result<VerifyReport, StoreError> {
    let tip = store.tip();
    let mut branch = Branch::genesis(params);
    let mut fault = index_fault(0, store.missing_in_index(0, &[branch.hash()]))?;
    if fault.is_none() {
        fault = check_steps(store, &mut branch, tip.height, &mut progress)?;
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
        time: branch.time(),
        fault,
    })
}

/// Checks all headers above genesis, and extends the branch to the last good one.
///
/// Threads read and hash the steps of the chain in any order. The rules that need ancestors are checked here, in height
/// order.
fn check_steps<S: HeaderStore + ?Sized>(
    store: &S,
    branch: &mut Branch,
    tip: u32,
    progress: &mut impl FnMut(u32),
) -> Result<Option<Fault>, StoreError> {
    let params = branch.params();
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let (next, (sender, read)) = (AtomicU32::new(0), sync_channel(workers));
    thread::scope(|scope| {
        // Dropping the receiver ends the threads that wait to send a step.
        let read = read;
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            let work = move || read_steps(store, params, tip, next, &sender);
            let started = Builder::new().spawn_scoped(scope, work);
            started.map_err(|source| StoreError::Threads { source })?;
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        for number in 0..steps_up_to(tip) {
            while !waiting.contains_key(&number) {
                let Ok((number, step)) = read.recv() else { break };
                waiting.insert(number, step);
            }
            let Some(step) = waiting.remove(&number) else { break };
            let fault = check_step(branch, step?)?;
            progress(branch.height());
            if fault.is_some() {
                return Ok(fault);
            }
        }
        Ok(None)
    })
}

/// Returns how many steps a chain with its tip at height `tip` has.
fn steps_up_to(tip: u32) -> u32 {
    tip / HEADERS_PER_STEP + 1
}

/// Takes step numbers from `next` and reads these steps, until the tip is reached or nobody receives them.
fn read_steps<S: HeaderStore + ?Sized>(
    store: &S,
    params: &Params,
    tip: u32,
    next: &AtomicU32,
    sender: &SyncSender<(u32, Result<Step, StoreError>)>,
) {
    let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
    for number in numbers.take_while(|number| *number < steps_up_to(tip)) {
        let first = (number * HEADERS_PER_STEP).max(1);
        let last = tip.min(number * HEADERS_PER_STEP + (HEADERS_PER_STEP - 1));
        // After a fault nobody receives the remaining steps.
        if sender.send((number, read_step(store, params, first, last))).is_err() {
            return;
        }
    }
}

/// A step of the chain, as it was read.
struct Step {
    pages: Vec<PageRead>,
    /// The height of the step's first header that is not in the index; `None` if all are.
    missing_in_index: Result<Option<u32>, StoreError>,
}

/// A page as it was read, up to its first fault. Page 0 is read without genesis.
struct PageRead {
    /// Height of the first header.
    first: u32,
    /// The hash of the header before the first, as stored in the page (of page 0: the hash of the stored genesis);
    /// `None` if no header could be read.
    parent: Option<BlockHash>,
    parent_work: Work,
    batch: LinkedBatch,
    batch_fault: Option<BatchFault>,
    damage: Option<Fault>,
}

fn read_step<S: HeaderStore + ?Sized>(
    store: &S,
    params: &Params,
    first: u32,
    last: u32,
) -> Result<Step, StoreError> {
    let (mut pages, mut hashes) = (Vec::new(), Vec::new());
    let mut from = first;
    while from <= last {
        let end = last.min(from - from % HEADERS_PER_PAGE + (HEADERS_PER_PAGE - 1));
        let page = read_page(store, params, from, end - from + 1)?;
        hashes.extend(page.batch.hashes());
        let faulty = page.damage.is_some() || page.batch_fault.is_some();
        pages.push(page);
        if faulty {
            break;
        }
        from = end + 1;
    }
    let missing_in_index = store.missing_in_index(first, &hashes);
    Ok(Step { pages, missing_in_index })
}

fn read_page<S: HeaderStore + ?Sized>(
    store: &S,
    params: &Params,
    first: u32,
    count: u32,
) -> Result<PageRead, StoreError> {
    let mut damage = None;
    let run = match store.run_unchecked(first, count) {
        Err(StoreError::Damaged { height, what }) => {
            damage = Some(stored_fault(height.max(first), "page", "an intact page", &what));
            store.run_unchecked(first, height.saturating_sub(first))?
        }
        other => other?,
    };
    let parent = run.headers.first().map(|header| header.prev);
    let (batch, batch_fault) = link_hashed(params, run.headers, &run.hashes);
    Ok(PageRead { first, parent, parent_work: run.parent_work, batch, batch_fault, damage })
}

/// Checks a step by every rule on top of the branch, and the links between its pages.
fn check_step(branch: &mut Branch, step: Step) -> Result<Option<Fault>, StoreError> {
    let first = branch.height() + 1;
    let mut fault = None;
    for page in step.pages {
        fault = start_fault(branch, &page);
        if fault.is_none() {
            let (_, rejection) = branch.extend(page.batch, NO_CLOCK);
            let rule = rejection.or_else(|| page.batch_fault.map(|fault| rejected(branch, fault)));
            fault = rule.as_ref().map(rule_fault).or(page.damage);
        }
        if fault.is_some() {
            break;
        }
    }
    // The missing entry of a good header is at a lower height than any other fault.
    let missing = index_fault(first, step.missing_in_index)?;
    Ok(missing.filter(|missing| missing.height <= branch.height()).or(fault))
}

/// Compares the parent hash and the work at the start of a page with the branch before it.
fn start_fault(branch: &Branch, page: &PageRead) -> Option<Fault> {
    let (height, parent) = (page.first, page.parent?);
    if parent != branch.hash() {
        let (expected, got) = (branch.hash().to_string(), parent.to_string());
        return Some(stored_fault(height, "parent", &expected, &got));
    }
    if page.parent_work != *branch.chainwork() {
        let (expected, got) = (branch.chainwork().to_string(), page.parent_work.to_string());
        return Some(stored_fault(height, "chainwork", &expected, &got));
    }
    None
}

/// Checks headers by every rule on top of the branch, and returns the good ones and the first fault.
pub(super) fn check_headers(
    branch: &mut Branch,
    headers: Vec<Header>,
) -> (CheckedHeaders, Option<Fault>) {
    let (batch, batch_fault) = link_batch(branch.params(), headers);
    let (good, rejection) = branch.extend(batch, NO_CLOCK);
    let rejection = rejection.or_else(|| batch_fault.map(|fault| rejected(branch, fault)));
    (good, rejection.as_ref().map(rule_fault))
}

fn rejected(branch: &Branch, fault: BatchFault) -> Rejection {
    Rejection { height: branch.height() + 1, hash: fault.hash, violation: fault.violation }
}

fn index_fault(
    first: u32,
    missing: Result<Option<u32>, StoreError>,
) -> Result<Option<Fault>, StoreError> {
    match missing {
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

/// Returns the fault of a database that does not open.
pub fn unreadable_fault() -> Fault {
    stored_fault(0, "database", "a database that opens", "files that cannot be read")
}

/// Returns the fault of a database whose headers are all good, but whose log is damaged and must not be written to. The
/// damage may hide the headers from `height` on, which were stored last.
pub fn log_fault(height: u32) -> Fault {
    stored_fault(height, "log", "a log without holes", "a damaged message")
}

pub(super) fn stored_fault(height: u32, what: &str, expected: &str, got: &str) -> Fault {
    Fault {
        height,
        rule: format!("stored-{what}"),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}
