//! A peer on a loopback port that follows a script, and serves a chain that may change.

use super::conn::{Agreed, Conversation, Outbox};
use super::link::{Link, Order};
use super::record::{Record, Seen};
use super::script::Script;
use super::served::{SharedChain, to_usize};
use super::wait::Watched;
use lightclient::chain::params;
use lightclient::primitives::{Hash256, Header};
use lightclient::wire::{Inventory, InventoryKind, Message};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How a new block is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// By `headers` if the client sent `sendheaders`, otherwise by `inv`.
    AsAsked,
    /// By `headers`.
    Headers,
    /// By `inv` of the last block.
    Inv,
}

/// A scripted peer, which stops and closes its connections when dropped.
#[derive(Debug)]
pub struct ScriptedPeer {
    stage: Arc<Stage>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

/// What the threads of a peer share.
#[derive(Debug)]
struct Stage {
    script: Arc<Script>,
    chain: SharedChain,
    record: Arc<Record>,
    stopping: AtomicBool,
    lines: Watched<Vec<Line>>,
}

/// An open connection.
struct Line {
    stream: TcpStream,
    outbox: Outbox,
    agreed: Arc<Watched<Agreed>>,
    over: Arc<Watched<bool>>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({:?})", self.stream)
    }
}

impl ScriptedPeer {
    pub(super) fn start(script: Script, chain: SharedChain) -> Self {
        let listener = TcpListener::bind(script.listen)
            .unwrap_or_else(|error| panic!("listening on {}: {error}", script.listen));
        let address = listener.local_addr().expect("a bound socket has an address");
        let stage = Arc::new(Stage {
            script: Arc::new(script),
            chain,
            record: Arc::default(),
            stopping: AtomicBool::new(false),
            lines: Watched::default(),
        });
        let listening = Arc::clone(&stage);
        let listener = Some(thread::spawn(move || listening.listen(&listener)));
        Self { stage, address, listener }
    }

    /// Returns the address that the peer listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the peer's address as text for `--connect`.
    pub fn connect(&self) -> String {
        self.address.to_string()
    }

    /// Returns the chain that the peer serves.
    pub fn chain(&self) -> &SharedChain {
        &self.stage.chain
    }

    /// Returns the record of messages and connections.
    pub fn record(&self) -> &Record {
        &self.stage.record
    }

    /// Returns a copy of the record so far.
    pub fn seen(&self) -> Seen {
        self.stage.record.seen()
    }

    /// Waits until this many connections have completed their handshake since the start.
    pub fn wait_ready(&self, count: usize, patience: Duration) {
        self.record().wait_for("a handshake", patience, |seen| {
            let ready = seen.connections.iter().filter(|connection| connection.ready).count();
            (ready >= count).then_some(())
        });
    }

    /// Adds headers to the chain, which other peers may share, and announces them to the clients of this peer.
    pub fn extend(&self, more: &[Header], how: Announce) {
        self.stage.chain.extend(more);
        self.announce(more.len(), how);
    }

    /// Announces the last `count` headers of the chain to all clients whose handshake is complete.
    pub fn announce(&self, count: usize, how: Announce) {
        let chain = self.stage.chain.now();
        let end = to_usize(chain.height()) + 1;
        for line in self.stage.lines.lock().iter() {
            let (ready, asked) = {
                let agreed = line.agreed.lock();
                (agreed.ready, agreed.send_headers)
            };
            if !ready {
                continue;
            }
            if how == Announce::Headers || (how == Announce::AsAsked && asked) {
                let message = chain.message(end.saturating_sub(count)..end, self.stage.magic());
                let entries = &chain.entries()[message.entries];
                line.outbox.order(Order::Send([&message.front[..], entries].concat()));
            } else {
                let hash = Hash256(chain.tip().0);
                line.outbox
                    .send(&Message::Inv(vec![Inventory { kind: InventoryKind::Block, hash }]));
            }
        }
    }

    /// Sends a message to all clients.
    pub fn send(&self, message: &Message) {
        self.stage.lines.lock().iter().for_each(|line| line.outbox.send(message));
    }

    /// Closes all connections. New connections are accepted.
    pub fn hang_up(&self) {
        self.stage.hang_up();
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        self.stage.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, which then stops.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            listener.join().ok();
        }
        self.stage.hang_up();
    }
}

impl Stage {
    fn magic(&self) -> [u8; 4] {
        self.script.magic.unwrap_or_else(|| params(self.chain.now().network()).magic)
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                break;
            }
            // The client may disconnect before it is accepted.
            if let Ok(stream) = stream
                && let Ok(client) = stream.peer_addr()
            {
                self.accept(stream, client);
            }
        }
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, client: SocketAddr) {
        stream.set_nodelay(true).expect("a connected socket takes the option");
        let connection = self.record.connected(client);
        let (orders, inbox) = channel();
        let outbox = Outbox::new(orders, self.magic());
        let over: Arc<Watched<bool>> = Arc::default();
        let agreed: Arc<Watched<Agreed>> = Arc::default();
        let copy = || stream.try_clone().expect("another handle of an open socket");
        let link = Link {
            stream: copy(),
            connection,
            record: Arc::clone(&self.record),
            over: Arc::clone(&over),
            round_trip: self.script.round_trip,
            rate: self.script.rate,
            free: Instant::now(),
        };
        let conversation = Conversation {
            script: Arc::clone(&self.script),
            chain: self.chain.clone(),
            record: Arc::clone(&self.record),
            connection,
            outbox: outbox.clone(),
            agreed: Arc::clone(&agreed),
            client,
            introduced: false,
            answers: 0,
        };
        let writing = thread::spawn(move || link.run(&inbox));
        let to_read = copy();
        self.lines.change(|lines| {
            // Dropping the connections that have ended closes their sockets.
            lines.retain(|line| !*line.over.lock());
            // Reading starts only now, so that a test that waits for the handshake finds the connection in `lines`.
            let reading = self.read(conversation, to_read, Arc::clone(&over));
            lines.push(Line { stream, outbox, agreed, over, threads: vec![writing, reading] });
        });
    }

    fn read(
        &self,
        conversation: Conversation,
        stream: TcpStream,
        over: Arc<Watched<bool>>,
    ) -> JoinHandle<()> {
        let record = Arc::clone(&self.record);
        let connection = conversation.connection;
        thread::spawn(move || {
            conversation.run(stream);
            over.change(|over| *over = true);
            record.closed(connection);
        })
    }

    fn hang_up(&self) {
        let lines = self.lines.change(std::mem::take);
        for line in &lines {
            line.over.change(|over| *over = true);
            line.stream.shutdown(Shutdown::Both).ok();
            line.outbox.order(Order::Close);
        }
        for thread in lines.into_iter().flat_map(|line| line.threads) {
            thread.join().ok();
        }
    }
}
