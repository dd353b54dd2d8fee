//! A store in memory, as a model for tests. It behaves as the store on disk, except that a failed change may have been
//! made in part.

use super::error::StoreError;
use super::{CandidateChange, Change, HeaderStore, StoredRun, StoredSide};
use crate::chain::{Ancestors, ChainTip, CheckedHeaders, Params};
use crate::primitives::{BlockHash, Header, Work};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A chain in memory.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    headers: Vec<Header>,
    hashes: Vec<BlockHash>,
    works: Vec<Work>,
    heights: HashMap<BlockHash, u32>,
    sides: Vec<StoredSide>,
    candidate: Option<CheckedHeaders>,
    last_sync: Option<u64>,
}

impl MemoryStore {
    /// Creates a store that holds the network's genesis header.
    pub fn new(params: &Params) -> Self {
        let genesis = params.genesis;
        let hash = genesis.hash();
        Self {
            inner: Mutex::new(Inner {
                headers: vec![genesis],
                hashes: vec![hash],
                works: vec![Work::of_bits(genesis.bits)],
                heights: HashMap::from([(hash, 0)]),
                sides: Vec::new(),
                candidate: None,
                last_sync: None,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tip(&self) -> ChainTip {
        let at = self.headers.len() - 1;
        ChainTip {
            height: u32::try_from(at).expect("heights fit in 32 bits"),
            hash: self.hashes[at],
            chainwork: self.works[at].clone(),
        }
    }
}

impl Inner {
    /// Removes all headers above height `base`, and adds `append` on top.
    fn put(&mut self, base: u32, append: Option<&CheckedHeaders>) -> Result<(), StoreError> {
        let append = append.filter(|headers| !headers.is_empty());
        let follows = |headers: &CheckedHeaders| {
            headers.first_height() == base + 1 && headers.prev() == self.hashes[base as usize]
        };
        if let Some(headers) = append.filter(|headers| !follows(headers)) {
            return Err(StoreError::Gap { tip: base, got: headers.first_height() });
        }
        let kept = base as usize + 1;
        for hash in self.hashes.split_off(kept) {
            self.heights.remove(&hash);
        }
        self.headers.truncate(kept);
        self.works.truncate(kept);
        let append =
            append.into_iter().flat_map(|headers| headers.headers().iter().zip(headers.hashes()));
        for (header, hash) in append {
            let mut work = self.tip().chainwork;
            work += &Work::of_bits(header.bits);
            let height = self.tip().height + 1;
            self.headers.push(*header);
            self.hashes.push(*hash);
            self.works.push(work);
            self.heights.insert(*hash, height);
        }
        Ok(())
    }

    /// Adds headers to the candidate, or starts a candidate with them.
    fn extend_candidate(&mut self, headers: &CheckedHeaders) -> Result<(), StoreError> {
        let (tip, got) = (self.tip().height, headers.first_height());
        let gap = StoreError::Gap { tip, got };
        let Some(candidate) = &mut self.candidate else {
            let fork =
                usize::try_from(got).ok().and_then(|got| self.hashes.get(got.checked_sub(1)?));
            if fork != Some(&headers.prev()) {
                return Err(gap);
            }
            self.candidate = Some(headers.clone());
            return Ok(());
        };
        candidate.append(headers.clone()).map_err(|_| gap)
    }
}

impl Ancestors for MemoryStore {
    type Error = StoreError;

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, StoreError> {
        Ok(self.inner().heights.get(hash).copied())
    }

    fn headers(&self, from: u32, count: u32) -> Result<Vec<Header>, StoreError> {
        Ok(self.run(from, count)?.headers)
    }

    fn chainwork(&self, height: u32) -> Result<Work, StoreError> {
        let inner = self.inner();
        let at = (height as usize).min(inner.works.len() - 1);
        Ok(inner.works[at].clone())
    }
}

impl HeaderStore for MemoryStore {
    fn tip(&self) -> ChainTip {
        self.inner().tip()
    }

    fn run(&self, from: u32, count: u32) -> Result<StoredRun, StoreError> {
        let inner = self.inner();
        let start = (from as usize).min(inner.headers.len());
        let stop = start.saturating_add(count as usize).min(inner.headers.len());
        let parent_work = match start.checked_sub(1) {
            Some(at) if start < stop => inner.works[at].clone(),
            _ => Work::default(),
        };
        Ok(StoredRun {
            first_height: from,
            parent_work,
            headers: inner.headers[start..stop].to_vec(),
            hashes: inner.hashes[start..stop].to_vec(),
        })
    }

    fn run_unchecked(&self, from: u32, count: u32) -> Result<StoredRun, StoreError> {
        self.run(from, count)
    }

    fn missing_in_index(
        &self,
        first: u32,
        hashes: &[BlockHash],
    ) -> Result<Option<u32>, StoreError> {
        let inner = self.inner();
        let mut expected = hashes.iter().zip(first..);
        Ok(expected.find_map(|(hash, height)| {
            (inner.heights.get(hash) != Some(&height)).then_some(height)
        }))
    }

    fn commit(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let height = inner.tip().height;
        inner.put(change.cut_to.unwrap_or(height).min(height), change.append)?;
        match change.candidate {
            Some(CandidateChange::Extend(headers)) => inner.extend_candidate(headers)?,
            Some(CandidateChange::Activate) => {
                let gap = StoreError::Gap { tip: height, got: height + 1 };
                let candidate = inner.candidate.take().ok_or(gap)?;
                inner.put(candidate.first_height() - 1, Some(&candidate))?;
            }
            None => {}
        }
        if let Some(sides) = change.sides {
            inner.sides = sides
                .iter()
                .map(|side| StoredSide {
                    fork_height: side.fork_height(),
                    headers: side.headers().to_vec(),
                })
                .collect();
        }
        inner.last_sync = change.last_sync.or(inner.last_sync);
        Ok(())
    }

    fn finish_bulk_load(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn discard_candidate(&self) -> Result<(), StoreError> {
        self.inner().candidate = None;
        Ok(())
    }

    fn sides(&self) -> Result<Vec<StoredSide>, StoreError> {
        Ok(self.inner().sides.clone())
    }

    fn last_sync(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.inner().last_sync)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
