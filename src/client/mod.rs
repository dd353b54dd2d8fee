//! A running light client: it keeps the stored chain at the network's tip, and answers from it.
//!
//! [`Client`] hides the store, the threads and the runtime. Its own runtime runs on a thread of its own, so it works in
//! a program that has a runtime, whichever that is, and in one that has none: what takes time is an [`Answer`], which
//! is awaited or waited for.

mod answer;
mod builder;
mod error;
mod events;
mod sync;

pub use crate::node::Event;
pub use answer::Answer;
pub use builder::ClientBuilder;
pub use error::ClientError;
pub use events::Events;

use crate::chain::ChainTip;
use crate::node::{
    FetchOptions, Live, SyncOptions, SyncOutcome, TxAnswer, WantedBlock, fetch_block, fetch_tx,
};
use crate::primitives::{Network, Txid};
use crate::query::{ChainReader, HeaderAt, Headers, StoredHeader};
use crate::spv::CheckedBlock;
use crate::store::{HeaderStore, SledStore};
use crate::wire::Transaction;
use events::Subscribers;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use sync::{Runner, SyncTask};
use tokio::sync::watch;

/// A light client on one data folder.
///
/// The folder is in use by this process until the client is dropped or [shut down](Client::shutdown). Other processes
/// can read it meanwhile with a [`ChainReader`].
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
    subscribers: Subscribers,
    task: SyncTask,
    runner: Runner,
}

impl Client {
    /// Begins to describe a client of a network.
    pub fn builder(network: Network) -> ClientBuilder {
        ClientBuilder::new(network)
    }

    /// Begins to bring the stored chain up to the network's tip, and follows new blocks from there on.
    ///
    /// # Errors
    /// It was started before.
    pub fn start(&self) -> Result<(), ClientError> {
        self.task.start(&self.runner)
    }

    /// What happens from now on. Each call gives a stream of its own.
    pub fn events(&self) -> Events {
        Events::new(&self.subscribers, self.live.clone())
    }

    /// The end of the stored chain.
    pub fn tip(&self) -> ChainTip {
        self.store.tip()
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        self.live.borrow().peers
    }

    /// A stored header, by height or hash; `None` where the best chain has none.
    ///
    /// # Errors
    /// Stored data is damaged, or reading failed.
    pub fn header(&self, at: impl Into<HeaderAt>) -> Result<Option<StoredHeader>, ClientError> {
        Ok(self.reader().header(at)?)
    }

    /// The stored headers at these heights, up to the tip, read step by step.
    pub fn headers(&self, heights: RangeInclusive<u32>) -> Headers {
        self.reader().headers(heights)
    }

    /// Downloads a block whose header is stored, and holds it to that: hash, merkle root and witness commitment.
    pub fn block(&self, at: impl Into<HeaderAt>) -> Answer<CheckedBlock> {
        let (wanted, options) = (self.wanted(at.into()), self.fetch_options());
        self.runner.run(async move { Ok(fetch_block(options, wanted?).await?.checked) })
    }

    /// Asks peers for a transaction that is not in a block yet, or in the newest one; `None` if they do not have it.
    ///
    /// Only its txid is checked: witnesses are the peer's word. One that is in a known block is better taken from
    /// there ([`Client::block`]).
    pub fn transaction(&self, txid: Txid) -> Answer<Option<Transaction>> {
        let options = self.fetch_options();
        self.runner.run(async move {
            match fetch_tx(options, txid).await? {
                TxAnswer::Found { transaction, .. } => Ok(Some(transaction)),
                TxAnswer::NotFound { .. } => Ok(None),
                TxAnswer::Silence { silent } => Err(ClientError::NoAnswer { peers: silent }),
            }
        })
    }

    /// Ends the sync and closes the store; what was verified until then is stored.
    ///
    /// The answer is what the sync did, `None` if it was never started.
    pub fn shutdown(self) -> Answer<Option<SyncOutcome>> {
        let Self { store, task, runner, subscribers, .. } = self;
        drop(subscribers);
        task.stop();
        runner.finish(async move {
            let outcome = task.outcome().await;
            // The last owner closes the database, which takes its time.
            drop(store);
            outcome
        })
    }

    /// As [`Client::start`], but on this thread and to the end, with something beside it that ends with [`Client::live`].
    #[cfg(feature = "cli")]
    pub(crate) fn run(&self, beside: impl Future<Output = ()>) -> Result<SyncOutcome, ClientError> {
        self.task.run(&self.runner, beside)
    }

    /// Where the sync stands; closed once it is over.
    #[cfg(feature = "cli")]
    pub(crate) fn live(&self) -> watch::Receiver<Live> {
        self.live.clone()
    }

    /// Set to true, it ends the sync.
    #[cfg(feature = "cli")]
    pub(crate) fn stopper(&self) -> watch::Sender<bool> {
        self.task.stopper()
    }

    fn reader(&self) -> ChainReader {
        ChainReader::of_store(&self.folder, Arc::clone(&self.store))
    }

    fn wanted(&self, at: HeaderAt) -> Result<WantedBlock, ClientError> {
        let header = self.header(at)?.ok_or(ClientError::NotStored { at })?;
        Ok(WantedBlock { hash: header.hash, height: header.height })
    }

    fn fetch_options(&self) -> FetchOptions {
        FetchOptions {
            peers: self.options.peers.clone(),
            folder: self.folder.clone(),
            height: self.store.tip().height,
            timeout: None,
        }
    }
}
