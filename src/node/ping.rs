//! Pinging one peer.

use super::peer_options::{PeerOptions, net_config};
use crate::net::{Disconnect, Event, PeerHandle, PeerInfo, Timers};
use crate::primitives::PeerId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Events that may wait; beyond that the peer is not read.
const EVENT_QUEUE: usize = 8;

/// Longer than anybody pings: only the pings that are asked for go out, after the first.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A peer could not be used, or not any longer: its address and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {reason}")]
pub(crate) struct NoPeer {
    /// Where it was dialled.
    pub address: String,
    /// What happened.
    pub reason: String,
    /// Whether the proxy alone is to blame.
    pub is_proxys: bool,
}

/// What a peer said of itself; its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Protocol version.
    pub version: i32,
    /// What it offers, by name.
    pub services: Vec<String>,
    /// Its software, in its own words, whole: see [`safe_text`](crate::wire::safe_text).
    pub user_agent: String,
    /// Height of its best chain.
    pub height: i32,
    /// How long the handshake's round trip took.
    pub latency: Duration,
}

impl From<&PeerInfo> for Greeting {
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

/// What became of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pinged {
    /// It was answered after that time.
    Answered(Duration),
    /// It was not answered in time.
    Lost,
}

/// A connection for pings, one after the other.
///
/// The nonces are random, and an answer counts only if it carries the nonce of the ping that is waited for.
#[derive(Debug)]
pub(crate) struct Pinging {
    address: String,
    handle: PeerHandle,
    events: Receiver<Event>,
    interval: Duration,
    patience: Duration,
    sent: u64,
    last: Instant,
}

impl Pinging {
    /// Dials a peer (`host:port`) and shakes hands. Pings are `interval` apart, or as far as their answers; `patience`
    /// is for the connection, the handshake, and each answer.
    ///
    /// # Errors
    /// The peer cannot be used.
    pub(crate) async fn start(
        options: &PeerOptions,
        address: &str,
        interval: Duration,
        patience: Duration,
    ) -> Result<(Self, Greeting), NoPeer> {
        let timers = Timers {
            connect: patience,
            handshake: patience,
            ping_interval: NEVER,
            ..Timers::default()
        };
        let config = Arc::new(net_config(options.params, 0, timers));
        let (sender, mut events) = channel(EVENT_QUEUE);
        let handle = options.dialer().spawn(PeerId(0), address.to_owned(), config, sender);
        let address = address.to_owned();
        loop {
            match events.recv().await {
                Some(Event::Connected { info, .. }) => {
                    let last = Instant::now();
                    let greeting = Greeting::from(info.as_ref());
                    let pinging =
                        Self { address, handle, events, interval, patience, sent: 0, last };
                    return Ok((pinging, greeting));
                }
                event => over(&address, event)?,
            }
        }
    }

    /// How many pings were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends the next ping when it is due, and waits for its answer.
    ///
    /// If the wait is given up the ping remains counted as sent.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn next(&mut self) -> Result<Pinged, NoPeer> {
        if self.sent > 0 {
            self.wait().await?;
            self.last = Instant::now();
            self.handle.ping();
        }
        // The first goes out by itself, as the handshake ends.
        self.sent += 1;
        let (deadline, first) = (self.last + self.patience, self.sent == 1);
        loop {
            match timeout_at(deadline, self.events.recv()).await {
                // An answer that took longer than this ping is out is a late one to an earlier ping.
                Ok(Some(Event::Latency { rtt, .. })) if first || rtt <= self.last.elapsed() => {
                    return Ok(Pinged::Answered(rtt));
                }
                Ok(event) => over(&self.address, event)?,
                Err(_) => return Ok(Pinged::Lost),
            }
        }
    }

    /// Waits until the next ping is due.
    async fn wait(&mut self) -> Result<(), NoPeer> {
        let due = self.last + self.interval;
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => over(&self.address, event)?,
                () = sleep_until(due) => return Ok(()),
            }
        }
    }
}

/// An error if the event is the connection's last.
fn over(address: &str, event: Option<Event>) -> Result<(), NoPeer> {
    let (reason, is_proxys) = match event {
        Some(Event::Disconnected { reason, .. }) => {
            (reason.to_string(), matches!(reason, Disconnect::Proxy(_)))
        }
        None => ("the connection is over".to_owned(), false),
        Some(_) => return Ok(()),
    };
    Err(NoPeer { address: address.to_owned(), reason, is_proxys })
}
