//! Headers whose parents come later in the file.

use super::{Claim, ImportError, Importer, Run, is_link};
use crate::chain::{BatchFault, LinkedBatch};
use crate::primitives::{BlockHash, Header};
use crate::store::HeaderStore;
use std::collections::HashMap;
use std::mem;

/// Headers that are kept until their parents come later in the file.
const MAX_ORPHANS: usize = 16_384;

impl<S: HeaderStore> Importer<S> {
    /// Takes in the runs whose parents have come, and those that follow them.
    pub(super) fn adopt_orphans(&mut self) -> Result<(), ImportError> {
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
                self.judge_run(headers, &claims)?.1?;
            }
        }
        self.orphans = runs.into_iter().flatten().collect();
        Ok(())
    }

    /// Keeps a run until its parent comes.
    pub(super) fn keep_orphans(
        &mut self,
        batch: &LinkedBatch,
        fault: Option<BatchFault>,
        claims: &[Claim],
    ) -> (usize, Result<(), ImportError>) {
        let count = batch.headers().len();
        if count > 0 {
            let kept: usize = self.orphans.iter().map(|(headers, _)| headers.len()).sum();
            self.orphans.push((batch.headers().to_vec(), claims[..count].to_vec()));
            if kept + count > MAX_ORPHANS {
                return (0, Err(self.unconnected(kept + count)));
            }
        }
        let (network, fault) = match fault.filter(|fault| !is_link(&fault.violation)) {
            Some(fault) => (self.options.params.network, fault),
            None => return (count, Ok(())),
        };
        let error = match claims[fault.index].hash.filter(|got| *got != fault.hash) {
            Some(got) => ImportError::Contradicted {
                line: claims[fault.index].line,
                column: "hash",
                expected: fault.hash.to_string(),
                got: got.to_string(),
            },
            None if self.next.is_none() && self.orphans.is_empty() => {
                ImportError::NoHeader { network, violation: fault.violation }
            }
            None => fault.at(self.next.unwrap_or(self.height().saturating_add(1))).into(),
        };
        (count, Err(error))
    }
}
