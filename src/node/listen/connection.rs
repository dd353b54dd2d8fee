//! The task of one inbound connection. It passes messages and new tips to [`InboundPeer`], and carries out its
//! decisions.

use super::addresses::{self, AddressCache};
use super::admission::Origin;
use super::answer::{PeerAnswer, answer};
use super::budgets::Budgets;
use super::inbound::AdmittedPeer;
use super::new_tip::NewTip;
use super::options::ListenOptions;
use super::peer::{InboundPeer, PeerInput, PeerOutput, cost};
use super::read_ahead::{PendingAnswer, ReadAhead};
use crate::chainstate::unix_now_secs;
use crate::net::{ConnectionEvent, EncodedMessage, PeerHandle, PeerInfo};
use crate::node::addresses::scope_of;
use crate::primitives::BlockHash;
use crate::store::{SledStore, StoreError};
use crate::wire::{Command, GetHeaders, Message, PROTOCOL_VERSION};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

/// How many answers, of up to 162 kB each, may be unsent for one peer. While one answer is sent, the next is read from
/// the store.
const ANSWERS_IN_FLIGHT: usize = 2;

/// The options, the store and the limits that all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: ListenOptions,
    pub(super) store: Arc<SledStore>,
    /// The only permit to read the store. Peers take turns, and a flood of requests costs at most one core.
    pub(super) reading: Arc<Semaphore>,
    /// The permits to read answers before they are requested.
    pub(super) ahead: Arc<Semaphore>,
    pub(super) addresses: Mutex<AddressCache>,
    pub(super) budgets: StdMutex<Budgets>,
    /// Whether it has been logged that the store cannot be read.
    pub(super) warned: AtomicBool,
    pub(super) started: Instant,
}

impl Shared {
    /// Charges an address for a message. Returns when the address's next message may be read; `None` means at once.
    fn charge(&self, origin: Origin, message: &Message) -> Option<Instant> {
        let (cost, now) = (cost(message), self.started.elapsed());
        // No panic can leave the buckets half changed.
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.charge(origin, cost, now).map(|at| self.started + at)
    }

    /// Logs that the store cannot be read. Only the first failure is logged, or peers that connect again would fill the
    /// log.
    fn log_unreadable(&self, error: &StoreError) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!("cannot serve headers: {error}");
        }
    }
}

/// An inbound connection.
pub(super) struct InboundConnection {
    pub(super) shared: Arc<Shared>,
    pub(super) admitted: AdmittedPeer,
    pub(super) origin: Origin,
    pub(super) handle: Arc<PeerHandle>,
    pub(super) events: mpsc::Receiver<ConnectionEvent>,
    pub(super) tips: watch::Receiver<Option<Arc<NewTip>>>,
}

/// A connection whose handshake is complete.
struct ServedPeer {
    connection: InboundConnection,
    peer: InboundPeer,
    info: Arc<PeerInfo>,
    answer_permits: Arc<Semaphore>,
    /// The permit for the next answer. Without it, no message is read.
    answer_permit: Option<OwnedSemaphorePermit>,
    /// When the next message may be read; `None` means at once. Until then, TCP's flow control slows the peer down.
    ready_at: Option<Instant>,
    /// The answer to the request that the peer will probably send next.
    ahead: Option<ReadAhead>,
}

/// The connection's task has to end.
struct Ended;

impl InboundConnection {
    /// Serves the peer until the connection ends.
    pub(super) async fn run(mut self) {
        let Some(ConnectionEvent::Connected { info, .. }) = self.events.recv().await else {
            return;
        };
        let info = Arc::from(info);
        self.admitted.record_handshake(&info);
        let tip = self.tips.borrow_and_update().clone();
        let peer = InboundPeer::new(tip.as_deref());
        let first_announcement = peer.first_announcement(&info, tip.as_deref());
        let answer_permits = Arc::new(Semaphore::new(ANSWERS_IN_FLIGHT));
        let mut served = ServedPeer {
            connection: self,
            peer,
            info,
            answer_permits,
            answer_permit: None,
            ready_at: None,
            ahead: None,
        };
        if served.carry_out(first_announcement).await.is_ok() {
            while served.step().await.is_ok() {}
        }
    }
}

impl ServedPeer {
    /// Waits for the next message, the next tip or the expiry of the answer that was read ahead, and handles it. No
    /// message is lost if another event comes first.
    async fn step(&mut self) -> Result<(), Ended> {
        let Self {
            connection: InboundConnection { events, tips, .. },
            answer_permits,
            answer_permit,
            ready_at,
            ahead,
            ..
        } = self;
        let next = async {
            if answer_permit.is_none() {
                *answer_permit = Arc::clone(answer_permits).acquire_owned().await.ok();
            }
            if let Some(at) = *ready_at {
                sleep_until(at).await;
            }
            events.recv().await
        };
        let expires = ahead.as_ref().map(ReadAhead::expires);
        tokio::select! {
            biased;
            Ok(()) = tips.changed() => {}
            event = next => return self.on_event(event.ok_or(Ended)?).await,
            () = sleep_until(expires.unwrap_or_else(Instant::now)), if expires.is_some() => {
                self.ahead = None;
                return Ok(());
            }
        }
        self.ahead = None;
        let tip = self.connection.tips.borrow_and_update().clone();
        let Some(tip) = tip else { return Ok(()) };
        self.handle(PeerInput::NewTip(&tip)).await
    }

    async fn on_event(&mut self, event: ConnectionEvent) -> Result<(), Ended> {
        match event {
            ConnectionEvent::Message { message, .. } => {
                let InboundConnection { shared, origin, .. } = &self.connection;
                self.ready_at = shared.charge(*origin, &message);
                self.handle(PeerInput::Message(message)).await
            }
            ConnectionEvent::Latency { rtt, .. } => {
                self.connection.admitted.record_ping(rtt);
                Ok(())
            }
            ConnectionEvent::Connected { .. } => Ok(()),
            ConnectionEvent::Disconnected { .. } => Err(Ended),
        }
    }

    async fn handle(&mut self, input: PeerInput<'_>) -> Result<(), Ended> {
        let output = self.peer.handle(input);
        self.carry_out(output).await
    }

    async fn carry_out(&mut self, output: Option<PeerOutput>) -> Result<(), Ended> {
        match output {
            None => Ok(()),
            Some(PeerOutput::Send(message)) => self.send(message),
            Some(PeerOutput::AnswerHeaders(request)) => self.answer_headers(request).await,
            Some(PeerOutput::AnswerAddresses) => self.answer_addresses().await,
            Some(PeerOutput::Disconnect(violation)) => {
                debug!("disconnecting {}: {violation}", self.info.address);
                Err(Ended)
            }
        }
    }

    /// Queues a message. If the queue is full, the peer does not read and is disconnected.
    fn send(&self, message: Message) -> Result<(), Ended> {
        self.connection.handle.try_send(message).map_err(|error| {
            debug!("disconnecting {}: {error}", self.info.address);
            Ended
        })
    }

    async fn answer_headers(&mut self, request: GetHeaders) -> Result<(), Ended> {
        let shared = &self.connection.shared;
        let may_continue = request.stop == BlockHash::ZERO;
        let ahead = self.ahead.take().and_then(|ahead| ahead.take_for(&request));
        let reading = match ahead {
            Some(reading) => reading,
            None => {
                let permit =
                    Arc::clone(&shared.reading).acquire_owned().await.map_err(|_| Ended)?;
                start_reading(shared, permit, request)
            }
        };
        let answer = match reading.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                shared.log_unreadable(&error);
                return Err(Ended);
            }
            Err(_) => return Err(Ended),
        };
        let Some(PeerAnswer { frame, up_to, continues_after }) = answer else { return Ok(()) };
        let permits = self.answer_permit.take().into_iter().collect();
        let message = EncodedMessage { command: Command::HEADERS, frame, permits };
        self.connection.handle.try_send_encoded(message).map_err(|_| Ended)?;
        self.ahead =
            continues_after.filter(|_| may_continue).and_then(|hash| read_ahead(shared, hash));
        // The state machine only records which headers the peer has, and returns nothing to send.
        up_to.map(|up_to| self.peer.handle(PeerInput::Answered { up_to }));
        Ok(())
    }

    async fn answer_addresses(&self) -> Result<(), Ended> {
        let shared = &self.connection.shared;
        let now = unix_now_secs();
        let mut cache = shared.addresses.lock().await;
        if cache.is_stale(now) {
            let (folder, params) = (shared.options.addrman_folder.clone(), shared.options.params);
            let read = move || addresses::read(&folder?, params.magic, scope_of(params.network));
            let addrman = spawn_blocking(read).await.unwrap_or_default();
            cache.renew(addrman.as_ref(), now, &mut rand::rng());
        }
        let message = cache.message(&self.info, now);
        drop(cache);
        message.map_or(Ok(()), |message| self.send(message))
    }
}

/// Reads the answer to a request on a thread that may block.
fn start_reading(
    shared: &Arc<Shared>,
    permit: OwnedSemaphorePermit,
    request: GetHeaders,
) -> PendingAnswer {
    let reader = Arc::clone(shared);
    spawn_blocking(move || {
        let ListenOptions { params, min_chain_work, .. } = &reader.options;
        let answer = answer(&reader.store, &request, min_chain_work, params.magic);
        drop(reader);
        // The store must not be used any more when the next task gets the permit.
        drop(permit);
        answer
    })
}

/// Begins to read the answer to the next request of a peer that downloads, unless the store is being read for another
/// peer or too many answers wait for their requests.
fn read_ahead(shared: &Arc<Shared>, after: BlockHash) -> Option<ReadAhead> {
    let ahead_permit = Arc::clone(&shared.ahead).try_acquire_owned().ok()?;
    let permit = Arc::clone(&shared.reading).try_acquire_owned().ok()?;
    let locator = vec![after];
    let request = GetHeaders { version: PROTOCOL_VERSION, locator, stop: BlockHash::ZERO };
    Some(ReadAhead::new(after, start_reading(shared, permit, request), ahead_permit))
}
