//! Headers whose parents come later in the file. They are kept in runs: here, any headers that follow each other.
//!
//! Runs are judged at the end of the file, and before that whenever many headers are kept.

use super::{Claim, ImportError, Importer, Run};
use crate::chain::LinkedBatch;
use crate::primitives::{BlockHash, Header};
use crate::store::HeaderStore;
use std::collections::HashMap;
use std::mem;

/// The greatest number of headers without a known parent that are kept from one batch to the next.
const MAX_ORPHANS: usize = 16_384;

impl<S: HeaderStore> Importer<S> {
    /// Judges the runs whose parents are known by now, and the runs that descend from them.
    pub(super) fn connect_orphans(&mut self) -> Result<(), ImportError> {
        self.writer.flush()?;
        let mut runs: Vec<Option<Run>> =
            mem::take(&mut self.orphans).into_iter().map(Some).collect();
        let mut children: HashMap<BlockHash, Vec<usize>> = HashMap::new();
        let mut ready = Vec::new();
        for (at, (headers, _)) in runs.iter().flatten().enumerate() {
            let parent = headers[0].prev;
            children.entry(parent).or_default().push(at);
            if self.height_of(&parent)?.is_some() {
                ready.push(parent);
            }
        }
        while let Some(parent) = ready.pop() {
            for at in children.remove(&parent).unwrap_or_default() {
                let Some((headers, claims)) = runs[at].take() else { continue };
                ready.extend(headers.iter().map(Header::hash));
                self.judge_run(&headers, &claims)?.1?;
            }
        }
        self.orphans.extend(runs.into_iter().flatten());
        Ok(())
    }

    /// Judges the runs whose parents are known by now if more than [`MAX_ORPHANS`] headers are kept. Fails if as many are
    /// left.
    pub(super) fn limit_orphans(&mut self) -> Result<(), ImportError> {
        if self.orphan_count() > MAX_ORPHANS {
            let next = self.next;
            self.connect_orphans()?;
            self.next = next;
        }
        let left = self.orphan_count();
        if left > MAX_ORPHANS { Err(self.unconnected(left)) } else { Ok(()) }
    }

    pub(super) fn orphan_count(&self) -> usize {
        self.orphans.iter().map(|(headers, _)| headers.len()).sum()
    }

    /// Keeps a run, whose parent is unknown, and returns the number of its headers.
    pub(super) fn keep_orphans(&mut self, batch: &LinkedBatch, claims: &[Claim]) -> usize {
        let count = batch.headers().len();
        if count > 0 {
            self.orphans.push((batch.headers().to_vec(), claims[..count].to_vec()));
        }
        let read = u32::try_from(count).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next.saturating_add(read));
        count
    }

    /// Returns the error for `count` headers whose parents were unknown when the headers were read.
    pub(super) fn unconnected(&self, count: usize) -> ImportError {
        let first =
            self.orphans.first().and_then(|(headers, claims)| headers.first().zip(claims.first()));
        let (hash, parent, line) = first.map_or_else(Default::default, |(header, claim)| {
            (header.hash(), header.prev, claim.line)
        });
        ImportError::Unconnected { count, line, hash, parent, tip: self.height() }
    }
}
