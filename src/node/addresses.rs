//! Finds addresses of peers: in the address manager, through DNS, and among the fixed seeds, which ship with the
//! program.

use super::peer_options::{AddressSource, FoundAddress, PeerOptions};
use crate::chain::Params;
use crate::chainstate::unix_now_secs;
use crate::net::addrman::{self, AddrMan, AdvertisedAddress, NetGroup, PeerAddress, Scope};
use crate::net::pool::Search;
use crate::primitives::Network;
use crate::wire::ServiceFlags;
use rand::RngExt;
use std::collections::BTreeSet;
use std::path::Path;

/// A fixed seed counts as last seen a random number of seconds ago, in this range (end exclusive). Source: Bitcoin Core
/// `ConvertSeeds`.
const FIXED_SEED_AGE: (u64, u64) = (7 * 24 * 3600, 14 * 24 * 3600);
/// An address from DNS counts as last seen a random number of seconds ago, in this range (end exclusive). Source:
/// Bitcoin Core `ThreadDNSAddressSeed`.
const DNS_AGE: (u64, u64) = (3 * 24 * 3600, 7 * 24 * 3600);

/// Returns which addresses a network's peers can have: on regtest, local ones too.
pub(crate) fn scope_of(network: Network) -> Scope {
    if network == Network::Regtest { Scope::Local } else { Scope::Public }
}

/// Opens the address manager of `folder`, or returns an empty one if `folder` is `None`. This process has to hold the
/// folder's lock. The call blocks on the file system.
pub(super) fn open_addrman(params: &Params, folder: Option<&Path>) -> AddrMan {
    let (scope, key) = (scope_of(params.network), rand::random());
    match folder {
        Some(folder) => addrman::load_or_new(folder, params.magic, scope, key),
        None => AddrMan::new(key, scope),
    }
}

/// Looks for addresses outside the address manager. Returns them in random order, each with the network group of its
/// source. The address manager limits the places of each group, so one DNS seed cannot displace another's addresses.
pub(super) async fn search(
    options: &PeerOptions,
    search: Search,
) -> Vec<(AdvertisedAddress, NetGroup)> {
    let (found, age) = match search {
        Search::Dns => (options.ask_seeds().await, DNS_AGE),
        Search::FixedSeeds => (options.fixed_seeds(), FIXED_SEED_AGE),
    };
    let (now, mut rng) = (unix_now_secs(), rand::rng());
    let mut claim = |found: FoundAddress| {
        let source = match &found.source {
            AddressSource::Dns(seed) => NetGroup::of_name(seed),
            AddressSource::User | AddressSource::AddrMan | AddressSource::FixedSeed => {
                NetGroup::FIXED_SEEDS
            }
        };
        let address = found.address.parse().ok()?;
        let services = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
        let time = now.saturating_sub(rng.random_range(age.0..age.1));
        Some((AdvertisedAddress { address, services, time }, source))
    };
    found.into_iter().filter_map(&mut claim).collect()
}

/// Returns the names of the DNS seeds (`host:port`), which a proxy can resolve.
pub(super) fn seed_names(params: &Params) -> Vec<String> {
    params.dns_seeds.iter().map(|name| format!("{name}:{}", params.port)).collect()
}

/// Returns up to `count` addresses of the address manager in `folder`, and then the addresses that
/// [`PeerOptions::find`] finds. No address is returned twice.
///
/// The address manager's file is only read, since another process may use it. If it cannot be read, it counts as empty.
///
/// # Security
/// With a proxy nothing is resolved here: the seeds' names are among the addresses, and the proxy resolves them. Onion and
/// I2P addresses are returned only with a proxy.
pub(crate) async fn find_all(
    options: &PeerOptions,
    folder: &Path,
    count: usize,
) -> Vec<FoundAddress> {
    let known = from_addrman(options, folder, count);
    let mut seen: BTreeSet<String> = known.iter().cloned().collect();
    let known =
        known.into_iter().map(|address| FoundAddress { address, source: AddressSource::AddrMan });
    let others = options.find().await.into_iter();
    known.chain(others.filter(|found| seen.insert(found.address.clone()))).collect()
}

/// Returns up to `count` addresses that [`AddrMan::select`] draws from the address manager in `folder`, in the order of
/// the draws. No address is returned twice.
fn from_addrman(options: &PeerOptions, folder: &Path, count: usize) -> Vec<String> {
    let params = options.params;
    let addrman = addrman::load(folder, params.magic, scope_of(params.network)).ok().flatten();
    let Some(addrman) = addrman else { return Vec::new() };
    let through_proxy = options.proxy.is_some();
    let (now, mut rng) = (unix_now_secs(), rand::rng());
    let mut chosen: BTreeSet<PeerAddress> = BTreeSet::new();
    let mut found = Vec::new();
    while found.len() < count {
        let next = addrman.select(now, &mut rng, &mut |known| {
            let reachable = through_proxy || !known.address.network().needs_proxy();
            reachable && !chosen.contains(&known.address)
        });
        let Some(address) = next else { break };
        chosen.insert(address);
        found.push(address.to_string());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{NetGroup, find_all, open_addrman, scope_of, seed_names};
    use crate::chain::params;
    use crate::chainstate::unix_now_secs;
    use crate::net::Proxy;
    use crate::net::addrman::{AdvertisedAddress, Scope, save};
    use crate::node::peer_options::PeerOptions;
    use crate::primitives::Network;
    use crate::wire::ServiceFlags;
    use std::path::Path;

    async fn addresses(options: &PeerOptions, folder: &Path, count: usize) -> Vec<String> {
        find_all(options, folder, count).await.into_iter().map(|found| found.address).collect()
    }

    #[tokio::test]
    async fn the_addrman_comes_first_and_the_fixed_seeds_follow() {
        let params = params(Network::Mainnet);
        let folder = tempfile::tempdir().unwrap();
        let mut addrman = open_addrman(params, None);
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:8333";
        let claims = ["8.8.8.8:8333", onion].map(|text| AdvertisedAddress {
            address: text.parse().unwrap(),
            services: ServiceFlags::NETWORK,
            time: unix_now_secs(),
        });
        addrman.add(&claims, NetGroup::DNS, unix_now_secs());
        save(folder.path(), &addrman.encode(params.magic)).unwrap();
        let direct = PeerOptions { dns: false, ..PeerOptions::new(params) };
        let found = addresses(&direct, folder.path(), 20).await;
        assert!(found.len() > 20 && found[0] == "8.8.8.8:8333", "{found:?}");
        assert!(!found.contains(&onion.to_owned()));
        let proxy = Some(Proxy::at("127.0.0.1:9050"));
        let found = addresses(&PeerOptions { proxy, ..direct }, folder.path(), 2).await;
        assert!(found[..2].contains(&onion.to_owned()), "the proxy can reach an onion address");
    }

    #[tokio::test]
    async fn with_a_proxy_the_seeds_are_names_and_regtest_has_no_addresses() {
        let signet = params(Network::Signet);
        let nowhere = tempfile::tempdir().unwrap();
        let proxy = Some(Proxy::at("127.0.0.1:9050"));
        let options = PeerOptions { proxy, ..PeerOptions::new(signet) };
        let found = addresses(&options, nowhere.path(), 5).await;
        assert_eq!(found[..2], seed_names(signet)[..2]);
        let regtest = params(Network::Regtest);
        let options = PeerOptions::new(regtest);
        assert_eq!(addresses(&options, nowhere.path(), 5).await, [""; 0]);
        assert_eq!(scope_of(Network::Regtest), Scope::Local);
    }
}
