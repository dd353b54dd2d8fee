//! The connections and the clock of a watch.

use super::blocks::Blocks;
use super::fault::{MAX_STANDARD_TX_WEIGHT, TxFault, check_loose};
use super::follow::check;
use super::pending::{Pending, Settled};
use super::types::{MempoolError, MempoolFigures, MempoolOptions, Notice};
use super::watch::{Arrival, Watch};
use crate::chain::Params;
use crate::net::Event;
use crate::net::pool::{Needed, Persistence};
use crate::node::peers::{AddrManUse, PeerCommand, PeerEvent, Peers, Policy};
use crate::primitives::{BlockHash, PeerId, Txid};
use crate::spv::CheckedBlock;
use crate::wire::{Block, Headers, Inventory, InventoryKind, Message, Transaction, TxView};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

/// Events that may wait; beyond that the connections stop reading. Each holds up to 4 MB.
const EVENT_QUEUE: usize = 16;

/// Events that are taken before what came of them is handed on.
const MOST_EVENTS: usize = 1000;

/// Bytes of transactions that are taken before they are handed on.
const MOST_BYTES: usize = 4_000_000;

/// What the user has been told of a peer.
#[derive(Debug, Default)]
struct Told {
    /// That it announces too much.
    flood: bool,
}

/// A watch of what peers announce.
#[derive(Debug)]
pub(crate) struct Mempool {
    params: &'static Params,
    peers: Peers<Told>,
    watch: Watch,
    blocks: Blocks,
    pending: Pending,
    events: Receiver<Event>,
    started: Instant,
    /// For how long all in all nobody asked what is new: no peer is to blame for what was late then.
    away: Duration,
    /// Since when nobody has.
    left: Option<Instant>,
    notices: Vec<Notice>,
    bytes: usize,
    other_witnesses: u64,
}

impl Mempool {
    /// Starts to look for peers; call inside a tokio runtime of several threads.
    pub(crate) fn start(options: MempoolOptions) -> Self {
        let MempoolOptions { peers, folder, stored, limits } = options;
        let params = peers.params;
        let (sender, events) = channel(EVENT_QUEUE);
        let policy = Policy {
            peers,
            addrman: AddrManUse::Shared(folder),
            needed: Needed::RecentBlocks,
            persistence: Persistence::OnceConnected,
            gossip: true,
            relay: true,
            height: stored.last().and_then(|seen| seen.height).unwrap_or(0),
        };
        Self {
            peers: Peers::new(policy, sender),
            watch: Watch::new(limits),
            blocks: Blocks::new(params, stored),
            pending: Pending::new(limits.pending, limits.spends),
            params,
            events,
            started: Instant::now(),
            away: Duration::ZERO,
            left: None,
            notices: Vec::new(),
            bytes: 0,
            other_witnesses: 0,
        }
    }

    /// Waits for what is worth telling. Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// There is no peer left, and none to be had.
    pub(crate) async fn next(&mut self) -> Result<Vec<Notice>, MempoolError> {
        self.away += self.left.take().map(|left| left.elapsed()).unwrap_or_default();
        loop {
            self.act_on_peers();
            if self.peers.is_exhausted() {
                let reasons = Box::new(self.peers.take_failures());
                return Err(MempoolError::NoPeers { reasons });
            }
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = self.peers.background() => {}
                Some(event) = self.events.recv() => self.on_events(event),
                () = sleep_until(wake) => {}
            }
            self.act();
            if !self.notices.is_empty() {
                self.bytes = 0;
                self.left = Some(Instant::now());
                return Ok(std::mem::take(&mut self.notices));
            }
        }
    }

    /// Ends the watch: what was learnt of peers is noted in the address manager.
    pub(crate) async fn finish(&mut self) {
        self.peers.finish().await;
    }

    /// The numbers so far.
    pub(crate) fn figures(&self) -> MempoolFigures {
        MempoolFigures {
            counts: self.watch.counts(),
            forgotten: self.watch.forgotten(),
            pending: self.pending.len(),
            replaced: self.pending.replaced(),
            other_witnesses: self.other_witnesses,
            pending_dropped: self.pending.dropped(),
            blocks_skipped: self.blocks.skipped(),
            peers: self.peers.connected_count(),
            bytes: self.peers.bytes_received(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.away)
    }

    fn wake_at(&self) -> Instant {
        let deadlines = [self.watch.next_deadline(), self.blocks.next_deadline()];
        let deadlines = deadlines.into_iter().flatten().map(|at| self.started + self.away + at);
        deadlines.fold(Instant::now() + self.peers.nap(), Instant::min)
    }

    fn act_on_peers(&mut self) {
        for decision in self.peers.act() {
            match decision {
                PeerCommand::Forget(key) => self.forget(key),
                // Only those are asked for a tip that are held to one.
                PeerCommand::CheckTip(_) => {}
            }
        }
    }

    /// Takes what has already arrived in one go: requests are then sent in fewer messages.
    fn on_events(&mut self, first: Event) {
        self.on_event(first);
        for _ in 0..MOST_EVENTS {
            if self.bytes > MOST_BYTES {
                break;
            }
            let Ok(event) = self.events.try_recv() else { break };
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        match self.peers.on_event(event) {
            None => {}
            Some(PeerEvent::Connected(key, info)) => self.watch.add_peer(key, info.wtxid_relay),
            Some(PeerEvent::Message(key, message)) => self.on_message(key, message),
            Some(PeerEvent::Disconnected(key)) => self.forget(key),
        }
    }

    fn on_message(&mut self, key: PeerId, message: Message) {
        match message {
            Message::Inv(list) => self.on_inv(key, &list),
            Message::Tx(transaction) => self.on_tx(key, transaction),
            Message::NotFound(list) => self.on_not_found(key, &list),
            Message::Headers(headers) => self.on_headers(key, &headers),
            Message::Block(block) => self.on_block(key, block),
            other => debug!("{key}: {} is of no use here", other.command()),
        }
    }

    fn on_inv(&mut self, key: PeerId, list: &[Inventory]) {
        self.watch.on_inv(key, list);
        if self.watch.is_full(key) {
            self.log_flood(key);
        }
        // Of several blocks the last one is the newest, and its header leads to the others.
        let block = list.iter().rfind(|entry| entry.kind == InventoryKind::Block);
        if let Some(Inventory { hash, .. }) = block
            && let Some(request) = self.blocks.on_inv(key, BlockHash(hash.0))
        {
            self.peers.send(key, Message::GetHeaders(request));
        }
    }

    /// Tells the user once for each connection.
    fn log_flood(&mut self, key: PeerId) {
        let Some(line) = self.peers.get_mut(key).filter(|line| !line.note.flood) else { return };
        line.note.flood = true;
        warn!(
            "peer {} has announced more transactions than it sends: further ones are dropped",
            line.address()
        );
    }

    fn on_tx(&mut self, key: PeerId, transaction: Transaction) {
        let view = transaction.view();
        let txid = view.txid();
        match self.arrival(key, view, txid) {
            Ok(Some(Arrival::New)) => {
                let spends = view.inputs().map(|input| input.previous);
                self.pending.insert(txid, spends, view.outputs().len());
                self.tell(transaction, Notice::Transaction);
            }
            // With a block its witnesses are settled.
            Ok(Some(Arrival::OtherWitness)) if self.pending.contains(&txid) => {
                self.other_witnesses += 1;
                self.tell(transaction, Notice::OtherWitness);
            }
            Ok(_) => {}
            Err(fault) => self.refuse(key, &format!("sent a wrong transaction: {fault}")),
        }
    }

    /// What is new about a transaction; nothing is said of one that is larger than nodes relay.
    fn arrival(
        &mut self,
        key: PeerId,
        transaction: TxView<'_>,
        txid: Txid,
    ) -> Result<Option<Arrival>, TxFault> {
        let wtxid = transaction.wtxid();
        check_loose(transaction, txid)?;
        if transaction.weight() > MAX_STANDARD_TX_WEIGHT {
            return self.watch.on_too_heavy(key, txid, wtxid).map(|()| None);
        }
        self.watch.on_tx(key, txid, wtxid).map(Some)
    }

    fn tell(&mut self, transaction: Transaction, how: fn(Transaction) -> Notice) {
        self.bytes += transaction.bytes().len();
        self.notices.push(how(transaction));
    }

    fn on_not_found(&mut self, key: PeerId, list: &[Inventory]) {
        self.watch.on_not_found(key, list);
        list.iter().for_each(|entry| self.blocks.on_not_found(key, BlockHash(entry.hash.0)));
    }

    fn on_headers(&mut self, key: PeerId, message: &Headers) {
        if message.foreign.is_some() {
            self.refuse(key, "follows another chain");
            return;
        }
        match self.blocks.on_headers(key, &message.headers) {
            Ok(Some(request)) => self.peers.send(key, Message::GetHeaders(request)),
            Ok(None) => {}
            Err(fault) => self.refuse(key, &fault.to_string()),
        }
    }

    fn on_block(&mut self, key: PeerId, block: Block) {
        let hash = block.header().hash();
        let seen = match self.blocks.on_block(key, hash) {
            Ok(Some(seen)) => seen,
            Ok(None) => return,
            Err(fault) => return self.refuse(key, &fault.to_string()),
        };
        let params = self.params;
        match block_in_place(|| check(block, seen, params)) {
            Err(fault) => self.refuse(key, &format!("sent a wrong block: {fault}")),
            Ok((checked, height)) => {
                self.blocks.done(hash, height);
                self.on_checked(hash, height, &checked);
            }
        }
    }

    fn on_checked(&mut self, hash: BlockHash, height: Option<u32>, block: &CheckedBlock) {
        let txids = block.txids();
        self.watch.confirmed(txids, block.wtxids());
        let spends = block.block().transactions();
        let spends = spends.map(|view| view.inputs().map(|input| input.previous));
        let Settled { confirmed, replaced } =
            self.pending.settle(txids.iter().copied().zip(spends));
        let (transactions, pending) = (txids.len(), self.pending.len());
        self.notices.push(Notice::Block {
            height,
            hash,
            transactions,
            confirmed,
            replaced,
            pending,
        });
    }

    /// Gives up what is late, and asks for what can be asked for.
    fn act(&mut self) {
        let now = self.now();
        for (key, fault) in self.watch.expire(now) {
            self.refuse(key, &fault.to_string());
        }
        for (key, request) in self.watch.requests(now) {
            self.peers.send(key, Message::GetData(request));
        }
        if let Some((key, block)) = self.blocks.request(now) {
            self.peers.send(key, Message::GetData(vec![block]));
        }
    }

    fn refuse(&mut self, key: PeerId, reason: &str) {
        self.peers.refuse(key, reason);
        self.forget(key);
    }

    fn forget(&mut self, key: PeerId) {
        self.watch.remove_peer(key);
        self.blocks.remove_peer(key);
    }
}
