//! Carries out the state machine's commands.

use super::connect::{LinkCheck, spawn_link};
use super::tasks::ConnectJob;
use super::{SyncError, SyncTask};
use crate::chain::ChainPoint;
use crate::primitives::PeerId;
use crate::store::HeaderStore;
use crate::sync::{BatchId, DropReason, SyncCommand};
use crate::wire::{GetHeaders, Message, PROTOCOL_VERSION};
use std::sync::Arc;

impl<S: HeaderStore + 'static> SyncTask<S> {
    pub(super) fn execute(&mut self, command: SyncCommand) -> Result<(), SyncError> {
        match command {
            SyncCommand::Request { peer, locator, stop } => {
                let request = GetHeaders { version: PROTOCOL_VERSION, locator, stop };
                self.peers.send(peer, Message::GetHeaders(request));
            }
            SyncCommand::Link { batch, hint } => self.link(batch, hint),
            SyncCommand::Connect { batch: id, peer, hinted, unsolicited, epoch } => {
                if let (Some(batch), Some(connect)) = (self.batches.take_linked(id), &self.connect)
                {
                    connect.submit(ConnectJob { id, peer, hinted, unsolicited, epoch, batch });
                }
            }
            SyncCommand::Forget(batches) => {
                batches.into_iter().for_each(|batch| self.batches.remove(batch));
            }
            SyncCommand::Disconnect { peer, reason } => self.disconnect(peer, &reason),
            SyncCommand::Report(event) => self.on_sync_event(event)?,
            // `carry_out` handles this command.
            SyncCommand::Done(_) => {}
        }
        Ok(())
    }

    /// Starts the check of a batch's proof of work and links on the thread pool.
    fn link(&mut self, id: BatchId, hint: Option<ChainPoint>) {
        let Some(headers) = self.batches.take_received(id) else { return };
        let (params, store) = (self.options.peers.params, Arc::clone(&self.stored.store));
        let check = LinkCheck { params, store, hint };
        spawn_link(check, id, headers, self.verdict_sender.clone());
    }

    fn disconnect(&mut self, peer: PeerId, reason: &DropReason) {
        self.forget_on_connect_thread(peer);
        if reason.may_only_be_slow() {
            self.peers.stalled(peer, &reason.to_string());
        } else {
            self.peers.refuse(peer, &reason.to_string());
        }
    }
}
