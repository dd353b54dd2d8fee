//! Collects the options of a client, and builds it.

use super::{Client, ClientError};
use crate::chain::{Hints, Params, params};
use crate::chainstate::Clock;
use crate::config::{HostPort, default_data_dir};
use crate::node::{PeerOptions, Proxy, SyncOptions, shipped};
use crate::primitives::{Network, Work};
use crate::store::SledStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Collects the options of a [`Client`], and builds it.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
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

impl Client {
    /// Returns a builder for a client of a network, with the default options.
    pub fn builder(network: Network) -> ClientBuilder {
        ClientBuilder {
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
}

impl ClientBuilder {
    /// Sets the folder of stored data, which has a subfolder for each network. The default is the platform's folder for
    /// application data, which the program `lightclient` uses too.
    pub fn data_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.data_dir = Some(folder.as_ref().to_owned());
        self
    }

    /// Selects the signet with this challenge script in place of the builder's network. A custom signet has a folder of
    /// its own, and the crate ships no peers, no hints and no minimum chain work for it.
    pub fn signet_challenge(mut self, script: &[u8]) -> Self {
        // The parameters are leaked because a program uses few signets and needs their parameters until it ends.
        self.params = Box::leak(Box::new(Params::signet(script)));
        self
    }

    /// Connects to this peer (`host` or `host:port`), and only to peers that are named with this method.
    pub fn connect(mut self, peer: impl Into<String>) -> Self {
        self.connect.push(peer.into());
        self
    }

    /// Sets the number of peers to connect to at once. The default is 8, and 0 counts as 1.
    pub fn peers(mut self, count: usize) -> Self {
        self.peers = Some(count.max(1));
        self
    }

    /// Sets whether to ask DNS seeds for peers. The default is true.
    pub fn dns(mut self, allowed: bool) -> Self {
        self.dns = allowed;
        self
    }

    /// Sets a SOCKS5 proxy for every connection: `127.0.0.1:9050`, `socks5://user:password@host:port` or `unix:PATH`.
    /// The proxy resolves names too.
    pub fn proxy(mut self, proxy: impl Into<String>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Sets the hints, which are hashes of blocks of the expected chain. They speed up the download, and never make a
    /// header valid. The default is the hints that ship with the crate. [`Hints::default`] has none.
    pub fn hints(mut self, hints: Hints) -> Self {
        self.hints = Some(hints);
        self
    }

    /// Sets the minimum chain work. The client never reports a chain with less work as caught up. The default is the
    /// network's minimum chain work.
    pub fn min_chain_work(mut self, work: Work) -> Self {
        self.min_chain_work = Some(work);
        self
    }

    /// Opens or creates the store, and returns the client. The client connects to no peer before [`Client::start`] or a
    /// request such as [`Client::block`].
    ///
    /// # Errors
    /// No data folder is known; the folder is in use by another process, damaged or unusable; an address or the hints
    /// are not valid; or the system does not start a thread.
    pub fn build(self) -> Result<Client, ClientError> {
        let folder = self.folder()?;
        let options = self.options(&folder)?;
        let store = Arc::new(SledStore::open_with_retry(&folder, self.params)?);
        Client::open(options, store, folder, "a program that uses lightclient")
    }

    fn folder(&self) -> Result<PathBuf, ClientError> {
        let data_dir = self.data_dir.clone().or_else(default_data_dir);
        Ok(data_dir.ok_or(ClientError::NoDataFolder)?.join(self.params.folder_name()))
    }

    fn options(&self, folder: &Path) -> Result<SyncOptions, ClientError> {
        let params = self.params;
        let defaults = PeerOptions::new(params);
        let address = |text: &String| -> Result<String, ClientError> {
            let endpoint = text.parse::<HostPort>().map_err(|error| invalid(text, &error))?;
            Ok(endpoint.with_default_port(params.port))
        };
        let proxy = self
            .proxy
            .as_ref()
            .map(|text| text.parse::<Proxy>().map_err(|error| invalid(text, &error)));
        Ok(SyncOptions {
            peers: PeerOptions {
                connect: self.connect.iter().map(address).collect::<Result<_, ClientError>>()?,
                wanted: self.peers.unwrap_or(defaults.wanted),
                dns: self.dns,
                proxy: proxy.transpose()?,
                ..defaults
            },
            addrman_folder: Some(folder.to_owned()),
            follow: true,
            never_give_up: false,
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
