//! The crawl's connections, clock and file.

use super::address::{Answer, Reachable, Told};
use super::journal::{Journal, JournalError, Line};
use super::machine::{Act, Crawl, Plan};
use super::row::{Counts, PeerRow};
use crate::net::{Config, Dialer, Disconnect, Event, PeerHandle, Timers};
use crate::node::peer_options::net_config;
use crate::node::{Failures, Found, Greeting, PeerOptions, Source, scope_of};
use crate::primitives::PeerId;
use crate::wire::Message;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};

/// Connections at once. Few enough for a home router's table, many enough for most of them to be dead ones.
pub const CONCURRENCY: usize = 64;

/// How long a dial may take. Source: Bitcoin Core `DEFAULT_CONNECT_TIMEOUT`.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Through a proxy: a circuit of Tor's may have to be built first.
const PROXY_PATIENCE: Duration = Duration::from_secs(20);
/// How long the handshake may take, and then the addresses.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// How long peers may finish when the crawl is interrupted.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Events that may wait; beyond that the connections stop reading.
const EVENT_QUEUE: usize = 8;

/// Longest message that a peer may send: room for a thousand addresses of the longest kind, and no more, since there
/// are many connections.
const MAX_MESSAGE: u32 = 600_000;

/// Longer than a crawl speaks to anybody: only the pings that it asks for go out, after the first.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// What to crawl.
#[derive(Clone, Debug)]
pub struct CrawlOptions {
    /// How to reach peers.
    pub peers: PeerOptions,
    /// Most peers to ask.
    pub asks: usize,
    /// Whether the addresses that peers tell are asked too.
    pub follow: bool,
    /// How long a peer may take for the connection, for the handshake, and for its addresses.
    pub patience: Option<Duration>,
}

/// What came of a crawl.
#[derive(Clone, Debug)]
pub struct Crawled {
    /// The peers that were asked, in the order they finished.
    pub asked: Vec<PeerRow>,
    /// Addresses that were told and not asked.
    pub unasked: Vec<PeerRow>,
    /// The numbers.
    pub counts: Counts,
    /// Why peers could not be reached.
    pub failures: Failures,
}

/// Asks peers for addresses, `start` first. `progress` hears of the numbers and how many peers are expected to be
/// asked; set to true, `stop` ends it. What happens is written to the journal, and an earlier run's is gone on from.
///
/// # Errors
/// The journal could not be written.
pub async fn crawl(
    options: &CrawlOptions,
    journal: Option<&mut Journal>,
    start: Vec<Found>,
    mut progress: impl FnMut(Counts, usize),
    mut stop: watch::Receiver<bool>,
) -> Result<Crawled, JournalError> {
    let mut driver = Driver::new(options, journal);
    driver.begin(start)?;
    let mut last_call: Option<Instant> = None;
    while driver.step()? {
        progress(driver.crawl.counts(), driver.crawl.expected());
        let wake = driver.deadline().into_iter().chain(last_call).min();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if last_call.is_none() => {
                driver.crawl.halt();
                last_call = Some(Instant::now() + LAST_CALL);
            }
            Some(event) = driver.events.recv() => driver.on_event(event),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if last_call.is_some_and(|at| at <= Instant::now()) {
                    driver.crawl.abandon();
                }
            }
        }
    }
    if let Some(journal) = driver.journal {
        block_in_place(|| journal.sync())?;
    }
    let (counts, failures) = (driver.crawl.counts(), driver.failures);
    let (asked, unasked) = driver.crawl.into_rows();
    Ok(Crawled { asked, unasked, counts, failures })
}

struct Driver<'a> {
    crawl: Crawl,
    journal: Option<&'a mut Journal>,
    dialer: Dialer,
    config: Arc<Config>,
    reachable: Reachable,
    handles: HashMap<PeerId, (PeerHandle, String)>,
    failures: Failures,
    /// Whether anything was heard from beyond the proxy, if there is one.
    heard: bool,
    sender: Sender<Event>,
    events: Receiver<Event>,
    started: Instant,
}

impl<'a> Driver<'a> {
    fn new(options: &CrawlOptions, journal: Option<&'a mut Journal>) -> Self {
        let CrawlOptions { peers, asks, follow, patience } = options;
        let connect = if peers.proxy.is_some() { PROXY_PATIENCE } else { CONNECT_PATIENCE };
        let timers = Timers {
            connect: patience.unwrap_or(connect),
            handshake: patience.unwrap_or(ANSWER_PATIENCE),
            ping_interval: NEVER,
            ..Timers::default()
        };
        let plan = Plan {
            asks: *asks,
            follow: *follow,
            concurrency: CONCURRENCY,
            patience: patience.unwrap_or(ANSWER_PATIENCE),
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
            heard: false,
            sender,
            events,
            started: Instant::now(),
        }
    }

    /// Takes in what an earlier run has done, and the addresses to start with.
    fn begin(&mut self, start: Vec<Found>) -> Result<(), JournalError> {
        let earlier = self.journal.as_mut().map(|journal| std::mem::take(&mut journal.earlier));
        for line in earlier.unwrap_or_default() {
            match line {
                // Held to the limits when it was found.
                Line::Found(told) => drop(self.crawl.start_with(told, true)),
                Line::Asked { row, learned } => self.crawl.replay(row, learned),
                Line::Crawl { .. } => {}
            }
        }
        // A list of its own for each source: they take turns.
        let mut lists: Vec<(_, Vec<Told>)> = Vec::new();
        for Found { address, source } in start {
            let told = Told { address, services: 0 };
            match lists.iter_mut().find(|(known, _)| *known == source) {
                Some((_, list)) => list.push(told),
                None => lists.push((source, vec![told])),
            }
        }
        for (source, list) in lists {
            let new = self.crawl.start_with(list, source == Source::User);
            if !new.is_empty() {
                self.write(&Line::Found(new))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, line: &Line) -> Result<(), JournalError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        block_in_place(|| journal.append(line))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn deadline(&self) -> Option<Instant> {
        self.crawl.deadline().map(|at| self.started + at)
    }

    /// Does what there is to do; false once there is nothing left.
    fn step(&mut self) -> Result<bool, JournalError> {
        let now = self.now();
        for act in self.crawl.poll(now, &mut rand::rng()) {
            self.carry_out(act);
        }
        for finished in self.crawl.take_finished() {
            self.write(&Line::Asked { row: finished.row, learned: finished.learned })?;
        }
        Ok(!self.crawl.is_done())
    }

    fn carry_out(&mut self, act: Act) {
        match act {
            Act::Dial(id, address) => {
                let (config, sender) = (Arc::clone(&self.config), self.sender.clone());
                let handle = self.dialer.spawn(id, address.clone(), config, sender);
                self.handles.insert(id, (handle, address));
            }
            Act::AskAddresses(id) => {
                if let Some((handle, _)) = self.handles.get(&id) {
                    // What cannot be queued is not answered, and the deadline takes care of that.
                    handle.try_send(Message::GetAddr).ok();
                }
            }
            Act::Ping(id) => {
                if let Some((handle, _)) = self.handles.get(&id) {
                    handle.ping();
                }
            }
            Act::HangUp(id) => drop(self.handles.remove(&id)),
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Connected { peer, info } => {
                self.heard = true;
                self.crawl.connected(peer, Greeting::from(info.as_ref()), now);
            }
            Event::Latency { peer, rtt } => self.crawl.pong(peer, rtt, now),
            Event::Message { peer, message } => {
                if let Some(answer) = Answer::read(&message, self.reachable) {
                    self.crawl.addresses(peer, answer);
                }
            }
            Event::Disconnected { peer, reason } => self.over(peer, &reason),
        }
    }

    fn over(&mut self, id: PeerId, reason: &Disconnect) {
        if let Some((_, address)) = self.handles.get(&id) {
            self.failures.add(address, reason);
        }
        if matches!(reason, Disconnect::Proxy(_)) && !self.heard {
            // Nobody else would be reached either, and nothing is known of this one.
            self.crawl.halt();
            self.crawl.give_back(id);
        } else {
            self.heard = true;
            self.crawl.over(id, reason.to_string());
        }
    }
}
