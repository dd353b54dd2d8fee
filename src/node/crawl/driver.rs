//! Drives a crawl with connections, a clock and a journal.

use super::address::{CrawlAddress, GetAddrAnswer, Reachable};
use super::journal::{Journal, JournalEntry, JournalError};
use super::machine::{AskedPeer, Crawl, CrawlCommand, CrawlPlan};
use super::row::{CrawlCounts, PeerRow};
use crate::net::{Config, ConnectionEvent, Dialer, Disconnect, PeerHandle, Timers};
use crate::node::peer_options::net_config;
use crate::node::{AddressSource, Failures, FoundAddress, HandshakeInfo, PeerOptions, scope_of};
use crate::primitives::PeerId;
use crate::wire::Message;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};

/// How many connections may be open at once. A home router can track this many. With far fewer, the crawl would stall
/// while most dials wait for their timeout.
pub const CONCURRENCY: usize = 64;

/// How long a dial may take. Source: Bitcoin Core `DEFAULT_CONNECT_TIMEOUT`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a dial through a proxy may take: Tor may have to build a circuit first.
const PROXY_CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the handshake may take, and how long the answer to `getaddr` may take after the handshake.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connected peers may still answer after the crawl is interrupted.
const INTERRUPT_GRACE: Duration = Duration::from_secs(1);

/// How many events of connections may be queued. When the queue is full, the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// The longest payload, in bytes, that a peer may send. A thousand addresses of the longest kind fit into it. A higher
/// limit would cost memory for each of the many connections.
const MAX_MESSAGE: u32 = 600_000;

/// The interval of a connection's own pings. No connection of a crawl lasts this long, so the connection sends only the
/// first ping by itself, and the others when the crawl requests them.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// The options of a crawl.
#[derive(Clone, Debug)]
pub struct CrawlOptions {
    /// Which peers to connect to, and how to reach them.
    pub peers: PeerOptions,
    /// The greatest number of peers to ask.
    pub max_peers: usize,
    /// Whether the crawl also asks the peers whose addresses other peers send.
    pub follow: bool,
    /// How long each of the connection, the handshake and the answer to `getaddr` may take; `None` for the defaults.
    pub timeout: Option<Duration>,
}

/// The result of a crawl.
#[derive(Clone, Debug)]
pub struct CrawlResult {
    /// The peers that were asked, in the order in which they finished.
    pub asked: Vec<PeerRow>,
    /// The addresses that were not asked.
    pub unasked: Vec<PeerRow>,
    /// How many addresses are known, and how many peers were asked and reached.
    pub counts: CrawlCounts,
    /// Why connections could not be made, or ended before the crawl closed them.
    pub failures: Failures,
}

/// Asks peers for addresses, beginning with the peers in `start`. If the journal holds entries of an earlier run,
/// continues that run.
///
/// `progress` is called with the figures so far, and with the number of peers that will have been asked in the end if
/// no further addresses are found. The crawl ends early when `stop` becomes true.
///
/// # Errors
/// The journal could not be written.
pub async fn crawl(
    options: &CrawlOptions,
    journal: Option<&mut Journal>,
    start: Vec<FoundAddress>,
    mut progress: impl FnMut(CrawlCounts, usize),
    mut stop: watch::Receiver<bool>,
) -> Result<CrawlResult, JournalError> {
    let mut driver = Driver::new(options, journal);
    driver.begin(start)?;
    let mut interrupt_deadline: Option<Instant> = None;
    while driver.step()? {
        progress(driver.crawl.counts(), driver.crawl.expected());
        let wake = driver.deadline().into_iter().chain(interrupt_deadline).min();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if interrupt_deadline.is_none() => {
                driver.crawl.stop_dialing();
                interrupt_deadline = Some(Instant::now() + INTERRUPT_GRACE);
            }
            Some(event) = driver.events.recv() => driver.on_event(event),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if interrupt_deadline.is_some_and(|at| at <= Instant::now()) {
                    driver.crawl.interrupt();
                }
            }
        }
    }
    if let Some(journal) = driver.journal {
        block_in_place(|| journal.sync())?;
    }
    let (counts, failures) = (driver.crawl.counts(), driver.failures);
    let (asked, unasked) = driver.crawl.into_rows();
    Ok(CrawlResult { asked, unasked, counts, failures })
}

struct Driver<'a> {
    crawl: Crawl,
    journal: Option<&'a mut Journal>,
    dialer: Dialer,
    config: Arc<Config>,
    reachable: Reachable,
    /// The connections, including those that are still being dialled, and the peers' addresses.
    handles: HashMap<PeerId, (PeerHandle, String)>,
    failures: Failures,
    /// Whether the proxy, if there is one, is known to work.
    proxy_works: bool,
    sender: Sender<ConnectionEvent>,
    events: Receiver<ConnectionEvent>,
    started: Instant,
}

impl<'a> Driver<'a> {
    fn new(options: &CrawlOptions, journal: Option<&'a mut Journal>) -> Self {
        let CrawlOptions { peers, max_peers, follow, timeout } = options;
        let connect = if peers.proxy.is_some() { PROXY_CONNECT_TIMEOUT } else { CONNECT_TIMEOUT };
        let timers = Timers {
            connect: timeout.unwrap_or(connect),
            handshake: timeout.unwrap_or(ANSWER_TIMEOUT),
            ping_interval: NEVER,
            ..Timers::default()
        };
        let plan = CrawlPlan {
            max_peers: *max_peers,
            follow: *follow,
            concurrency: CONCURRENCY,
            timeout: timeout.unwrap_or(ANSWER_TIMEOUT),
        };
        let (sender, events) = channel(EVENT_QUEUE);
        Self {
            crawl: Crawl::new(plan),
            journal,
            dialer: peers.dialer(),
            config: Arc::new(Config {
                max_payload: MAX_MESSAGE,
                ..net_config(peers.params, 0, timers)
            }),
            reachable: Reachable {
                scope: scope_of(peers.params.network),
                through_proxy: peers.proxy.is_some(),
            },
            handles: HashMap::new(),
            failures: Failures::default(),
            proxy_works: false,
            sender,
            events,
            started: Instant::now(),
        }
    }

    /// Replays the journal, and adds the addresses to start with.
    fn begin(&mut self, start: Vec<FoundAddress>) -> Result<(), JournalError> {
        let earlier = self.journal.as_mut().map(|journal| std::mem::take(&mut journal.earlier));
        for entry in earlier.unwrap_or_default() {
            match entry {
                // The limit of ports for each host was applied before the entry was written, except to addresses that
                // the user named.
                JournalEntry::Found(addresses) => drop(self.crawl.start_with(addresses, true)),
                JournalEntry::Asked { row, learned } => self.crawl.replay(row, learned),
                JournalEntry::Crawl { .. } => {}
            }
        }
        // Each source has a list of its own, so that the sources take turns.
        let mut lists: Vec<(_, Vec<CrawlAddress>)> = Vec::new();
        for FoundAddress { address, source } in start {
            let address = CrawlAddress { address, services: 0 };
            match lists.iter_mut().find(|(known, _)| *known == source) {
                Some((_, list)) => list.push(address),
                None => lists.push((source, vec![address])),
            }
        }
        for (source, list) in lists {
            let new = self.crawl.start_with(list, source == AddressSource::User);
            if !new.is_empty() {
                self.write(&JournalEntry::Found(new))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, entry: &JournalEntry) -> Result<(), JournalError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        block_in_place(|| journal.append(entry))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn deadline(&self) -> Option<Instant> {
        self.crawl.deadline().map(|at| self.started + at)
    }

    /// Carries out the crawl's commands, and writes the journal. Returns false once the crawl has ended.
    fn step(&mut self) -> Result<bool, JournalError> {
        let now = self.now();
        for command in self.crawl.poll(now, &mut rand::rng()) {
            self.execute(command);
        }
        for AskedPeer { row, learned } in self.crawl.take_finished() {
            self.write(&JournalEntry::Asked { row, learned })?;
        }
        Ok(!self.crawl.is_done())
    }

    fn execute(&mut self, command: CrawlCommand) {
        match command {
            CrawlCommand::Dial(id, address) => {
                let (config, sender) = (Arc::clone(&self.config), self.sender.clone());
                let handle = self.dialer.spawn(id, address.clone(), config, sender);
                self.handles.insert(id, (handle, address));
            }
            CrawlCommand::SendGetAddr(id) => {
                if let Some((handle, _)) = self.handles.get(&id) {
                    // A request that cannot be queued is not answered, and the peer runs into its deadline.
                    handle.try_send(Message::GetAddr).ok();
                }
            }
            CrawlCommand::Ping(id) => {
                if let Some((handle, _)) = self.handles.get(&id) {
                    handle.ping();
                }
            }
            CrawlCommand::Disconnect(id) => drop(self.handles.remove(&id)),
        }
    }

    fn on_event(&mut self, event: ConnectionEvent) {
        let now = self.now();
        match event {
            ConnectionEvent::Connected { peer, info } => {
                self.proxy_works = true;
                self.crawl.on_connected(peer, HandshakeInfo::from(info.as_ref()), now);
            }
            ConnectionEvent::Latency { peer, rtt } => self.crawl.on_pong(peer, rtt, now),
            ConnectionEvent::Message { peer, message } => {
                if let Some(answer) = GetAddrAnswer::read(&message, self.reachable) {
                    self.crawl.on_addresses(peer, answer);
                }
            }
            ConnectionEvent::Disconnected { peer, reason } => self.on_disconnected(peer, &reason),
        }
    }

    fn on_disconnected(&mut self, id: PeerId, reason: &Disconnect) {
        if let Some((_, address)) = self.handles.get(&id) {
            self.failures.add(address, reason);
        }
        if matches!(reason, Disconnect::Proxy(_)) && !self.proxy_works {
            // The proxy does not work, so no other peer can be reached either. Nothing was learnt of this peer, so
            // a crawl that continues this one asks it.
            self.crawl.stop_dialing();
            self.crawl.requeue(id);
        } else {
            self.proxy_works = true;
            self.crawl.on_disconnected(id, reason.to_string());
        }
    }
}
