//! The batches of headers, which the state machine knows only by their ids.

use crate::chain::LinkedBatch;
use crate::primitives::Header;
use crate::sync::BatchId;
use std::collections::HashMap;
use std::mem;

/// The headers of a batch, in the form that they have now.
#[derive(Debug)]
enum BatchContent {
    /// The headers as they were received.
    Received(Vec<Header>),
    /// Nothing: a thread is working on the batch.
    WithThread,
    /// The headers after their proof of work and links were checked.
    Linked(LinkedBatch),
}

/// The batches that the state machine may still name in a command.
#[derive(Debug, Default)]
pub(super) struct Batches {
    contents: HashMap<BatchId, BatchContent>,
    next_id: BatchId,
}

impl Batches {
    /// Adds received headers. Returns the id of the batch.
    pub(super) fn add(&mut self, headers: Vec<Header>) -> BatchId {
        let id = self.next_id;
        self.next_id += 1;
        self.contents.insert(id, BatchContent::Received(headers));
        id
    }

    /// Takes the headers of a received batch, to give them to a thread.
    pub(super) fn take_received(&mut self, id: BatchId) -> Option<Vec<Header>> {
        match self.take(id)? {
            BatchContent::Received(headers) => Some(headers),
            BatchContent::WithThread | BatchContent::Linked(_) => None,
        }
    }

    /// Takes a linked batch, to give it to the connect thread.
    pub(super) fn take_linked(&mut self, id: BatchId) -> Option<LinkedBatch> {
        match self.take(id)? {
            BatchContent::Linked(batch) => Some(batch),
            BatchContent::Received(_) | BatchContent::WithThread => None,
        }
    }

    fn take(&mut self, id: BatchId) -> Option<BatchContent> {
        let content = self.contents.get_mut(&id)?;
        Some(mem::replace(content, BatchContent::WithThread))
    }

    /// Keeps a batch that a thread has returned, unless [`Batches::remove`] has removed it in the meantime.
    pub(super) fn put_back(&mut self, id: BatchId, batch: LinkedBatch) {
        if let Some(content) = self.contents.get_mut(&id) {
            *content = BatchContent::Linked(batch);
        }
    }

    /// Removes a batch.
    pub(super) fn remove(&mut self, id: BatchId) {
        self.contents.remove(&id);
    }
}
