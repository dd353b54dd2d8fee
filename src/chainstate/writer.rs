//! The only writer of the stored chain. It keeps the header tree in memory, and writes to the store.

mod candidate;

use crate::chain::{
    Accepted, Branch, ConnectOutcome, HeaderTree, LinkedBatch, Params, Rejection, ResumeError,
};
use crate::chain::{CheckedHeaders, SideBranch, Survey, TreeError, link_batch};
use crate::primitives::Work;
use crate::store::{Change, ErrorKind, HeaderStore, StoreError};
use std::mem;
use std::sync::Arc;
use tracing::info;

/// Why a batch could not be checked or stored. The sender of the batch is never to blame.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored chain is shorter than its tip says.
    #[error("stored data is damaged: {0}: run `lightclient verify --repair`")]
    Resume(#[from] ResumeError),
    /// The thread that connects and stores headers panicked.
    #[error(
        "the thread that stores headers failed: run the command again, and `lightclient verify` if it recurs"
    )]
    Panicked,
}

impl ChainError {
    /// Returns whether stored data is damaged.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_damage(),
            Self::Resume(_) => true,
            Self::Panicked => false,
        }
    }

    /// Returns what kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Resume(_) => ErrorKind::Damaged,
            Self::Panicked => ErrorKind::Failed,
        }
    }
}

impl From<TreeError<StoreError>> for ChainError {
    fn from(error: TreeError<StoreError>) -> Self {
        match error {
            TreeError::Ancestors(error) => Self::Store(error),
            TreeError::Resume(error) => Self::Resume(error),
        }
    }
}

/// The candidate: a branch that has shown its work in a presync. Its headers are downloaded a second time and stored
/// beside the chain. Once they have more work than the chain, the candidate replaces the chain's end.
#[derive(Debug)]
struct CandidateBranch {
    /// Height of the last header that it shares with the chain.
    fork: u32,
    branch: Branch,
    /// Headers that wait for [`ChainWriter::flush_candidate`].
    unstored: Option<CheckedHeaders>,
}

/// Checks linked batches against their ancestors, and stores the valid headers.
///
/// The writer collects headers that extend the chain, and [`ChainWriter::flush`] stores them together: a few large
/// writes cost far less than many small ones. Headers that are not flushed are not stored.
#[derive(Debug)]
pub(crate) struct ChainWriter<S> {
    store: Arc<S>,
    tree: HeaderTree,
    unstored: Option<CheckedHeaders>,
    candidate: Option<CandidateBranch>,
}

impl<S: HeaderStore> ChainWriter<S> {
    /// Returns a writer that continues at the stored tip.
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn new(store: Arc<S>, params: &'static Params) -> Result<Self, ChainError> {
        // An earlier process may have left a candidate that it did not complete.
        store.discard_candidate()?;
        let active = stored_branch(store.as_ref(), params, store.tip().height)?;
        let mut tree = HeaderTree::new(active);
        for side in store.sides()? {
            let (batch, _) = link_batch(params, side.headers);
            tree.restore_side(batch, store.as_ref())?;
        }
        Ok(Self { store, tree, unstored: None, candidate: None })
    }

    /// Returns the header tree: the chain's end, including headers that are not stored yet, and the side branches.
    pub(crate) fn tree(&self) -> &HeaderTree {
        &self.tree
    }

    /// Returns the store.
    pub(crate) fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// Returns how many headers wait for [`ChainWriter::flush`].
    pub(crate) fn unstored(&self) -> usize {
        let candidate = self.candidate.iter().filter_map(|candidate| candidate.unstored.as_ref());
        self.unstored.iter().chain(candidate).map(CheckedHeaders::len).sum()
    }

    /// Checks a batch against its ancestors, and keeps the headers before the first invalid one. Returns how the kept
    /// headers changed the chain, and why the invalid header was refused, if there is one. `now` is in Unix seconds.
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn accept(
        &mut self,
        batch: LinkedBatch,
        now: u32,
    ) -> Result<(ConnectOutcome, Option<Rejection>), ChainError> {
        if batch.prev() != Some(self.tree.active().hash()) {
            // The tree will read ancestors from the store, which must have all of them.
            self.flush()?;
        }
        let old_bits = self.tree.active().bits();
        let (accepted, rejection) = self.tree.accept(batch, self.store.as_ref(), now)?;
        Ok((self.store_accepted(accepted, old_bits)?, rejection))
    }

    fn store_accepted(
        &mut self,
        accepted: Accepted,
        old_bits: u32,
    ) -> Result<ConnectOutcome, ChainError> {
        match accepted {
            Accepted::Nothing => Ok(ConnectOutcome::Unchanged),
            Accepted::Extended(headers) => self.extend(headers, old_bits),
            Accepted::Side { height, hash } => {
                let sides = Some(self.tree.sides());
                self.store.commit(&Change { sides, ..Change::default() })?;
                let ends = self.tree.sides().iter().map(SideBranch::tip);
                let end = ends.into_iter().find(|end| end.hash() == hash);
                let work = end.map(|end| end.chainwork().clone()).unwrap_or_default();
                Ok(ConnectOutcome::SideBranch { height, hash, work })
            }
            Accepted::SideTooLong { height } => Ok(ConnectOutcome::SideBranchTooLong { height }),
            Accepted::Reorganized { fork_height, old_height, old_hash, connected } => {
                let old_work = self.store.tip().chainwork;
                self.store.commit(&Change {
                    cut_to: Some(fork_height),
                    append: Some(&connected),
                    sides: Some(self.tree.sides()),
                    ..Change::default()
                })?;
                let connected = u32::try_from(connected.len()).unwrap_or(u32::MAX);
                Ok(ConnectOutcome::Reorganized {
                    fork_height,
                    old_height,
                    old_hash,
                    old_work,
                    connected,
                })
            }
        }
    }

    /// Adds headers that extend the chain to those that are not stored yet. Stores these first if the new ones do not
    /// follow them.
    fn extend(
        &mut self,
        headers: CheckedHeaders,
        old_bits: u32,
    ) -> Result<ConnectOutcome, ChainError> {
        log_retargets(self.tree.active().params(), old_bits, &headers);
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        if let Some(rest) = append_unstored(&mut self.unstored, headers) {
            self.flush()?;
            self.unstored = Some(rest);
        }
        Ok(ConnectOutcome::Extended(count))
    }

    /// Returns where a batch leaves the known headers, or `None` if the batch is empty or its parent is not known.
    ///
    /// # Errors
    /// Reading or writing the store failed.
    pub(crate) fn survey(&mut self, batch: LinkedBatch) -> Result<Option<Survey>, ChainError> {
        self.flush()?;
        Ok(self.tree.survey(batch, self.store.as_ref())?)
    }

    /// Returns the branch that ends with the parent of a survey's first unknown header.
    ///
    /// # Errors
    /// Reading the store failed.
    pub(crate) fn state_before(&self, survey: &Survey) -> Result<Branch, ChainError> {
        Ok(self.tree.state_before(survey, self.store.as_ref())?)
    }

    /// Stores the collected headers, which are durable when the method returns.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn flush(&mut self) -> Result<(), ChainError> {
        if let Some(headers) = self.take_unstored() {
            append(self.store.as_ref(), &headers)?;
        }
        self.flush_candidate()
    }

    /// Removes and returns the headers that extend the chain and are not stored yet. The caller has to [`append`] them
    /// before the writer stores anything else.
    pub(super) fn take_unstored(&mut self) -> Option<CheckedHeaders> {
        mem::take(&mut self.unstored)
    }
}

/// Stores headers on top of the stored tip. The headers are durable when the function returns.
pub(super) fn append<S: HeaderStore>(
    store: &S,
    headers: &CheckedHeaders,
) -> Result<(), StoreError> {
    store.commit(&Change { append: Some(headers), ..Change::default() })
}

/// Adds headers to `unstored`, or returns them if they do not follow its last header.
fn append_unstored(
    unstored: &mut Option<CheckedHeaders>,
    headers: CheckedHeaders,
) -> Option<CheckedHeaders> {
    match unstored {
        None => {
            *unstored = Some(headers);
            None
        }
        Some(unstored) => unstored.append(headers).err(),
    }
}

/// Returns the stored chain up to a height as a [`Branch`].
fn stored_branch<S: HeaderStore>(
    store: &S,
    params: &'static Params,
    height: u32,
) -> Result<Branch, ChainError> {
    let from = Branch::resume_from(params, height);
    let recent = store.headers(from, height - from + 1)?;
    Ok(Branch::resume(params, height, store.chainwork(height)?, &recent)?)
}

/// Logs changes of the bits at retargets. Changes at other heights come from the 20-minute rule of test networks, and
/// are too frequent to be logged. `bits` are those of the header before.
fn log_retargets(params: &Params, mut bits: u32, headers: &CheckedHeaders) {
    for (header, height) in headers.headers().iter().zip(headers.first_height()..) {
        if header.bits != bits && params.is_boundary(height) {
            let old = Work::of_bits(bits).to_f64();
            let change = Work::of_bits(header.bits).to_f64() / old - 1.0;
            info!(
                "retarget at height {height}: bits {bits:08x} -> {:08x}, difficulty {:+.2} %",
                header.bits,
                change * 100.0
            );
        }
        bits = header.bits;
    }
}
