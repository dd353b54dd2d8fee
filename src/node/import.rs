//! Taking headers in that come from a file: judged as if a peer had sent them.

use super::clock::Clock;
use super::trouble::Trouble;
use super::writer::{ChainError, ChainWriter, Joined};
use crate::chain::params as params_of;
use crate::chain::{LinkedBatch, Params, Rejection, SideBranch, Violation, Work, link_batch};
use crate::primitives::{BlockHash, Header, Network};
use crate::store::HeaderStore;
use crate::sync::Hints;
use std::mem;
use std::sync::Arc;

/// Headers that are judged and stored together.
const BATCH: usize = 16_384;

/// How to take headers in.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The network.
    pub params: &'static Params,
    /// Hashes that the chain is expected to have; empty for none.
    pub hints: Hints,
    /// Headers below this height are passed over.
    pub from: u32,
    /// Headers above this height are not taken.
    pub to: Option<u32>,
    /// The clock that header times are compared with.
    pub clock: Clock,
}

/// Why a header, and with it the rest of its file, was not taken. What was good before it is stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The first header's parent is not stored.
    #[error(
        "the first header {hash} does not connect: its parent {parent} is not stored, the stored \
        chain ends at height {tip}: import or sync what comes before it first"
    )]
    Unconnected {
        /// The header.
        hash: BlockHash,
        /// The parent it names.
        parent: BlockHash,
        /// Height of the stored chain's end.
        tip: u32,
    },
    /// It starts with another genesis.
    #[error("the first header is {}, not {expected}'s: choose the network with --network",
        found.map_or_else(|| format!("an unknown genesis ({hash})"), |n| format!("{n}'s genesis")))]
    OtherGenesis {
        /// The network asked for.
        expected: Network,
        /// The network whose genesis it is, if it is one's.
        found: Option<Network>,
        /// The header's hash.
        hash: BlockHash,
    },
    /// It is not the one that the hints name at its height.
    #[error(
        "height {height}: hints: expected {expected}, got {got}: this is another chain than the \
        hints' (--hints none takes it all the same)"
    )]
    LeavesHints {
        /// The height.
        height: u32,
        /// The hash that the hints name.
        expected: BlockHash,
        /// The header's hash.
        got: BlockHash,
    },
    /// It belongs to a branch without more work than the stored chain, too long to be kept beside it.
    #[error(
        "height {height}: the file's branch has less work than the stored chain and is too long to be \
        kept beside it"
    )]
    SideTooLong {
        /// The height that the branch had reached.
        height: u32,
    },
    /// The store failed: nothing is wrong with the header.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl ImportError {
    /// What kind of trouble it is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Chain(error) => error.trouble(),
            _ => Trouble::Failed,
        }
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many headers were added to the chain.
    pub headers_added: u64,
    /// How often a branch from the file took over.
    pub reorgs: u32,
    /// How many batches ended on a branch beside the chain.
    pub sides: u32,
}

/// Takes headers one by one, in the order of a chain, and stores them in large batches.
#[derive(Debug)]
pub struct Importer<S> {
    options: ImportOptions,
    writer: ChainWriter<S>,
    waiting: Vec<Header>,
    /// Height of the next header, once the first one's place is known.
    next: Option<u32>,
    /// Hash of the last header that was judged.
    last: Option<BlockHash>,
    begun: bool,
    done: Imported,
}

impl<S: HeaderStore> Importer<S> {
    /// An import into a store.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn new(store: Arc<S>, options: ImportOptions) -> Result<Self, ChainError> {
        let writer = ChainWriter::new(store, options.params)?;
        let waiting = Vec::with_capacity(BATCH);
        let done = Imported::default();
        Ok(Self { options, writer, waiting, next: None, last: None, begun: false, done })
    }

    /// Takes the next header. `true`: the height to stop at is reached, more are not wanted.
    ///
    /// # Errors
    /// A header is refused, this one or one before that waited to be judged.
    pub fn push(&mut self, header: Header) -> Result<bool, ImportError> {
        if !mem::replace(&mut self.begun, true) {
            self.next = self.place_first(&header)?;
        }
        if self.next.zip(self.options.to).is_some_and(|(next, to)| next > to) {
            return Ok(true);
        }
        let passed = match self.next {
            Some(height) => height == 0 || height < self.options.from,
            None => false,
        };
        self.next = self.next.map(|height| height.saturating_add(1));
        if !passed {
            self.waiting.push(header);
        }
        if self.waiting.len() >= BATCH {
            self.judge()?;
        }
        Ok(false)
    }

    /// Judges what still waits.
    ///
    /// # Errors
    /// A header is refused.
    pub fn judge(&mut self) -> Result<(), ImportError> {
        let headers = mem::take(&mut self.waiting);
        let Some(first) = headers.first().copied() else { return Ok(()) };
        if let Some(last) = self.last.filter(|last| *last != first.prev) {
            return Err(self.rejection(&first, last).into());
        }
        let parent = self.height_of(&first.prev)?;
        let Some(parent) = parent else { return Err(self.unconnected(&first)) };
        let (batch, fault) = link_batch(self.options.params, headers);
        let (batch, hint_fault) = self.hold_to_hints(batch, parent + 1);
        let judged = u32::try_from(batch.headers().len()).unwrap_or(u32::MAX);
        self.last = batch.last_hash().or(self.last);
        let (joined, rejection) = self.writer.accept(batch, self.options.clock.unix())?;
        self.writer.flush()?;
        let kept = self.count(&joined);
        let rejection = rejection.or_else(|| {
            fault.map(|fault| Rejection {
                height: parent + 1 + judged,
                hash: fault.hash,
                violation: fault.violation,
            })
        });
        if let Some(error) = hint_fault.filter(|_| rejection.is_none()) {
            return Err(error);
        }
        rejection.map_or(kept, |rejection| Err(rejection.into()))
    }

    /// Ends the import, after an error too: what was good is stored, and the store ready for the next open.
    ///
    /// # Errors
    /// The store failed.
    pub fn finish(mut self) -> Result<Imported, ChainError> {
        self.writer.flush()?;
        self.writer.store().settle()?;
        Ok(self.done)
    }

    /// Height of the chain's end as it stands.
    pub fn height(&self) -> u32 {
        self.writer.tree().active().height()
    }

    /// Whether the chain's end has at least this work.
    pub fn has_work(&self, least: &Work) -> bool {
        self.writer.tree().active().chainwork() >= least
    }

    /// Where the file's first header stands, if that can be known.
    fn place_first(&self, header: &Header) -> Result<Option<u32>, ImportError> {
        if header.prev != BlockHash::ZERO {
            return Ok(self.height_of(&header.prev)?.map(|parent| parent.saturating_add(1)));
        }
        let (expected, hash) = (self.options.params.network, header.hash());
        let mut networks = Network::ALL.into_iter();
        let found = networks.find(|network| params_of(*network).genesis.hash() == hash);
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
        Ok(match on_side {
            Some(height) => Some(height),
            None => self.writer.store().height_of(hash)?,
        })
    }

    /// Cuts the batch where it leaves the hints.
    fn hold_to_hints(&self, batch: LinkedBatch, first: u32) -> (LinkedBatch, Option<ImportError>) {
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

    fn count(&mut self, joined: &Joined) -> Result<(), ImportError> {
        match joined {
            // Such branches exist only where a peer's word is all there is.
            Joined::Nothing
            | Joined::KnownSide { .. }
            | Joined::Unproven { .. }
            | Joined::LowWork { .. }
            | Joined::Staged => {}
            Joined::Extended(added) => self.done.headers_added += u64::from(*added),
            Joined::Side { .. } => self.done.sides += 1,
            Joined::SideTooLong { height } => {
                return Err(ImportError::SideTooLong { height: *height });
            }
            Joined::Reorganised { connected, .. } => {
                self.done.headers_added += u64::from(*connected);
                self.done.reorgs += 1;
            }
        }
        Ok(())
    }

    fn rejection(&self, header: &Header, expected: BlockHash) -> Rejection {
        let waiting = self.height_of(&expected).ok().flatten();
        let violation = Violation::PrevBlkNotFound { expected, got: header.prev };
        let height = waiting.unwrap_or(self.height()).saturating_add(1);
        Rejection { height, hash: header.hash(), violation }
    }

    fn unconnected(&self, header: &Header) -> ImportError {
        let (hash, parent) = (header.hash(), header.prev);
        ImportError::Unconnected { hash, parent, tip: self.height() }
    }
}

fn height_on(side: &SideBranch, hash: &BlockHash) -> Option<u32> {
    let at = side.hashes().iter().rposition(|known| known == hash)?;
    u32::try_from(at).ok().map(|at| side.fork_height() + 1 + at)
}
