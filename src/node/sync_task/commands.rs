//! What the state machine's commands do.

use super::connect::{LinkCheck, spawn_link};
use super::tasks::Job;
use super::{Batch, SyncError, SyncTask};
use crate::chain::ChainPoint;
use crate::primitives::PeerId;
use crate::store::HeaderStore;
use crate::sync::{BatchId, Command, DropReason};
use crate::wire::{GetHeaders, Message, PROTOCOL_VERSION};
use std::mem;
use std::sync::Arc;

impl<S: HeaderStore + 'static> SyncTask<S> {
    pub(super) fn execute(&mut self, command: Command) -> Result<(), SyncError> {
        match command {
            Command::Request { peer, locator, stop } => {
                let request = GetHeaders { version: PROTOCOL_VERSION, locator, stop };
                self.peers.send(peer, Message::GetHeaders(request));
            }
            Command::Link { batch, hint } => self.link(batch, hint),
            Command::Connect { batch: id, peer, hinted, unsolicited, epoch } => {
                let linked = self.batches.get_mut(&id).map(|kept| mem::replace(kept, Batch::Away));
                if let (Some(Batch::Linked(batch)), Some(connect)) = (linked, &self.connect) {
                    connect.submit(Job { id, peer, hinted, unsolicited, epoch, batch });
                }
            }
            Command::Forget(batches) => {
                batches.iter().for_each(|batch| drop(self.batches.remove(batch)));
            }
            Command::Disconnect { peer, reason } => self.disconnect(peer, &reason),
            Command::Report(event) => self.on_sync_event(event)?,
            // The loop that polls ends by it.
            Command::Done(_) => {}
        }
        Ok(())
    }

    /// Has a batch's proof of work and links checked on the pool of threads.
    fn link(&mut self, id: BatchId, hint: Option<ChainPoint>) {
        let received = self.batches.get_mut(&id).map(|kept| mem::replace(kept, Batch::Away));
        let Some(Batch::Received(headers)) = received else { return };
        let (params, store) = (self.options.peers.params, Arc::clone(&self.stored.store));
        let check = LinkCheck { params, store, hint };
        spawn_link(check, id, headers, self.verdict_sender.clone());
    }

    fn disconnect(&mut self, peer: PeerId, reason: &DropReason) {
        self.forget_on_connect_thread(peer);
        if reason.is_silence() {
            self.peers.stalled(peer, &reason.to_string());
        } else {
            self.peers.refuse(peer, &reason.to_string());
        }
    }
}
