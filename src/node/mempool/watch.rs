//! Drives the state machines of a watch with connections and a clock.

use super::block_requests::BlockRequestTracker;
use super::check_block::check_block;
use super::events::{MempoolError, MempoolEvent, MempoolFigures, MempoolOptions};
use super::fault::{MAX_STANDARD_TX_WEIGHT, TxFault, check_without_coins};
use super::pending_txs::PendingTxs;
use super::tx_requests::{Arrival, TxRequestTracker};
use crate::chain::Params;
use crate::net::ConnectionEvent;
use crate::net::pool::{Persistence, RequiredData};
use crate::node::peers::{AddrManUse, PeerCommand, PeerEvent, Peers, Policy};
use crate::primitives::{BlockHash, PeerId, Txid};
use crate::spv::CheckedBlock;
use crate::wire::{Block, HeadersMessage, Inventory, InventoryKind, Message, Transaction, TxView};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

/// How many events of connections may be queued. When the queue is full, the connections stop reading. An event holds
/// up to 4 MB.
const EVENT_QUEUE: usize = 16;

/// How many events of connections are handled before the watch reports.
const MAX_EVENTS: usize = 1000;

/// How many bytes of transactions are received before the watch reports.
const MAX_UNREPORTED_BYTES: usize = 4_000_000;

/// The watch's own data on a peer.
#[derive(Debug, Default)]
struct MempoolPeerNote {
    /// Whether the user has been warned that the peer announces too much.
    flood_logged: bool,
}

/// A watch of the transactions that peers announce, and of the blocks that confirm them.
#[derive(Debug)]
pub(crate) struct MempoolWatch {
    params: &'static Params,
    peers: Peers<MempoolPeerNote>,
    connection_events: Receiver<ConnectionEvent>,
    tx_requests: TxRequestTracker,
    block_requests: BlockRequestTracker,
    pending: PendingTxs,
    started: Instant,
    /// How long the caller has taken, in all, to call [`next`](Self::next) again after it returned. Nothing is received
    /// meanwhile, so no peer's deadline includes this time.
    paused: Duration,
    /// When [`next`](Self::next) last returned events; `None` once it is called again.
    paused_since: Option<Instant>,
    unreported: Vec<MempoolEvent>,
    unreported_bytes: usize,
    other_witnesses: u64,
}

impl MempoolWatch {
    /// Starts a watch. This has to be called inside a tokio runtime of several threads.
    pub(crate) fn start(options: MempoolOptions) -> Self {
        let MempoolOptions { peers, folder, stored, limits } = options;
        let params = peers.params;
        let (sender, connection_events) = channel(EVENT_QUEUE);
        let policy = Policy {
            peers,
            addrman: AddrManUse::Shared(folder),
            needed: RequiredData::RecentBlocks,
            persistence: Persistence::OnceConnected,
            gossip: true,
            relay: true,
            height: stored.last().and_then(|header| header.height).unwrap_or(0),
        };
        Self {
            peers: Peers::new(policy, sender),
            tx_requests: TxRequestTracker::new(limits),
            block_requests: BlockRequestTracker::new(params, stored),
            pending: PendingTxs::new(limits.pending, limits.spends),
            params,
            connection_events,
            started: Instant::now(),
            paused: Duration::ZERO,
            paused_since: None,
            unreported: Vec::new(),
            unreported_bytes: 0,
            other_witnesses: 0,
        }
    }

    /// Waits for the next events. This is cancel-safe: if the caller drops the future, no event is lost.
    ///
    /// # Errors
    /// No peer is connected, and none is left to dial.
    pub(crate) async fn next(&mut self) -> Result<Vec<MempoolEvent>, MempoolError> {
        self.paused += self.paused_since.take().map(|since| since.elapsed()).unwrap_or_default();
        loop {
            self.act_on_peers();
            if self.peers.is_exhausted() {
                let reasons = Box::new(self.peers.take_failures());
                return Err(MempoolError::NoPeers { reasons });
            }
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = self.peers.next_background_result() => {}
                Some(event) = self.connection_events.recv() => self.on_events(event),
                () = sleep_until(wake) => {}
            }
            self.send_requests();
            if !self.unreported.is_empty() {
                self.unreported_bytes = 0;
                self.paused_since = Some(Instant::now());
                return Ok(std::mem::take(&mut self.unreported));
            }
        }
    }

    /// Ends the watch, and saves what was learnt of peers in the address manager's file.
    pub(crate) async fn finish(&mut self) {
        self.peers.finish().await;
    }

    /// Returns the figures so far.
    pub(crate) fn figures(&self) -> MempoolFigures {
        MempoolFigures {
            counts: self.tx_requests.counts(),
            forgotten: self.tx_requests.forgotten(),
            pending: self.pending.len(),
            replaced: self.pending.replaced(),
            other_witnesses: self.other_witnesses,
            pending_dropped: self.pending.dropped(),
            blocks_skipped: self.block_requests.skipped(),
            peers: self.peers.connected_count(),
            bytes: self.peers.traffic().received,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.paused)
    }

    fn wake_at(&self) -> Instant {
        let deadlines = [self.tx_requests.next_deadline(), self.block_requests.next_deadline()];
        let deadlines = deadlines.into_iter().flatten().map(|at| self.started + self.paused + at);
        deadlines.fold(Instant::now() + self.peers.time_until_poll(), Instant::min)
    }

    fn act_on_peers(&mut self) {
        for command in self.peers.poll() {
            match command {
                PeerCommand::Forget(peer) => self.forget(peer),
                // The pool checks its peers' tips only for a task that follows the chain, which a watch does not.
                PeerCommand::CheckTip(_) => {}
            }
        }
    }

    /// Handles an event and the events that are already queued, so that requests are sent in fewer messages.
    fn on_events(&mut self, first: ConnectionEvent) {
        self.on_event(first);
        for _ in 0..MAX_EVENTS {
            if self.unreported_bytes > MAX_UNREPORTED_BYTES {
                break;
            }
            let Ok(event) = self.connection_events.try_recv() else { break };
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: ConnectionEvent) {
        match self.peers.on_event(event) {
            None => {}
            Some(PeerEvent::Connected(peer, info)) => {
                self.tx_requests.add_peer(peer, info.wtxid_relay);
            }
            Some(PeerEvent::Message(peer, message)) => self.on_message(peer, message),
            Some(PeerEvent::Disconnected(peer)) => self.forget(peer),
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message) {
        match message {
            Message::Inv(list) => self.on_inv(peer, &list),
            Message::Tx(tx) => self.on_tx(peer, tx),
            Message::NotFound(list) => self.on_not_found(peer, &list),
            Message::Headers(headers) => self.on_headers(peer, &headers),
            Message::Block(block) => self.on_block(peer, block),
            other => debug!("{peer}: ignored {}", other.command()),
        }
    }

    fn on_inv(&mut self, peer: PeerId, list: &[Inventory]) {
        self.tx_requests.on_inv(peer, list);
        if self.tx_requests.is_full(peer) {
            self.log_flood(peer);
        }
        // The last of several blocks is the newest, and its header leads to the others.
        let block = list.iter().rfind(|entry| entry.kind == InventoryKind::Block);
        if let Some(Inventory { hash, .. }) = block
            && let Some(request) = self.block_requests.on_inv(peer, BlockHash(hash.0))
        {
            self.peers.send(peer, Message::GetHeaders(request));
        }
    }

    /// Warns the user of a peer that announces too much, once for each connection.
    fn log_flood(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| !peer.note.flood_logged) else {
            return;
        };
        peer.note.flood_logged = true;
        warn!(
            "peer {} announces more transactions than it sends: further announcements are dropped",
            peer.address()
        );
    }

    fn on_tx(&mut self, peer: PeerId, tx: Transaction) {
        let view = tx.view();
        let txid = view.txid();
        match self.arrival(peer, view, txid) {
            Ok(Some(Arrival::New)) => {
                let spends = view.inputs().map(|input| input.previous);
                self.pending.insert(txid, spends, view.outputs().len());
                self.report_tx(tx, MempoolEvent::Transaction);
            }
            // Once a block contains the transaction, other witnesses do not matter: the block has the valid ones.
            Ok(Some(Arrival::OtherWitness)) if self.pending.contains(&txid) => {
                self.other_witnesses += 1;
                self.report_tx(tx, MempoolEvent::OtherWitness);
            }
            Ok(_) => {}
            Err(fault) => self.refuse(peer, &format!("sent a wrong transaction: {fault}")),
        }
    }

    /// Checks a transaction and records its arrival. Returns `None` if it is heavier than nodes relay.
    fn arrival(
        &mut self,
        peer: PeerId,
        tx: TxView<'_>,
        txid: Txid,
    ) -> Result<Option<Arrival>, TxFault> {
        let wtxid = tx.wtxid();
        check_without_coins(tx, txid)?;
        if tx.weight() > MAX_STANDARD_TX_WEIGHT {
            return self.tx_requests.on_too_heavy(peer, txid, wtxid).map(|()| None);
        }
        self.tx_requests.on_tx(peer, txid, wtxid).map(Some)
    }

    fn report_tx(&mut self, tx: Transaction, event: fn(Transaction) -> MempoolEvent) {
        self.unreported_bytes += tx.bytes().len();
        self.unreported.push(event(tx));
    }

    fn on_not_found(&mut self, peer: PeerId, list: &[Inventory]) {
        self.tx_requests.on_not_found(peer, list);
        for entry in list {
            self.block_requests.on_not_found(peer, BlockHash(entry.hash.0));
        }
    }

    fn on_headers(&mut self, peer: PeerId, message: &HeadersMessage) {
        if message.foreign.is_some() {
            self.refuse(peer, "follows another chain");
            return;
        }
        match self.block_requests.on_headers(peer, &message.headers) {
            Ok(Some(request)) => self.peers.send(peer, Message::GetHeaders(request)),
            Ok(None) => {}
            Err(fault) => self.refuse(peer, &fault.to_string()),
        }
    }

    fn on_block(&mut self, peer: PeerId, block: Block) {
        let hash = block.header().hash();
        let header = match self.block_requests.on_block(peer, hash) {
            Ok(Some(header)) => header,
            Ok(None) => return,
            Err(fault) => return self.refuse(peer, &fault.to_string()),
        };
        let params = self.params;
        match block_in_place(|| check_block(block, header, params)) {
            Err(fault) => self.refuse(peer, &format!("sent a wrong block: {fault}")),
            Ok((checked, height)) => {
                self.block_requests.on_checked(hash, height);
                self.on_checked_block(hash, height, &checked);
            }
        }
    }

    fn on_checked_block(&mut self, hash: BlockHash, height: Option<u32>, block: &CheckedBlock) {
        let txids = block.txids();
        self.tx_requests.on_block(txids, block.wtxids());
        let spends = block.block().transactions();
        let spends = spends.map(|view| view.inputs().map(|input| input.previous));
        let removed = self.pending.remove_for_block(txids.iter().copied().zip(spends));
        self.unreported.push(MempoolEvent::Block {
            height,
            hash,
            transactions: txids.len(),
            confirmed: removed.confirmed,
            replaced: removed.replaced,
            pending: self.pending.len(),
        });
    }

    /// Gives up requests that have timed out, and sends new ones.
    fn send_requests(&mut self) {
        let now = self.now();
        for (peer, fault) in self.tx_requests.expire(now) {
            self.refuse(peer, &fault.to_string());
        }
        for (peer, request) in self.tx_requests.requests(now) {
            self.peers.send(peer, Message::GetData(request));
        }
        if let Some((peer, block)) = self.block_requests.request(now) {
            self.peers.send(peer, Message::GetData(vec![block]));
        }
    }

    fn refuse(&mut self, peer: PeerId, reason: &str) {
        self.peers.refuse(peer, reason);
        self.forget(peer);
    }

    fn forget(&mut self, peer: PeerId) {
        self.tx_requests.remove_peer(peer);
        self.block_requests.remove_peer(peer);
    }
}
