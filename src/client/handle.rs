//! The client itself: what a program calls.

use super::events::{Events, Subscribers};
use super::sync::{ClientSync, Runner, SyncParts};
use super::{Answer, ClientError};
use crate::chain::ChainTip;
#[cfg(feature = "cli")]
use crate::chain::Params;
#[cfg(feature = "cli")]
use crate::node::Proxy;
#[cfg(feature = "cli")]
use crate::node::Traffic;
use crate::node::{
    Broadcast, FetchOptions, FetchTraffic, InboundPeers, ListenError, ListenOptions, Live,
    PeerControl, PeerListener, PeerServer, SyncOptions, SyncOutcome, TxAnswer, WantedBlock,
    broadcast, fetch_block, fetch_tx,
};
use crate::primitives::Txid;
use crate::query::{ChainReader, HeaderAt, Headers, StoredHeader};
use crate::spv::CheckedBlock;
use crate::store::{HeaderStore, SledStore};
use crate::wire::{ServiceFlags, Transaction};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "cli")]
use std::time::Duration;
use tokio::sync::watch;

/// A light client on one data folder.
///
/// This process uses the folder until the client is dropped or [shut down](Client::shutdown). Other processes can read
/// it meanwhile with a [`ChainReader`].
///
/// # Examples
/// ```no_run
/// use lightclient::{Client, Event, Network};
///
/// let client = Client::builder(Network::Mainnet).data_dir("headers").build()?;
/// let mut events = client.events();
/// client.start()?;
/// while let Some(event) = events.wait() {
///     if let Event::CaughtUp { height, hash, .. } = event {
///         println!("{hash} at height {height}");
///         break;
///     }
/// }
/// client.shutdown().wait()?;
/// # Ok::<(), lightclient::ClientError>(())
/// ```
#[derive(Debug)]
pub struct Client {
    store: Arc<SledStore>,
    folder: PathBuf,
    options: SyncOptions,
    live: watch::Receiver<Live>,
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only `serve` uses it"))]
    peer_control: PeerControl,
    subscribers: Subscribers,
    task: ClientSync,
    runner: Runner,
    /// The peers that connected to us.
    inbound: InboundPeers,
    fetch_traffic: FetchTraffic,
}

impl Client {
    /// Makes a client on an open store. `command` is the name of the running command, for processes that query this
    /// one.
    pub(crate) fn open(
        options: SyncOptions,
        store: Arc<SledStore>,
        folder: PathBuf,
        command: &'static str,
    ) -> Result<Self, ClientError> {
        let runner = Runner::start()?;
        let (live, watched) = watch::channel(Live::default());
        let subscribers = Subscribers::new();
        let (peer_control, requests) = PeerControl::new();
        let task = ClientSync::new(SyncParts {
            options: options.clone(),
            store: Arc::clone(&store),
            folder: folder.clone(),
            command,
            live,
            requests,
            subscribers: subscribers.clone(),
        });
        let inbound = InboundPeers::default();
        Ok(Self {
            store,
            folder,
            options,
            live: watched,
            peer_control,
            subscribers,
            task,
            runner,
            inbound,
            fetch_traffic: FetchTraffic::default(),
        })
    }

    /// Starts the sync, which brings the stored chain up to the network's tip, and then follows new blocks.
    ///
    /// # Errors
    /// The client has been started already, or the system does not start a thread.
    pub fn start(&self) -> Result<(), ClientError> {
        self.task.start(&self.runner)
    }

    /// Returns the events from now on. Each call returns an independent stream.
    pub fn events(&self) -> Events {
        Events::new(&self.subscribers, self.live.clone())
    }

    /// Returns the tip of the stored chain.
    pub fn tip(&self) -> ChainTip {
        self.store.tip()
    }

    /// Returns the number of connected peers.
    pub fn peer_count(&self) -> usize {
        self.live.borrow().peers
    }

    /// Returns a stored header by height or hash, or `None` if the best chain does not have it.
    ///
    /// # Errors
    /// Stored data is damaged, or reading failed.
    pub fn header(&self, at: impl Into<HeaderAt>) -> Result<Option<StoredHeader>, ClientError> {
        Ok(self.reader().header(at)?)
    }

    /// Returns the stored headers at these heights, up to the tip. The iterator reads the headers in steps.
    pub fn headers(&self, heights: RangeInclusive<u32>) -> Headers {
        self.reader().headers(heights)
    }

    /// Downloads a block of the stored best chain, and checks its hash, merkle root and witness commitment.
    pub fn block(&self, at: impl Into<HeaderAt>) -> Answer<CheckedBlock> {
        let (wanted, options) = (self.wanted(at.into()), self.fetch_options());
        self.ask_peers(async move { Ok(fetch_block(options, wanted?).await?.checked) })
    }

    /// Asks peers for a transaction that is unconfirmed or in the newest block. The answer is `None` if no peer
    /// that answers has the transaction.
    ///
    /// Only the txid is checked, and not the witnesses. If the block of the transaction is known, [`Client::block`]
    /// gives better assurance.
    pub fn transaction(&self, txid: Txid) -> Answer<Option<Transaction>> {
        let options = self.fetch_options();
        self.ask_peers(async move {
            match fetch_tx(options, txid).await? {
                TxAnswer::Found { transaction, .. } => Ok(Some(transaction)),
                TxAnswer::NotFound { .. } => Ok(None),
                TxAnswer::Silence { silent } => Err(ClientError::NoAnswer { peers: silent }),
            }
        })
    }

    /// Announces a transaction to peers, and sends it to those that request it.
    ///
    /// The answer comes when two peers have fetched the transaction, or when one has and no other peer is expected to,
    /// but at the latest 10 seconds after the first request, or 30 seconds after the start. It is no error if no peer
    /// requests the transaction: peers only request what they do not have, and do not say whether they accept a
    /// transaction.
    ///
    /// # Errors
    /// The answer is an error if the transaction breaks a rule that can be checked without coins, if no peer could be
    /// used, or if the client was shut down first.
    pub fn broadcast(&self, transaction: Transaction) -> Answer<Broadcast> {
        let options = self.fetch_options();
        self.ask_peers(async move {
            transaction.view().check()?;
            Ok(broadcast(options, transaction).await?)
        })
    }

    /// Works as [`Client::broadcast`], for at most `timeout` instead of 30 seconds. The caller has checked the
    /// transaction.
    #[cfg(feature = "cli")]
    pub(crate) fn broadcast_within(
        &self,
        transaction: Transaction,
        timeout: Duration,
    ) -> Answer<Broadcast> {
        let options = FetchOptions { timeout: Some(timeout), ..self.fetch_options() };
        self.ask_peers(async move { Ok(broadcast(options, transaction).await?) })
    }

    /// Returns the bytes that the ended requests to peers, such as downloads and broadcasts, have sent and received.
    #[cfg(feature = "cli")]
    pub(crate) fn fetch_traffic(&self) -> Traffic {
        self.fetch_traffic.total()
    }

    /// Downloads a block whose header is stored, on the best chain or on a side branch, within `deadline`. Each peer
    /// gets the time `delivery` to send the block.
    #[cfg(feature = "cli")]
    pub(crate) fn download(
        &self,
        wanted: WantedBlock,
        delivery: Duration,
        deadline: Duration,
    ) -> Answer<CheckedBlock> {
        let (timeout, deadline) = (Some(delivery), Some(deadline));
        let options = FetchOptions { timeout, deadline, ..self.fetch_options() };
        self.ask_peers(async move { Ok(fetch_block(options, wanted).await?.checked) })
    }

    /// Ends the sync and closes the store. Headers that were verified until then are stored.
    ///
    /// The answer is what the sync did, or `None` if the sync was never started.
    pub fn shutdown(self) -> Answer<Option<SyncOutcome>> {
        let Self { store, task, runner, subscribers, .. } = self;
        drop(subscribers);
        task.stop();
        runner.finish(async move {
            let outcome = task.outcome().await;
            // Dropping the last owner closes the database, which takes time.
            drop(store);
            outcome
        })
    }

    /// Runs the sync on this thread until it ends, together with a future that ends when [`Client::live`] closes.
    #[cfg(feature = "cli")]
    pub(crate) fn run(
        &self,
        companion: impl Future<Output = ()>,
    ) -> Result<SyncOutcome, ClientError> {
        self.task.run(&self.runner, companion)
    }

    /// Returns the progress of the sync. The channel closes when the sync ends.
    #[cfg(feature = "cli")]
    pub(crate) fn live(&self) -> watch::Receiver<Live> {
        self.live.clone()
    }

    /// Returns the sender of a value that ends the sync when it becomes true.
    #[cfg(feature = "cli")]
    pub(crate) fn stop_sender(&self) -> watch::Sender<bool> {
        self.task.stop_sender()
    }

    /// Returns the sender of requests about the running sync's peers, such as to disconnect one.
    #[cfg(feature = "cli")]
    pub(crate) fn peer_control(&self) -> &PeerControl {
        &self.peer_control
    }

    /// Returns the proxy for connections to peers.
    #[cfg(feature = "cli")]
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.options.peers.proxy.as_ref()
    }

    /// Returns the network's parameters.
    #[cfg(feature = "cli")]
    pub(crate) fn params(&self) -> &'static Params {
        self.store.params()
    }

    /// Returns a reader of the stored chain.
    pub(crate) fn reader(&self) -> ChainReader {
        ChainReader::of_store(&self.folder, Arc::clone(&self.store))
    }

    /// Starts to serve the stored headers to peers that connect to `address`, until [`PeerServer::end`]. The server
    /// announces `services` to these peers.
    ///
    /// # Errors
    /// The server cannot listen on the address, or the system does not start a thread.
    pub(crate) fn listen(
        &self,
        address: SocketAddr,
        services: ServiceFlags,
    ) -> Result<PeerServer, ListenError> {
        let options = ListenOptions {
            services,
            min_chain_work: self.options.min_chain_work.clone(),
            addrman_folder: Some(self.folder.clone()),
            own_nonces: self.options.peers.own_nonces.clone(),
            ..ListenOptions::new(self.store.params(), address)
        };
        let listener = PeerListener::bind(options, self.inbound.clone())?;
        PeerServer::start(listener, Arc::clone(&self.store), self.live.clone())
    }

    /// Returns the peers that connected to us.
    pub(crate) fn inbound_peers(&self) -> &InboundPeers {
        &self.inbound
    }

    fn wanted(&self, at: HeaderAt) -> Result<WantedBlock, ClientError> {
        let header = self.header(at)?.ok_or(ClientError::NotStored { at })?;
        Ok(WantedBlock { hash: header.hash, height: header.height })
    }

    /// Starts work that connects to peers. The work ends with an error if the network is off or is switched off.
    fn ask_peers<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) -> Answer<T> {
        let mut live = self.live.clone();
        self.runner.run(async move {
            tokio::select! {
                biased;
                Ok(_) = live.wait_for(|live| live.network_off) => Err(ClientError::NetworkOff),
                answer = work => answer,
            }
        })
    }

    fn fetch_options(&self) -> FetchOptions {
        FetchOptions {
            peers: self.options.peers.clone(),
            folder: self.folder.clone(),
            height: self.store.tip().height,
            timeout: None,
            deadline: None,
            traffic: self.fetch_traffic.clone(),
        }
    }
}
