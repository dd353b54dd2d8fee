//! Pings one peer.

use super::peer_options::{PeerOptions, net_config};
use crate::net::{ConnectionEvent, Disconnect, PeerHandle, PeerInfo, Timers};
use crate::primitives::PeerId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How many events of the connection may be queued. When the queue is full, the connection stops reading.
const EVENT_QUEUE: usize = 8;

/// The interval of the connection's own pings. It is longer than any run, so the connection sends only the first ping
/// by itself, and the others on request.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why a peer cannot be pinged, or can no longer be pinged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {reason}")]
pub(crate) struct PingError {
    /// The peer's address.
    pub address: String,
    /// What went wrong.
    pub reason: String,
    /// Whether the proxy failed, and not the peer.
    pub is_proxy_fault: bool,
}

/// What a peer claims about itself in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandshakeInfo {
    /// The protocol version.
    pub version: i32,
    /// The names of the services that the peer offers.
    pub services: Vec<String>,
    /// The peer's user agent as received. Before it is shown, [`safe_text`](crate::wire::safe_text) has to make it
    /// safe.
    pub user_agent: String,
    /// The height of the peer's best chain.
    pub height: i32,
    /// The round-trip time, measured in the handshake.
    pub latency: Duration,
}

impl From<&PeerInfo> for HandshakeInfo {
    fn from(info: &PeerInfo) -> Self {
        Self {
            version: info.version,
            services: info.services.names(),
            user_agent: info.user_agent.clone(),
            height: info.start_height,
            latency: info.latency,
        }
    }
}

/// The result of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingOutcome {
    /// The ping was answered after this time.
    Answered(Duration),
    /// The ping was not answered in time.
    Lost,
}

/// A connection on which pings are sent, one after the other.
///
/// Each ping has a random nonce, and a `pong` counts only if it has the nonce of the last ping. A peer from before
/// BIP31 gets pings without a nonce, and answers none of them.
#[derive(Debug)]
pub(crate) struct PingConnection {
    address: String,
    handle: PeerHandle,
    events: Receiver<ConnectionEvent>,
    interval: Duration,
    timeout: Duration,
    sent: u64,
    last: Instant,
}

impl PingConnection {
    /// Dials a peer (`host:port`) and completes the handshake.
    ///
    /// A ping is sent `interval` after the previous ping, or once the previous ping is answered or lost, whichever is
    /// later. Connecting, the handshake and every answer may each take up to `timeout`.
    ///
    /// # Errors
    /// The peer cannot be used.
    pub(crate) async fn start(
        options: &PeerOptions,
        address: &str,
        interval: Duration,
        timeout: Duration,
    ) -> Result<(Self, HandshakeInfo), PingError> {
        let timers = Timers {
            connect: timeout,
            handshake: timeout,
            ping_interval: NEVER,
            ..Timers::default()
        };
        let config = Arc::new(net_config(options.params, 0, timers));
        let (sender, mut events) = channel(EVENT_QUEUE);
        let handle = options.dialer().spawn(PeerId(0), address.to_owned(), config, sender);
        let address = address.to_owned();
        loop {
            match events.recv().await {
                Some(ConnectionEvent::Connected { info, .. }) => {
                    let last = Instant::now();
                    let info = HandshakeInfo::from(info.as_ref());
                    let pinging =
                        Self { address, handle, events, interval, timeout, sent: 0, last };
                    return Ok((pinging, info));
                }
                event => check_alive(&address, event)?,
            }
        }
    }

    /// Returns how many pings were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Waits until the next ping is due, sends it, and waits for its answer.
    ///
    /// If the caller drops the future during the wait for the answer, the ping still counts as sent.
    ///
    /// # Errors
    /// The connection has ended.
    pub(crate) async fn next(&mut self) -> Result<PingOutcome, PingError> {
        // The connection itself sends the first ping, at the end of the handshake.
        if self.sent > 0 {
            self.wait().await?;
            self.last = Instant::now();
            self.handle.ping();
        }
        self.sent += 1;
        let (deadline, first) = (self.last + self.timeout, self.sent == 1);
        loop {
            match timeout_at(deadline, self.events.recv()).await {
                // If the round trip is longer than the time since this ping was sent, an earlier ping was answered
                // late.
                Ok(Some(ConnectionEvent::Latency { rtt, .. }))
                    if first || rtt <= self.last.elapsed() =>
                {
                    return Ok(PingOutcome::Answered(rtt));
                }
                Ok(event) => check_alive(&self.address, event)?,
                Err(_) => return Ok(PingOutcome::Lost),
            }
        }
    }

    /// Waits until the next ping is due.
    async fn wait(&mut self) -> Result<(), PingError> {
        let due = self.last + self.interval;
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => check_alive(&self.address, event)?,
                () = sleep_until(due) => return Ok(()),
            }
        }
    }
}

/// Returns an error if the event is the end of the connection.
fn check_alive(address: &str, event: Option<ConnectionEvent>) -> Result<(), PingError> {
    let (reason, is_proxy_fault) = match event {
        Some(ConnectionEvent::Disconnected { reason, .. }) => {
            (reason.to_string(), matches!(reason, Disconnect::Proxy(_)))
        }
        None => ("the connection is over".to_owned(), false),
        Some(_) => return Ok(()),
    };
    Err(PingError { address: address.to_owned(), reason, is_proxy_fault })
}
