//! The import of headers from a file. They are held to the same rules as headers from peers, but need no presync.

mod fault;
mod orphans;
#[cfg(test)]
mod tests;

pub(crate) use fault::{Claim, ImportError};

use super::clock::Clock;
use super::writer::{ChainError, ChainWriter, append};
use crate::chain::{
    BatchFault, ConnectOutcome, Hints, LinkedBatch, Params, SideBranch, Violation, link_hashed,
    params as params_of,
};
use crate::primitives::{BlockHash, Header, Network, Work};
use crate::store::HeaderStore;
use rayon::prelude::*;
use std::mem;
use std::sync::Arc;

/// How many headers are judged and stored together. Each batch costs an fsync, and each header costs memory (see
/// [`HeaderStore::commit`]).
const BATCH: usize = 7_000;

/// How many headers are judged together after a run that another branch has cut short.
const SHORT: usize = 64;

/// The fewest headers that one rayon job hashes.
const CHUNK: usize = 512;

/// The options of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The network.
    pub params: &'static Params,
    /// The hints; empty to import without hints.
    pub hints: Hints,
    /// Headers below this height are skipped.
    pub from: u32,
    /// The height of the last header to import; `None` to import all.
    pub to: Option<u32>,
    /// The clock that header times are compared with.
    pub clock: Clock,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How often a branch from the file replaced the chain's end.
    pub reorgs: u32,
    /// How many branches beside the chain have headers of the file.
    pub sides: u32,
    side_ends: Vec<BlockHash>,
}

/// The result of judging a run of headers.
struct Judged {
    /// How many headers of the run were good.
    good: usize,
    /// Why the header after the good ones is refused.
    outcome: Result<(), ImportError>,
    /// The fault of the first header without valid proof of work, if the run has one before another branch starts.
    fault: Option<BatchFault>,
}

/// Headers that follow each other, with what the file claims of each.
type Run = (Vec<Header>, Vec<Claim>);

/// Takes the headers of a file one by one, checks them, and stores them in large batches.
#[derive(Debug)]
pub struct Importer<S> {
    options: ImportOptions,
    writer: ChainWriter<S>,
    waiting: Vec<Header>,
    /// What the file claims of each waiting header.
    claims: Vec<Claim>,
    /// The hashes of the headers that are being judged.
    hashes: Vec<BlockHash>,
    /// Runs of headers whose parents are not known yet.
    orphans: Vec<Run>,
    /// How many headers were pushed.
    pushed: u64,
    /// Position in the file of the header that was refused, from 0.
    refused: Option<u64>,
    /// Height of the next header, if it is known.
    next: Option<u32>,
    begun: bool,
    done: Imported,
}

impl<S: HeaderStore> Importer<S> {
    /// Returns an importer that writes to a store.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn new(store: Arc<S>, options: ImportOptions) -> Result<Self, ChainError> {
        let writer = ChainWriter::new(store, options.params)?;
        Ok(Self {
            options,
            writer,
            waiting: Vec::with_capacity(BATCH),
            claims: Vec::with_capacity(BATCH),
            hashes: Vec::with_capacity(BATCH),
            orphans: Vec::new(),
            pushed: 0,
            refused: None,
            next: None,
            begun: false,
            done: Imported::default(),
        })
    }

    /// Returns the position of the refused header in the file, from 0; `None` if there is no such header or position.
    pub fn refused(&self) -> Option<u64> {
        self.refused
    }

    /// Returns whether the last header that was judged is the last one to import.
    pub fn has_all(&self) -> bool {
        self.next.zip(self.options.to).is_some_and(|(next, to)| next.checked_sub(1) == Some(to))
    }

    /// Takes the next header. Returns `true`, and leaves the header out, if it is above the last height to import.
    ///
    /// # Errors
    /// A header is refused (this one, or an earlier one that waited to be judged), or the store failed.
    pub fn push(&mut self, header: Header) -> Result<bool, ImportError> {
        self.push_claimed(header, Claim::default())
    }

    /// Works as [`Importer::push`], and compares the header with what the file claims of it.
    ///
    /// # Errors
    /// As for [`Importer::push`], or the file contradicts the header.
    pub fn push_claimed(&mut self, header: Header, claim: Claim) -> Result<bool, ImportError> {
        // Files that were joined with `cat` have genesis more than once. Each genesis ends the batch before it.
        if !mem::replace(&mut self.begun, true) || header == self.options.params.genesis {
            self.judge()?;
            self.next = self.place_first(&header)?;
        }
        if self.next.zip(self.options.to).is_some_and(|(next, to)| next > to) {
            return Ok(true);
        }
        let from = self.options.from.max(1);
        let passed = self.next.is_some_and(|height| height < from);
        self.next = self.next.map(|height| height.saturating_add(1));
        self.pushed += 1;
        if passed {
            if self.next == Some(1) {
                claim.check(Some(0), &header.hash())?;
            }
        } else {
            self.waiting.push(header);
            self.claims.push(claim);
        }
        if self.waiting.len() >= BATCH {
            self.judge()?;
        }
        Ok(false)
    }

    /// Judges the waiting headers.
    ///
    /// # Errors
    /// A header is refused, or the store failed.
    pub fn judge(&mut self) -> Result<(), ImportError> {
        let (mut headers, mut claims) = (mem::take(&mut self.waiting), mem::take(&mut self.claims));
        let base = self.pushed - headers.len() as u64;
        // `next` goes back to the first waiting header. Each run moves it forward again.
        let waiting = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next.saturating_sub(waiting));
        let (mut done, mut size) = (0, BATCH);
        while done < headers.len() {
            let end = headers.len().min(done + size);
            let (count, outcome) = self.judge_run(&headers[done..end], &claims[done..end])?;
            // If another branch cuts a run short, the headers after it were hashed in vain, so the next run is short.
            size = if done + count == end { size.saturating_mul(4).min(BATCH) } else { SHORT };
            done += count;
            if outcome.is_err() {
                self.refused = Some(base + done as u64);
            }
            outcome?;
        }
        // The memory is used again for the next batch: allocating and freeing large pieces fragments the heap.
        headers.clear();
        claims.clear();
        (self.waiting, self.claims) = (headers, claims);
        self.limit_orphans()
    }

    /// Judges the waiting headers, and headers that came before their parents.
    ///
    /// # Errors
    /// A header is refused, parents are missing in the file, or the store failed.
    pub fn end(&mut self) -> Result<(), ImportError> {
        self.judge()?;
        self.connect_orphans()?;
        let count = self.orphan_count();
        if count == 0 { Ok(()) } else { Err(self.unconnected(count)) }
    }

    /// Judges the first headers, as far as they follow each other. Returns how many of them were good, and an error if
    /// the next header is bad. A header that only starts another branch is not an error.
    ///
    /// The headers that the previous run added are stored at the same time. But if this run starts another branch,
    /// those headers are stored first, because the branch's ancestors are read from the store.
    fn judge_run(
        &mut self,
        headers: &[Header],
        claims: &[Claim],
    ) -> Result<(usize, Result<(), ImportError>), ImportError> {
        let Some(first) = headers.first() else { return Ok((0, Ok(()))) };
        if first.prev != self.writer.tree().active().hash() {
            self.writer.flush()?;
        }
        let (unstored, store) = (self.writer.take_unstored(), Arc::clone(self.writer.store()));
        let mut stored = Ok(());
        let judged = rayon::in_place_scope(|scope| {
            if let Some(headers) = &unstored {
                scope.spawn(|_| stored = append(store.as_ref(), headers));
            }
            self.judge_linked(headers, claims)
        });
        if let Err(error) = stored {
            // The headers that were judged meanwhile build on those that could not be stored.
            drop(self.writer.take_unstored());
            return Err(ChainError::from(error).into());
        }
        let Judged { good, outcome, fault } = judged?;
        if outcome.is_err() {
            return Ok((good, outcome));
        }
        Ok((good, self.refuse(fault, headers, claims)?))
    }

    /// Judges the first headers, as far as they follow each other.
    fn judge_linked(
        &mut self,
        headers: &[Header],
        claims: &[Claim],
    ) -> Result<Judged, ImportError> {
        let (mut batch, fault) = self.link(headers.to_vec());
        // A header that has work, but another parent, starts another branch.
        let fault = fault.filter(|fault| !is_link(&fault.violation));
        let Some(parent) = self.height_of(&headers[0].prev)? else {
            let good = self.keep_orphans(&batch, claims);
            return Ok(Judged { good, outcome: Ok(()), fault });
        };
        let mut early;
        (batch, early) = self.cut_at_hint(batch, parent + 1);
        let contradicted = batch.hashes().zip(claims).zip(parent + 1..).zip(0..).find_map(
            |(((hash, claim), height), at)| Some((at, claim.check(Some(height), &hash).err()?)),
        );
        if let Some((at, error)) = contradicted {
            early = Some(error);
            batch = batch.take(at);
        }
        let count = batch.headers().len();
        let height = parent.saturating_add(1 + u32::try_from(count).unwrap_or(u32::MAX));
        self.next = Some(height);
        let (outcome, rejection) = self.writer.accept(batch, self.options.clock.unix())?;
        let kept = self.count(&outcome);
        if let Some(rejection) = rejection {
            let good = rejection.height.saturating_sub(parent + 1);
            let good = usize::try_from(good).unwrap_or(count);
            return Ok(Judged { good, outcome: Err(rejection.into()), fault });
        }
        Ok(Judged { good: count, outcome: early.map_or(kept, Err), fault })
    }

    /// Returns why a header without proof of work is refused. The error has the height after the header's parent, which
    /// need not precede the header in the file. Without a known parent, the height follows from the file's order.
    fn refuse(
        &mut self,
        fault: Option<BatchFault>,
        headers: &[Header],
        claims: &[Claim],
    ) -> Result<Result<(), ImportError>, ChainError> {
        let Some(fault) = fault else { return Ok(Ok(())) };
        // The parent may be one of the headers that were just accepted.
        self.writer.flush()?;
        let parent = self.height_of(&headers[fault.index].prev)?;
        let height = parent.map(|parent| parent.saturating_add(1));
        if let Err(contradicted) = claims[fault.index].check(height, &fault.hash) {
            return Ok(Err(contradicted));
        }
        let network = self.options.params.network;
        Ok(Err(match height.or(self.next) {
            Some(height) => fault.at(height).into(),
            None if self.orphans.is_empty() => {
                ImportError::NoHeader { network, violation: fault.violation }
            }
            None => ImportError::Unplaced(fault),
        }))
    }

    /// Hashes headers on all cores, and links them.
    fn link(&mut self, headers: Vec<Header>) -> (LinkedBatch, Option<BatchFault>) {
        let to_hash = headers.par_iter().with_min_len(CHUNK).map(Header::hash);
        to_hash.collect_into_vec(&mut self.hashes);
        link_hashed(self.options.params, headers, &self.hashes)
    }

    /// Ends the import, also after an error: stores the good headers, and prepares the store for the next open.
    ///
    /// # Errors
    /// The store failed.
    pub fn finish(mut self) -> Result<Imported, ChainError> {
        self.writer.flush()?;
        self.writer.store().finish_bulk_load()?;
        // A branch that arrived in several runs has several entries in `side_ends`, and is counted once.
        let (sides, ends) = (self.writer.tree().sides().iter(), &self.done.side_ends);
        let sides = sides.filter(|side| ends.iter().any(|end| height_on(side, end).is_some()));
        self.done.sides = u32::try_from(sides.count()).unwrap_or(u32::MAX);
        Ok(self.done)
    }

    /// Returns the height of the chain's current end.
    pub fn height(&self) -> u32 {
        self.writer.tree().active().height()
    }

    /// Returns whether the chain's end has at least this work.
    pub fn has_work(&self, least: &Work) -> bool {
        self.writer.tree().active().chainwork() >= least
    }

    /// Returns the height of a header that begins a file or a chain in it; `None` if the header's parent is unknown.
    fn place_first(&self, header: &Header) -> Result<Option<u32>, ImportError> {
        if header.prev != BlockHash::ZERO {
            return Ok(self.height_of(&header.prev)?.map(|parent| parent.saturating_add(1)));
        }
        let (expected, hash) = (self.options.params.network, header.hash());
        let has_genesis = |network: &Network| params_of(*network).genesis.hash() == hash;
        let found = Network::ALL.into_iter().find(has_genesis);
        if found == Some(expected) {
            return Ok(Some(0));
        }
        Err(ImportError::OtherGenesis { expected, found, hash })
    }

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, ChainError> {
        let active = self.writer.tree().active();
        if *hash == active.hash() {
            return Ok(Some(active.height()));
        }
        let on_side = self.writer.tree().sides().iter().find_map(|side| height_on(side, hash));
        if on_side.is_some() { Ok(on_side) } else { Ok(self.writer.store().height_of(hash)?) }
    }

    /// Cuts the batch, whose first header has height `first`, before the first header that contradicts a hint.
    fn cut_at_hint(&self, batch: LinkedBatch, first: u32) -> (LinkedBatch, Option<ImportError>) {
        let points = self.options.hints.points();
        let start = points.partition_point(|point| point.height < first);
        for point in &points[start..] {
            let at = usize::try_from(point.height - first).unwrap_or(usize::MAX);
            let Some(got) = batch.hash_at(at) else { break };
            if got != point.hash {
                let (height, expected) = (point.height, point.hash);
                let error = ImportError::LeavesHints { height, expected, got };
                return (batch.take(at), Some(error));
            }
        }
        (batch, None)
    }

    fn count(&mut self, outcome: &ConnectOutcome) -> Result<(), ImportError> {
        match outcome {
            // The importer has no presyncs and no candidate.
            ConnectOutcome::Unchanged
            | ConnectOutcome::KnownSideBranch { .. }
            | ConnectOutcome::PresyncAdvanced { .. }
            | ConnectOutcome::LowWork { .. }
            | ConnectOutcome::CandidateExtended { .. } => {}
            ConnectOutcome::Extended(added) => self.done.headers_added += u64::from(*added),
            ConnectOutcome::SideBranch { hash, .. } => self.done.side_ends.push(*hash),
            ConnectOutcome::SideBranchTooLong { height } => {
                return Err(ImportError::SideTooLong { height: *height });
            }
            ConnectOutcome::Reorganized { connected, .. } => {
                self.done.headers_added += u64::from(*connected);
                self.done.reorgs += 1;
            }
        }
        Ok(())
    }
}

/// Returns whether the violation is that a header does not follow the one before it.
fn is_link(violation: &Violation) -> bool {
    matches!(violation, Violation::PrevBlkNotFound { .. })
}

fn height_on(side: &SideBranch, hash: &BlockHash) -> Option<u32> {
    let at = side.hashes().iter().rposition(|known| known == hash)?;
    u32::try_from(at).ok().map(|at| side.fork_height() + 1 + at)
}
