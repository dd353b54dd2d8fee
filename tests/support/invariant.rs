//! The invariant of a data folder, whatever ended the process that wrote to it: a kill, a power cut or a full disk.
//!
//! 1. The store opens, for reading and for writing, and both show the same chain.
//! 2. Each acknowledged tip (by an exit code of 0, a summary, or an event of `sync --follow`) is stored, or a branch
//!    with more work has replaced it.
//! 3. Every header up to the tip is there, and the tip is found by its hash. Each side branch leaves the chain at its
//!    stored fork height.
//! 4. `verify` finds no fault in the headers or in the redundant data.

use super::wait::{PATIENCE, poll_for};
use lightclient::chain::{Ancestors, ChainPoint, ChainTip, Params};
use lightclient::primitives::Header;
use lightclient::store::{HeaderStore, SledStore, StoreError, StoredSide};
use lightclient::testing::fault_in;
use std::fmt;
use std::path::Path;

/// The stored chain with its side branches.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// The tip with its work.
    pub tip: ChainTip,
    /// All headers of the chain.
    pub headers: Vec<Header>,
    /// The side branches.
    pub sides: Vec<StoredSide>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A failed assertion must not print thousands of headers.
        let (headers, sides) = (self.headers.len(), self.sides.len());
        write!(f, "Kept({:?}, {headers} headers, {sides} sides)", self.tip)
    }
}

impl Kept {
    /// Checks that this chain is stored, without side branches.
    #[track_caller]
    pub fn assert_is(&self, chain: &[Header]) {
        let height = self.headers.len() - 1;
        assert!(self.headers == chain, "{} headers instead of {}", height, chain.len() - 1);
        assert_eq!(self.sides, []);
    }
}

/// Checks the invariant above for a network's folder, and returns the stored chain. A longer chain counts as one with
/// more work, as is true on regtest. `what` names the folder in messages.
///
/// # Panics
/// If the invariant does not hold.
#[track_caller]
pub fn assert_invariant(
    folder: &Path,
    params: &'static Params,
    acknowledged: &[ChainPoint],
    what: &str,
) -> Kept {
    let fail =
        |error: &dyn fmt::Display| panic!("{what}: what is stored cannot be opened: {error}");
    let written =
        || when_free(|| SledStore::open(folder, params)).unwrap_or_else(|error| fail(&error));
    if acknowledged.is_empty() && !SledStore::exists(folder).expect(what) {
        // The process ended before it created the database.
        drop(written());
    }
    let read = when_free(|| SledStore::open_to_read(folder, params));
    let shown = read.unwrap_or_else(|error| fail(&error)).tip();
    // `fault_in` checks as `verify` does.
    assert_eq!(fault_in(folder, params.network).expect(what), None, "{what}");
    let store = written();
    let tip = store.tip();
    assert_eq!(shown, tip, "{what}: another tip once it was opened for writing");
    let run = store.run(0, tip.height + 1).expect(what);
    assert_eq!(run.headers.len(), count(tip.height) + 1, "{what}: a tip without its headers");
    assert_eq!(run.hashes.last(), Some(&tip.hash), "{what}");
    assert_eq!(store.height_of(&tip.hash).expect(what), Some(tip.height), "{what}");
    for ChainPoint { height, hash } in acknowledged {
        let same = run.hashes.get(count(*height)) == Some(hash);
        assert!(
            same || tip.height > *height,
            "{what}: {height} {hash} is lost, the tip is {tip:?}"
        );
    }
    let sides = store.sides().expect(what);
    for side in &sides {
        let fork = run.hashes.get(count(side.fork_height));
        assert_eq!(fork, side.headers.first().map(|header| &header.prev), "{what}: a side branch");
    }
    Kept { tip, headers: run.headers, sides }
}

/// Opens the store once its lock is free. A process that another test has just forked holds copies of this process's
/// locks until it executes its program.
fn when_free<T>(open: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    poll_for("the lock", PATIENCE, || match open() {
        Err(StoreError::InUse { .. }) => None,
        opened => Some(opened),
    })
}

fn count(height: u32) -> usize {
    usize::try_from(height).expect("usize has at least 32 bits")
}
