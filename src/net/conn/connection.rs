//! The life of one connection: dial, shake hands, converse.

use super::config::{Config, Timers};
use super::disconnect::Disconnect;
use super::event::{Direction, Event, PeerInfo};
use super::handle::Context;
use super::handshake::{Agreed, Handshake};
use super::incoming::Incoming;
use super::link::Link;
use super::outgoing::Outgoing;
use super::ping::{Pinger, Unanswered};
use crate::net::dial::DialError;
use crate::primitives::PeerId;
use crate::wire::{Endpoint, Message, PROTOCOL_VERSION, ServiceFlags, Version};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

/// Pings and pongs that wait for the writer. When they are that many, the peer is not read until it takes some.
const URGENT_QUEUE: usize = 8;

/// What a connection's task was started with.
pub(super) struct Task {
    pub(super) context: Context,
    pub(super) direction: Direction,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) ping: Arc<Notify>,
}

/// Runs a connection until it ends.
pub(super) async fn run<S, F, E>(
    task: Task,
    queue: mpsc::Receiver<Message>,
    connect: F,
) -> Disconnect
where
    S: AsyncRead + AsyncWrite,
    F: Future<Output = Result<Link<S>, E>>,
    E: Into<DialError>,
{
    let Err(reason) = live(task, queue, connect).await;
    reason
}

async fn live<S, F, E>(
    task: Task,
    queue: mpsc::Receiver<Message>,
    connect: F,
) -> Result<Infallible, Disconnect>
where
    S: AsyncRead + AsyncWrite,
    F: Future<Output = Result<Link<S>, E>>,
    E: Into<DialError>,
{
    let limit = task.context.config.timers.connect;
    let link = timeout(limit, connect).await.map_err(|_| Disconnect::ConnectTimeout { limit })?;
    let Link { stream, remote } = link.map_err(|error| Disconnect::not_dialled(error.into()))?;
    let (reader, writer) = tokio::io::split(stream);
    let mut incoming = Incoming::new(reader, task.context.clone());
    let mut outgoing = Outgoing::new(writer, task.context.clone());
    let limit = task.context.config.timers.handshake;
    let info = timeout(limit, shake_hands(&task, remote, &mut incoming, &mut outgoing))
        .await
        .map_err(|_| Disconnect::HandshakeTimeout { limit })??;
    let version = info.version;
    report(&task.events, Event::Connected { peer: task.context.peer, info: Box::new(info) })
        .await?;
    let (urgent, pings) = mpsc::channel(URGENT_QUEUE);
    tokio::select! {
        end = Listener::new(task, version, incoming, urgent).run() => end,
        end = outgoing.run(pings, queue) => end,
    }
}

async fn report(events: &mpsc::Sender<Event>, event: Event) -> Result<(), Disconnect> {
    events.send(event).await.map_err(|_| Disconnect::Requested)
}

async fn shake_hands<R, W>(
    task: &Task,
    remote: Option<SocketAddr>,
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
    match agree(task.direction, &mut handshake, incoming, outgoing).await {
        Ok((agreed, latency)) => Ok(peer_info(task, remote, &agreed, latency)),
        // Whoever recognises itself first hangs up; this is the other end.
        Err(Disconnect::Closed | Disconnect::Broken { .. }) if nonce.was_met() => {
            Err(Disconnect::Ourselves)
        }
        Err(Disconnect::Closed | Disconnect::Broken { .. }) => Err(Disconnect::HungUp),
        Err(reason) => Err(reason),
    }
}

async fn agree<R, W>(
    direction: Direction,
    handshake: &mut Handshake,
    incoming: &mut Incoming<R>,
    outgoing: &mut Outgoing<W>,
) -> Result<(Agreed, Duration), Disconnect>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut spoke = Instant::now();
    outgoing.write(&handshake.start(direction)).await?;
    loop {
        while let Some(message) = incoming.next()? {
            let replies = handshake.on_message(message)?;
            if direction == Direction::Inbound && !replies.is_empty() {
                spoke = Instant::now();
            }
            outgoing.write(&replies).await?;
            if let Some(agreed) = handshake.finish() {
                // Before the next message is looked at: it may be in the same segment.
                incoming.allow_large_messages();
                return Ok((agreed, spoke.elapsed()));
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
        // As in Bitcoin Core: what a node says of its own address is not believed by anyone.
        sender: Endpoint { services: config.services, ..Endpoint::UNSPECIFIED },
        nonce,
        user_agent: config.user_agent.clone().into_bytes(),
        start_height: config.start_height,
        relay: config.relay,
    }
}

fn peer_info(
    task: &Task,
    remote: Option<SocketAddr>,
    agreed: &Agreed,
    latency: Duration,
) -> PeerInfo {
    let version = &agreed.version;
    PeerInfo {
        address: task.context.address.to_string(),
        remote,
        direction: task.direction,
        version: version.version,
        services: version.services,
        user_agent: version.user_agent_text(),
        start_height: version.start_height,
        relay: version.relay,
        wants_addrv2: agreed.wants_addrv2,
        wtxid_relay: agreed.wtxid_relay,
        time_offset: version.time.saturating_sub(unix_time()),
        latency,
    }
}

/// Seconds since 1970; 0 on a machine whose clock is before that.
fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Takes what the peer says after the handshake.
struct Listener<R> {
    id: PeerId,
    incoming: Incoming<R>,
    pinger: Pinger,
    ping: Arc<Notify>,
    urgent: mpsc::Sender<Message>,
    events: mpsc::Sender<Event>,
    timers: Timers,
    heard: Instant,
}

impl<R: AsyncRead + Unpin> Listener<R> {
    fn new(task: Task, version: i32, incoming: Incoming<R>, urgent: mpsc::Sender<Message>) -> Self {
        let now = Instant::now();
        let timers = task.context.config.timers;
        Self {
            id: task.context.peer,
            incoming,
            pinger: Pinger::new(now, version, timers.ping_interval, timers.silence),
            ping: task.ping,
            urgent,
            events: task.events,
            timers,
            heard: now,
        }
    }

    async fn run(mut self) -> Result<Infallible, Disconnect> {
        loop {
            while let Some(message) = self.incoming.next()? {
                self.on_message(message).await?;
            }
            let due = self.deadline();
            tokio::select! {
                // Bytes before the clock: while the layers above kept us waiting, the peer may have been talking.
                biased;
                filled = self.incoming.fill() => {
                    filled?;
                    self.heard = Instant::now();
                }
                () = self.ping.notified() => {
                    let ping = self.pinger.ping(Instant::now(), rand::random());
                    self.say(ping).await?;
                }
                () = sleep_until(due) => self.on_time(Instant::now()).await?,
            }
        }
    }

    fn deadline(&self) -> Instant {
        let due = self.pinger.deadline().min(self.heard + self.timers.silence);
        self.incoming.deadline().map_or(due, |message| message.min(due))
    }

    async fn on_time(&mut self, now: Instant) -> Result<(), Disconnect> {
        let limit = self.timers.silence;
        if self.incoming.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(Disconnect::MessageTimeout { limit: self.timers.message });
        }
        if now >= self.heard + limit {
            return Err(Disconnect::Silence { limit });
        }
        match self.pinger.on_time(now, rand::random()) {
            Ok(Some(ping)) => self.say(ping).await,
            Ok(None) => Ok(()),
            Err(Unanswered) => Err(Disconnect::PingTimeout { limit }),
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), Disconnect> {
        let peer = self.id;
        match message {
            Message::Ping(Some(nonce)) => self.say(Message::Pong(nonce)).await,
            Message::Pong(nonce) => match self.pinger.on_pong(Instant::now(), nonce) {
                Some(rtt) => report(&self.events, Event::Latency { peer, rtt }).await,
                None => Ok(()),
            },
            // The first from before BIP31, the others said twice: ignored as in Bitcoin Core.
            Message::Ping(None) | Message::Version(_) | Message::Verack => Ok(()),
            Message::WtxidRelay | Message::SendAddrV2 => {
                Err(Disconnect::LateFeature { command: message.command() })
            }
            message => report(&self.events, Event::Message { peer, message }).await,
        }
    }

    /// Hands a message to the writer. Should it not come to its turn, the writer's deadline ends the connection.
    async fn say(&mut self, message: Message) -> Result<(), Disconnect> {
        self.urgent.send(message).await.map_err(|_| Disconnect::Requested)
    }
}
