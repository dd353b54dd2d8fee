//! One connection from start to end: it connects or is accepted, shakes hands, and exchanges messages.

use super::config::{Config, Timers};
use super::disconnect::Disconnect;
use super::event::{ConnectionEvent, Direction, PeerInfo};
use super::handle::Context;
use super::handshake::{Handshake, Negotiated};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::ping::{Pinger, Unanswered};
use super::queued::Queued;
use super::stream::PeerStream;
use super::traffic::{self, TrafficCounters};
use crate::net::dial::DialError;
use crate::primitives::PeerId;
use crate::wire::{Endpoint, Message, PROTOCOL_VERSION, ServiceFlags, Version};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

/// Most pings and pongs that wait to be written. When there are this many, the task stops reading from the peer.
const URGENT_QUEUE: usize = 8;

/// The arguments with which a connection's task starts.
pub(super) struct ConnectionTask {
    pub(super) context: Context,
    pub(super) direction: Direction,
    pub(super) events: mpsc::Sender<ConnectionEvent>,
    pub(super) ping: Arc<Notify>,
}

/// Runs a connection until it ends.
pub(super) async fn run<S, F, E>(
    task: ConnectionTask,
    queue: mpsc::Receiver<Queued>,
    connect: F,
) -> Disconnect
where
    S: AsyncRead + AsyncWrite,
    F: Future<Output = Result<PeerStream<S>, E>>,
    E: Into<DialError>,
{
    let Err(reason) = run_until_error(task, queue, connect).await;
    reason
}

async fn run_until_error<S, F, E>(
    task: ConnectionTask,
    queue: mpsc::Receiver<Queued>,
    connect: F,
) -> Result<Infallible, Disconnect>
where
    S: AsyncRead + AsyncWrite,
    F: Future<Output = Result<PeerStream<S>, E>>,
    E: Into<DialError>,
{
    let limit = task.context.config.timers.connect;
    let link = timeout(limit, connect).await.map_err(|_| Disconnect::ConnectTimeout { limit })?;
    let PeerStream { stream, remote, local } =
        link.map_err(|error| Disconnect::not_dialled(error.into()))?;
    let (reader, writer) = tokio::io::split(stream);
    let mut incoming = Incoming::new(reader, task.context.clone());
    let mut outgoing = Outgoing::new(writer, task.context.clone());
    let limit = task.context.config.timers.handshake;
    let info = timeout(limit, shake_hands(&task, (remote, local), &mut incoming, &mut outgoing))
        .await
        .map_err(|_| Disconnect::HandshakeTimeout { limit })??;
    let version = info.version;
    report(
        &task.events,
        ConnectionEvent::Connected { peer: task.context.peer, info: Box::new(info) },
    )
    .await?;
    let (urgent, pings) = mpsc::channel(URGENT_QUEUE);
    tokio::select! {
        end = MessageLoop::new(task, version, incoming, urgent).run() => end,
        end = outgoing.run(pings, queue) => end,
    }
}

async fn report(
    events: &mpsc::Sender<ConnectionEvent>,
    event: ConnectionEvent,
) -> Result<(), Disconnect> {
    events.send(event).await.map_err(|_| Disconnect::Requested)
}

async fn shake_hands<R, W>(
    task: &ConnectionTask,
    (remote, local): (Option<SocketAddr>, Option<SocketAddr>),
    incoming: &mut Incoming<R>,
    outgoing: &mut Outgoing<W>,
) -> Result<PeerInfo, Disconnect>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let nonces = task.context.config.own_nonces.clone();
    let nonce = nonces.issue();
    let own = own_version(&task.context.config, nonce.value(), remote);
    let mut handshake = Handshake::new(own, nonces);
    match negotiate(task.direction, &mut handshake, incoming, outgoing).await {
        Ok((negotiated, latency)) => Ok(peer_info(task, (remote, local), &negotiated, latency)),
        // Another connection of ours received our nonce and closed at once, so this connection leads to ourselves.
        Err(Disconnect::Closed | Disconnect::Broken { .. }) if nonce.was_received() => {
            Err(Disconnect::Ourselves)
        }
        Err(Disconnect::Closed | Disconnect::Broken { .. }) => Err(Disconnect::HungUp),
        Err(reason) => Err(reason),
    }
}

async fn negotiate<R, W>(
    direction: Direction,
    handshake: &mut Handshake,
    incoming: &mut Incoming<R>,
    outgoing: &mut Outgoing<W>,
) -> Result<(Negotiated, Duration), Disconnect>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut sent = Instant::now();
    outgoing.write(&handshake.start(direction)).await?;
    loop {
        while let Some(message) = incoming.next()? {
            let replies = handshake.on_message(message)?;
            if direction == Direction::Inbound && !replies.is_empty() {
                sent = Instant::now();
            }
            outgoing.write(&replies).await?;
            if let Some(negotiated) = handshake.finish() {
                // The next message may already be in the buffer, and it may be a large one.
                incoming.allow_large_messages();
                return Ok((negotiated, sent.elapsed()));
            }
        }
        incoming.fill().await?;
    }
}

fn own_version(config: &Config, nonce: u64, remote: Option<SocketAddr>) -> Version {
    Version {
        version: PROTOCOL_VERSION,
        services: config.services,
        time: unix_time(),
        receiver: remote.map_or(Endpoint::UNSPECIFIED, |a| Endpoint::new(a, ServiceFlags::NONE)),
        // Our own address is left out, as in Bitcoin Core: no node relies on this field.
        sender: Endpoint { services: config.services, ..Endpoint::UNSPECIFIED },
        nonce,
        user_agent: config.user_agent.clone().into_bytes(),
        start_height: config.start_height,
        relay: config.relay,
    }
}

fn peer_info(
    task: &ConnectionTask,
    (remote, local): (Option<SocketAddr>, Option<SocketAddr>),
    negotiated: &Negotiated,
    latency: Duration,
) -> PeerInfo {
    let version = &negotiated.version;
    PeerInfo {
        address: task.context.address.to_string(),
        remote,
        local,
        direction: task.direction,
        version: version.version,
        services: version.services,
        user_agent: version.user_agent_text(),
        start_height: version.start_height,
        relay: version.relay,
        wants_addrv2: negotiated.wants_addrv2,
        wtxid_relay: negotiated.wtxid_relay,
        time_offset: version.time.saturating_sub(unix_time()),
        latency,
        traffic: task.context.counters.clone(),
    }
}

/// Returns the Unix time in seconds; 0 if the clock is before 1970.
fn unix_time() -> i64 {
    i64::try_from(traffic::unix_time().as_secs()).unwrap_or(i64::MAX)
}

/// Receives messages after the handshake, answers pings, and checks the deadlines.
struct MessageLoop<R> {
    id: PeerId,
    incoming: Incoming<R>,
    pinger: Pinger,
    ping: Arc<Notify>,
    urgent: mpsc::Sender<Message>,
    counters: TrafficCounters,
    events: mpsc::Sender<ConnectionEvent>,
    timers: Timers,
    last_byte: Instant,
}

impl<R: AsyncRead + Unpin> MessageLoop<R> {
    fn new(
        task: ConnectionTask,
        version: i32,
        incoming: Incoming<R>,
        urgent: mpsc::Sender<Message>,
    ) -> Self {
        let now = Instant::now();
        let timers = task.context.config.timers;
        Self {
            id: task.context.peer,
            incoming,
            pinger: Pinger::new(now, version, timers.ping_interval, timers.silence),
            ping: task.ping,
            counters: task.context.counters.clone(),
            urgent,
            events: task.events,
            timers,
            last_byte: now,
        }
    }

    async fn run(mut self) -> Result<Infallible, Disconnect> {
        loop {
            while let Some(message) = self.incoming.next()? {
                self.on_message(message).await?;
            }
            let due = self.deadline();
            tokio::select! {
                // Bytes come before deadlines: the peer may have sent bytes while this task waited to report an event.
                biased;
                // Requested pings come first, so that a peer that always has bytes to read is pinged too.
                () = self.ping.notified() => {
                    let ping = self.pinger.ping(Instant::now(), rand::random());
                    self.send(ping).await?;
                }
                filled = self.incoming.fill() => {
                    filled?;
                    self.last_byte = Instant::now();
                }
                () = sleep_until(due) => self.on_time(Instant::now()).await?,
            }
        }
    }

    fn deadline(&self) -> Instant {
        let due = self.pinger.deadline().min(self.last_byte + self.timers.silence);
        self.incoming.deadline().map_or(due, |message| message.min(due))
    }

    async fn on_time(&mut self, now: Instant) -> Result<(), Disconnect> {
        let limit = self.timers.silence;
        if self.incoming.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(Disconnect::MessageTimeout { limit: self.timers.message });
        }
        if now >= self.last_byte + limit {
            return Err(Disconnect::Silence { limit });
        }
        match self.pinger.on_time(now, rand::random()) {
            Ok(Some(ping)) => self.send(ping).await,
            Ok(None) => Ok(()),
            Err(Unanswered) => Err(Disconnect::PingTimeout { limit }),
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), Disconnect> {
        let peer = self.id;
        match message {
            Message::Ping(Some(nonce)) => self.send(Message::Pong(nonce)).await,
            Message::Pong(nonce) => match self.pinger.on_pong(Instant::now(), nonce) {
                Some(rtt) => {
                    self.counters.ping_answered();
                    report(&self.events, ConnectionEvent::Latency { peer, rtt }).await
                }
                None => Ok(()),
            },
            // A ping from before BIP31 wants no answer; a repeated `version` or `verack` is ignored as in Bitcoin Core.
            Message::Ping(None) | Message::Version(_) | Message::Verack => Ok(()),
            Message::WtxidRelay | Message::SendAddrV2 => {
                Err(Disconnect::LateFeature { command: message.command() })
            }
            message => report(&self.events, ConnectionEvent::Message { peer, message }).await,
        }
    }

    /// Hands a message to the writer. If the peer does not read, the writer's deadline ends the connection.
    async fn send(&mut self, message: Message) -> Result<(), Disconnect> {
        if matches!(message, Message::Ping(Some(_))) {
            self.counters.ping_sent();
        }
        self.urgent.send(message).await.map_err(|_| Disconnect::Requested)
    }
}
