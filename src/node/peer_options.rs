//! Which peers to connect to, where their addresses come from, and how they are reached.

use super::shipped;
use crate::chain::{Params, params};
use crate::net::{
    Config, Dialer, OwnNonces, Proxy, Resolver, SEED_DEADLINE, SeedAnswer, SeedQueries, Timers,
    mixed,
};
use crate::primitives::Network;
use crate::wire::{MAX_PAYLOAD, ServiceFlags};
use rand::seq::SliceRandom;
use std::net::SocketAddr;
use tracing::warn;

/// How many peers to be connected to at once, where nobody says otherwise. Source: Bitcoin Core
/// `MAX_OUTBOUND_FULL_RELAY_CONNECTIONS`.
const WANTED_PEERS: usize = 8;

/// With fewer addresses than this from DNS the fixed seeds are used as well.
const ENOUGH_ADDRESSES: usize = 16;

/// What DNS seeds are asked for, by the name of the bits: `x9`.
fn wanted_services() -> ServiceFlags {
    ServiceFlags::NETWORK | ServiceFlags::WITNESS
}

/// Who named an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The user.
    User,
    /// A DNS seed, by its name.
    Dns(String),
    /// The address manager, that is, peers of earlier syncs.
    AddrMan,
    /// The list that ships with the program.
    Fixed,
}

/// An address and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// `host:port`; through a proxy the host may be a seed's name, for the proxy to resolve.
    pub address: String,
    /// Who named it.
    pub source: Source,
}

/// Which peers to connect to, where their addresses come from, and how they are reached.
#[derive(Clone, Debug)]
pub(crate) struct PeerOptions {
    /// The network.
    pub params: &'static Params,
    /// Connect to these peers only (`host:port`); empty for peers that are found.
    pub connect: Vec<String>,
    /// Connect to these peers (`host:port`) beside those that are found.
    pub add_peers: Vec<String>,
    /// How many peers to be connected to at once, where none are named.
    pub wanted: usize,
    /// Whether DNS seeds may be asked.
    pub dns: bool,
    /// What resolves names.
    pub resolver: Resolver,
    /// A SOCKS5 proxy for every connection; it also resolves the names.
    pub proxy: Option<Proxy>,
}

impl PeerOptions {
    /// Returns the options of a program that was told nothing: eight peers of this network that are found
    /// through DNS, and dialled directly.
    pub(crate) fn new(params: &'static Params) -> Self {
        Self {
            params,
            connect: Vec::new(),
            add_peers: Vec::new(),
            wanted: WANTED_PEERS,
            dns: true,
            resolver: Resolver::System,
            proxy: None,
        }
    }

    /// Returns what dials peers as these options say.
    pub(crate) fn dialer(&self) -> Dialer {
        Dialer { proxy: self.proxy.clone(), resolver: self.resolver }
    }

    /// Addresses from the DNS seeds, and from the fixed ones where DNS gives too little; each once.
    ///
    /// # Security
    /// With a proxy nothing is resolved here: the seeds' names go to the proxy as they are, like any address.
    pub(crate) async fn find(&self) -> Vec<Found> {
        let mut found = if !self.asks_dns() {
            Vec::new()
        } else if self.proxy.is_some() {
            self.seeds_by_name()
        } else {
            self.ask_seeds().await
        };
        if found.len() < ENOUGH_ADDRESSES {
            let mut fixed = self.shipped();
            fixed.retain(|fixed| found.iter().all(|known| known.address != fixed.address));
            found.extend(fixed);
        }
        found
    }

    /// Whether there are seeds to ask. The name of regtest's does not exist, so only a server that was set up for it
    /// is asked for that.
    pub(super) fn asks_dns(&self) -> bool {
        self.dns
            && !self.params.dns_seeds.is_empty()
            && (self.params.network != Network::Regtest || self.resolver != Resolver::System)
    }

    fn seeds_by_name(&self) -> Vec<Found> {
        let seeds = self.params.dns_seeds.iter().map(|seed| Found {
            address: format!("{seed}:{}", self.params.port),
            source: Source::Dns((*seed).to_owned()),
        });
        seeds.collect()
    }

    /// What is wrong with the user's DNS server, where not one seed could be asked through it.
    fn blamed_server<'a>(&self, answers: &'a [SeedAnswer]) -> Option<&'a str> {
        let all_failed = answers.iter().all(|answer| answer.addresses.is_empty());
        let errors = answers.iter().filter_map(|answer| answer.error.as_deref());
        let mut servers = errors.filter(|error| error.starts_with("DNS server "));
        servers.next().filter(|_| all_failed && self.resolver != Resolver::System)
    }

    /// The fixed seeds, in random order.
    pub(super) fn shipped(&self) -> Vec<Found> {
        let mut fixed = shipped::fixed_seeds(self.params);
        fixed.shuffle(&mut rand::rng());
        fixed.into_iter().map(|address| Found { address, source: Source::Fixed }).collect()
    }

    /// What the DNS seeds name, in random order.
    pub(super) async fn ask_seeds(&self) -> Vec<Found> {
        let (seeds, wanted) = (self.params.dns_seeds, wanted_services());
        let answers = SeedQueries::start(self.resolver, seeds, wanted, SEED_DEADLINE).all().await;
        if let Some(error) = self.blamed_server(&answers) {
            warn!("{error}");
        }
        let named = mixed(&answers, &mut rand::rng()).into_iter().map(|(ip, seed)| Found {
            address: SocketAddr::new(ip, self.params.port).to_string(),
            source: Source::Dns(answers[seed].seed.clone()),
        });
        named.collect()
    }
}

/// Who we are to peers of a network, with so many headers.
pub(super) fn net_config(own: &Params, start_height: u32, timers: Timers) -> Config {
    Config {
        magic: own.magic,
        services: ServiceFlags::NONE,
        user_agent: concat!("/lightclient:", env!("CARGO_PKG_VERSION"), "/").to_owned(),
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
    use super::{PeerOptions, Proxy, Source};
    use crate::chain::params;
    use crate::net::Resolver;
    use crate::primitives::Network;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    /// Nobody answers there, and a test that waited for somebody would take seconds.
    const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 254, 254, 254)), 1);

    fn options(network: Network) -> PeerOptions {
        let resolver = Resolver::Server(NOBODY);
        PeerOptions { resolver, ..PeerOptions::new(params(network)) }
    }

    #[tokio::test]
    async fn through_a_proxy_the_seeds_are_names() {
        let proxy = Some(Proxy::at("127.0.0.1:9050"));
        let found = PeerOptions { proxy, ..options(Network::Signet) }.find().await;
        assert_eq!(found[0].address, "seed.signet.bitcoin.sprovoost.nl:38333");
        assert_eq!(found[1].source, Source::Dns("seed.signet.achownodes.xyz".to_owned()));
        assert!(found[2..].iter().all(|found| found.source == Source::Fixed));
        assert!(found.len() > 2);
    }

    #[tokio::test]
    async fn without_dns_there_are_the_fixed_seeds_and_regtest_has_none() {
        let found = PeerOptions { dns: false, ..options(Network::Mainnet) }.find().await;
        assert!(found.len() > 16 && found.iter().all(|found| found.source == Source::Fixed));
        assert!(PeerOptions { dns: false, ..options(Network::Regtest) }.find().await.is_empty());
        let by_system = PeerOptions { resolver: Resolver::System, ..options(Network::Regtest) };
        assert!(!by_system.asks_dns());
        assert!(options(Network::Regtest).asks_dns());
    }
}
