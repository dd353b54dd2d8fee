//! What a client is to do.

use super::events::Subscribers;
use super::sync::{Parts, Runner, SyncTask};
use super::{Client, ClientError};
use crate::chain::{Hints, Params, params};
use crate::chainstate::Clock;
use crate::config::{Endpoint, default_data_dir};
use crate::node::{Live, PeerOptions, Proxy, SyncOptions, shipped};
use crate::primitives::{Network, Work};
use crate::query::open_store;
use crate::store::SledStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Describes a [`Client`].
#[derive(Clone, Debug)]
#[must_use = "a description does nothing until it is built"]
pub struct ClientBuilder {
    params: &'static Params,
    data_dir: Option<PathBuf>,
    connect: Vec<String>,
    peers: Option<usize>,
    dns: bool,
    proxy: Option<String>,
    hints: Option<Hints>,
    min_chain_work: Option<Work>,
}

impl ClientBuilder {
    pub(super) fn new(network: Network) -> Self {
        Self {
            params: params(network),
            data_dir: None,
            connect: Vec::new(),
            peers: None,
            dns: true,
            proxy: None,
            hints: None,
            min_chain_work: None,
        }
    }

    /// The folder of stored data, with a subfolder for each network. Without it, the platform's folder for applications
    /// is used, as the program `lightclient` does.
    pub fn data_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.data_dir = Some(folder.as_ref().to_owned());
        self
    }

    /// The signet with this challenge script instead of the network that was named, in a folder of its own. Nothing that
    /// ships with the crate knows its peers or its minimum work.
    pub fn signet_challenge(mut self, script: &[u8]) -> Self {
        // A program follows few signets, and what follows one needs its parameters to the end.
        self.params = Box::leak(Box::new(Params::signet(script)));
        self
    }

    /// Connects to this peer (`host` or `host:port`), and to no others than those named so.
    pub fn connect(mut self, peer: impl Into<String>) -> Self {
        self.connect.push(peer.into());
        self
    }

    /// How many peers to be connected to at once; 8 unless something else is said.
    pub fn peers(mut self, count: usize) -> Self {
        self.peers = Some(count.max(1));
        self
    }

    /// Whether DNS seeds may be asked for peers; true unless something else is said.
    pub fn dns(mut self, allowed: bool) -> Self {
        self.dns = allowed;
        self
    }

    /// A SOCKS5 proxy for every connection, as `127.0.0.1:9050`, `socks5://user:password@host:port` or `unix:PATH`.
    /// It resolves names too.
    pub fn proxy(mut self, proxy: impl Into<String>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Hashes of the expected chain, which make the download faster and never a header valid. Without them, those that
    /// ship with the crate are used; [`Hints::default`] is none.
    pub fn hints(mut self, hints: Hints) -> Self {
        self.hints = Some(hints);
        self
    }

    /// A chain with less work is not taken for the network's; the network's minimum unless something else is said.
    pub fn min_chain_work(mut self, work: Work) -> Self {
        self.min_chain_work = Some(work);
        self
    }

    /// Opens the store, which it makes if there is none, and gives the client. Nothing is sent before
    /// [`Client::start`].
    ///
    /// # Errors
    /// The folder is in use by another process, damaged or unusable, or an address cannot be understood.
    pub fn build(self) -> Result<Client, ClientError> {
        let folder = self.folder()?;
        let options = self.options(&folder)?;
        let store = Arc::new(open_store(&folder, self.params.network)?);
        Client::open(options, store, folder, "a program that uses lightclient")
    }

    fn folder(&self) -> Result<PathBuf, ClientError> {
        let data_dir = self.data_dir.clone().or_else(default_data_dir);
        Ok(data_dir.ok_or(ClientError::NoDataFolder)?.join(self.params.folder_name()))
    }

    fn options(&self, folder: &Path) -> Result<SyncOptions, ClientError> {
        let params = self.params;
        let own = PeerOptions::new(params);
        let address = |text: &String| -> Result<String, ClientError> {
            let endpoint = text.parse::<Endpoint>().map_err(|error| invalid(text, &error))?;
            Ok(endpoint.with_default_port(params.port))
        };
        let proxy = self
            .proxy
            .as_ref()
            .map(|text| text.parse::<Proxy>().map_err(|error| invalid(text, &error)));
        Ok(SyncOptions {
            peers: PeerOptions {
                connect: self.connect.iter().map(address).collect::<Result<_, ClientError>>()?,
                wanted: self.peers.unwrap_or(own.wanted),
                dns: self.dns,
                proxy: proxy.transpose()?,
                ..own
            },
            addrman_folder: Some(folder.to_owned()),
            follow: true,
            stop_height: None,
            min_chain_work: self.min_chain_work.clone().unwrap_or_else(|| params.min_chain_work()),
            hints: self.hints.clone().map_or_else(|| shipped::hints(params), Ok)?,
            timeout: None,
            clock: Clock::default(),
        })
    }
}

fn invalid(text: &str, error: &impl ToString) -> ClientError {
    ClientError::InvalidAddress { text: text.to_owned(), reason: error.to_string() }
}

impl Client {
    /// A client on an open store; `command` is what other processes are told that this one does.
    pub(crate) fn open(
        options: SyncOptions,
        store: Arc<SledStore>,
        folder: PathBuf,
        command: &'static str,
    ) -> Result<Self, ClientError> {
        let runner = Runner::start()?;
        let (live, watched) = watch::channel(Live::default());
        let subscribers = Subscribers::new();
        let task = SyncTask::new(Parts {
            options: options.clone(),
            store: Arc::clone(&store),
            folder: folder.clone(),
            command,
            live,
            subscribers: subscribers.clone(),
        });
        Ok(Self { store, folder, options, live: watched, subscribers, task, runner })
    }
}
