//! The store's twin in memory: the same behaviour without a disk, as a model for tests.

use super::error::StoreError;
use super::{Change, HeaderStore, StoredRun, StoredSide, Tip};
use crate::chain::{Ancestors, Params, Work};
use crate::primitives::{BlockHash, Header};
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
    last_sync: Option<u64>,
}

impl MemoryStore {
    /// A store that holds the network's genesis header.
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
                last_sync: None,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tip(&self) -> Tip {
        let at = self.headers.len() - 1;
        Tip {
            height: u32::try_from(at).expect("heights fit in 32 bits"),
            hash: self.hashes[at],
            chainwork: self.works[at].clone(),
        }
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
    fn tip(&self) -> Tip {
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
        let tip = inner.tip();
        let base = change.cut_to.unwrap_or(tip.height).min(tip.height);
        if let Some(headers) = change.append
            && !headers.is_empty()
            && (headers.first_height() != base + 1 || headers.prev() != inner.hashes[base as usize])
        {
            return Err(StoreError::Gap { tip: base, got: headers.first_height() });
        }
        let kept = base as usize + 1;
        for hash in inner.hashes.split_off(kept) {
            inner.heights.remove(&hash);
        }
        inner.headers.truncate(kept);
        inner.works.truncate(kept);
        if let Some(headers) = change.append {
            for (header, hash) in headers.headers().iter().zip(headers.hashes()) {
                let mut work = inner.tip().chainwork;
                work += &Work::of_bits(header.bits);
                let height = inner.tip().height + 1;
                inner.headers.push(*header);
                inner.hashes.push(*hash);
                inner.works.push(work);
                inner.heights.insert(*hash, height);
            }
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

    fn settle(&self) -> Result<(), StoreError> {
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
