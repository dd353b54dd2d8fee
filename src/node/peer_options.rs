//! Which peers to connect to, where their addresses come from, and how they are reached.

use super::shipped;
use crate::chain::{Params, params};
use crate::net::{
    Config, Dialer, OwnNonces, Proxy, Resolver, SEED_DEADLINE, SeedAnswer, SeedQueries, Timers,
    interleave,
};
use crate::primitives::Network;
use crate::wire::{MAX_PAYLOAD, ServiceFlags};
use rand::seq::SliceRandom;
use std::net::SocketAddr;
use tracing::warn;

/// The default number of peers to keep connected. Source: Bitcoin Core
/// `MAX_OUTBOUND_FULL_RELAY_CONNECTIONS`.
const WANTED_PEERS: usize = 8;

/// The name and version of this software, in the format of BIP14.
pub(crate) const USER_AGENT: &str = concat!("/lightclient:", env!("CARGO_PKG_VERSION"), "/");

/// If DNS gives fewer addresses than this, the fixed seeds are used as well.
const ENOUGH_ADDRESSES: usize = 16;

/// Returns the services that DNS seeds are asked to filter by, with the subdomain `x9`.
fn wanted_services() -> ServiceFlags {
    ServiceFlags::NETWORK | ServiceFlags::WITNESS
}

/// Where an address came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AddressSource {
    /// The user named the address.
    User,
    /// The DNS seed of this name returned the address.
    Dns(String),
    /// The address was in the address manager, which remembers addresses of earlier runs.
    AddrMan,
    /// The address is one of the fixed seeds, which ship with the program.
    FixedSeed,
}

/// An address, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundAddress {
    /// `host:port`. The host may be a name: one that the user gave or, with a proxy, the name of a DNS seed.
    pub address: String,
    /// Where the address came from.
    pub source: AddressSource,
}

/// Which peers to connect to, where their addresses come from, and how they are reached.
#[derive(Clone, Debug)]
pub(crate) struct PeerOptions {
    /// The network.
    pub params: &'static Params,
    /// The only peers to connect to (`host:port`). If this is empty, peers are found automatically.
    pub connect: Vec<String>,
    /// Peers to connect to (`host:port`) in addition to those that are found.
    pub add_peers: Vec<String>,
    /// How many peers to keep connected, if `connect` is empty.
    pub wanted: usize,
    /// Whether DNS seeds may be asked.
    pub dns: bool,
    /// The resolver of names, if there is no proxy.
    pub resolver: Resolver,
    /// A SOCKS5 proxy for every connection; it also resolves the names.
    pub proxy: Option<Proxy>,
    /// The `version` nonces of all inbound and outbound connections, by which this process recognises a connection to
    /// itself.
    pub own_nonces: OwnNonces,
}

impl PeerOptions {
    /// Returns the default options: eight peers of this network, found automatically and dialled directly.
    pub(crate) fn new(params: &'static Params) -> Self {
        Self {
            params,
            connect: Vec::new(),
            add_peers: Vec::new(),
            wanted: WANTED_PEERS,
            dns: true,
            resolver: Resolver::System,
            proxy: None,
            own_nonces: OwnNonces::new(),
        }
    }

    /// Returns a dialer with the proxy and the resolver of these options.
    pub(crate) fn dialer(&self) -> Dialer {
        Dialer { proxy: self.proxy.clone(), resolver: self.resolver }
    }

    /// Returns addresses from the DNS seeds and, if those are too few, the fixed seeds. No address is returned twice.
    ///
    /// # Security
    /// With a proxy, no name is resolved here. The names of the DNS seeds are returned, and the proxy resolves them.
    pub(crate) async fn find(&self) -> Vec<FoundAddress> {
        let mut found = if !self.asks_dns() {
            Vec::new()
        } else if self.proxy.is_some() {
            self.seeds_by_name()
        } else {
            self.ask_seeds().await
        };
        if found.len() < ENOUGH_ADDRESSES {
            let mut fixed = self.fixed_seeds();
            fixed.retain(|fixed| found.iter().all(|known| known.address != fixed.address));
            found.extend(fixed);
        }
        found
    }

    /// Returns whether DNS seeds are to be asked. The name of regtest's seed (`dummySeed.invalid.`) does not exist in
    /// the public DNS, so only a DNS server that the user named is asked for it.
    pub(super) fn asks_dns(&self) -> bool {
        self.dns
            && !self.params.dns_seeds.is_empty()
            && (self.params.network != Network::Regtest || self.resolver != Resolver::System)
    }

    fn seeds_by_name(&self) -> Vec<FoundAddress> {
        let seeds = self.params.dns_seeds.iter().map(|seed| FoundAddress {
            address: format!("{seed}:{}", self.params.port),
            source: AddressSource::Dns((*seed).to_owned()),
        });
        seeds.collect()
    }

    /// Returns the first error of the user's DNS server, if no seed gave an address.
    fn server_fault<'a>(&self, answers: &'a [SeedAnswer]) -> Option<&'a str> {
        let all_failed = answers.iter().all(|answer| answer.addresses.is_empty());
        let errors = answers.iter().filter_map(|answer| answer.error.as_deref());
        let mut servers = errors.filter(|error| error.starts_with("DNS server "));
        servers.next().filter(|_| all_failed && self.resolver != Resolver::System)
    }

    /// Returns the fixed seeds, in random order.
    pub(super) fn fixed_seeds(&self) -> Vec<FoundAddress> {
        let mut fixed = shipped::fixed_seeds(self.params);
        fixed.shuffle(&mut rand::rng());
        fixed
            .into_iter()
            .map(|address| FoundAddress { address, source: AddressSource::FixedSeed })
            .collect()
    }

    /// Asks the DNS seeds. Returns their addresses in random order.
    pub(super) async fn ask_seeds(&self) -> Vec<FoundAddress> {
        let (seeds, wanted) = (self.params.dns_seeds, wanted_services());
        let answers = SeedQueries::start(self.resolver, seeds, wanted, SEED_DEADLINE).all().await;
        if let Some(error) = self.server_fault(&answers) {
            warn!("{error}");
        }
        let named =
            interleave(&answers, &mut rand::rng()).into_iter().map(|(ip, seed)| FoundAddress {
                address: SocketAddr::new(ip, self.params.port).to_string(),
                source: AddressSource::Dns(answers[seed].seed.clone()),
            });
        named.collect()
    }
}

/// Returns the configuration of connections to peers: the content of our `version`, the limits for messages, and the
/// deadlines.
pub(super) fn net_config(own: &Params, start_height: u32, timers: Timers) -> Config {
    Config {
        magic: own.magic,
        services: ServiceFlags::NONE,
        user_agent: USER_AGENT.to_owned(),
        start_height: i32::try_from(start_height).unwrap_or(i32::MAX),
        relay: false,
        max_payload: MAX_PAYLOAD,
        timers,
        own_nonces: OwnNonces::new(),
        known_magics: Network::ALL.map(|network| (params(network).magic, network.name())).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressSource, PeerOptions, Proxy};
    use crate::chain::params;
    use crate::net::Resolver;
    use crate::primitives::Network;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    /// The address of a DNS server that does not answer: these tests must not need one.
    const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 254, 254, 254)), 1);

    fn options(network: Network) -> PeerOptions {
        let resolver = Resolver::Server(NOBODY);
        PeerOptions { resolver, ..PeerOptions::new(params(network)) }
    }

    #[tokio::test]
    async fn with_a_proxy_the_seeds_are_names() {
        let proxy = Some(Proxy::at("127.0.0.1:9050"));
        let found = PeerOptions { proxy, ..options(Network::Signet) }.find().await;
        assert_eq!(found[0].address, "seed.signet.bitcoin.sprovoost.nl:38333");
        assert_eq!(found[1].source, AddressSource::Dns("seed.signet.achownodes.xyz".to_owned()));
        assert!(found[2..].iter().all(|found| found.source == AddressSource::FixedSeed));
        assert!(found.len() > 2);
    }

    #[tokio::test]
    async fn without_dns_the_fixed_seeds_are_used_and_regtest_has_none() {
        let found = PeerOptions { dns: false, ..options(Network::Mainnet) }.find().await;
        assert!(
            found.len() > 16 && found.iter().all(|found| found.source == AddressSource::FixedSeed)
        );
        assert!(PeerOptions { dns: false, ..options(Network::Regtest) }.find().await.is_empty());
        let by_system = PeerOptions { resolver: Resolver::System, ..options(Network::Regtest) };
        assert!(!by_system.asks_dns());
        assert!(options(Network::Regtest).asks_dns());
    }
}
