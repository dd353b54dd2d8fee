//! Where addresses of peers come from: the address manager, DNS, those that ship with the program.

use super::peer_options::{Found, PeerOptions, Source};
use crate::chain::Params;
use crate::chainstate::unix_now_secs;
use crate::net::addrman::{self, AddrMan, Claim, NetGroup, PeerAddress, Scope};
use crate::net::pool::Search;
use crate::primitives::Network;
use crate::wire::ServiceFlags;
use rand::RngExt;
use std::collections::BTreeSet;
use std::path::Path;

/// Seconds: shipped addresses, and those of DNS, are said to have been seen so long ago, at random between these.
/// Source: Bitcoin Core `ConvertSeeds`, `ThreadDNSAddressSeed`.
const SHIPPED_AGE: (u64, u64) = (7 * 24 * 3600, 14 * 24 * 3600);
const DNS_AGE: (u64, u64) = (3 * 24 * 3600, 7 * 24 * 3600);

/// Which addresses a network's peers can have: regtest lives on one machine.
pub(crate) fn scope_of(network: Network) -> Scope {
    if network == Network::Regtest { Scope::Local } else { Scope::Public }
}

/// The address manager of a network's folder, for the process that holds its lock. Blocks on the file system.
pub(super) fn open_addrman(params: &Params, folder: Option<&Path>) -> AddrMan {
    let (scope, key) = (scope_of(params.network), rand::random());
    match folder {
        Some(folder) => addrman::load_or_new(folder, params.magic, scope, key),
        None => AddrMan::new(key, scope),
    }
}

/// Looks for addresses outside the address manager; in random order, each with who told it: no seed can fill another's
/// share.
pub(super) async fn search(options: &PeerOptions, search: Search) -> Vec<(Claim, NetGroup)> {
    let (found, age) = match search {
        Search::Dns => (options.ask_seeds().await, DNS_AGE),
        Search::Shipped => (options.shipped(), SHIPPED_AGE),
    };
    let (now, mut rng) = (unix_now_secs(), rand::rng());
    let mut told = |found: Found| {
        let source = match &found.source {
            Source::Dns(seed) => NetGroup::of_name(seed),
            Source::User | Source::AddrMan | Source::Fixed => NetGroup::SHIPPED,
        };
        let address = found.address.parse().ok()?;
        let services = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
        let time = now.saturating_sub(rng.random_range(age.0..age.1));
        Some((Claim { address, services, time }, source))
    };
    found.into_iter().filter_map(&mut told).collect()
}

/// The names of the DNS seeds (`host:port`), for a proxy to resolve.
pub(super) fn seed_names(params: &Params) -> Vec<String> {
    params.dns_seeds.iter().map(|name| format!("{name}:{}", params.port)).collect()
}

/// What the address manager in `folder` knows, up to `count` addresses, then what [`PeerOptions::find`] finds; each
/// once.
///
/// The address manager is only read: another process may be using it. One that cannot be read counts as empty.
///
/// # Security
/// With a proxy nothing is resolved here: the seeds' names are among the addresses, for the proxy to resolve. Onion and
/// I2P addresses are given only then.
pub(crate) async fn find_all(options: &PeerOptions, folder: &Path, count: usize) -> Vec<Found> {
    let known = from_addrman(options, folder, count);
    let mut seen: BTreeSet<String> = known.iter().cloned().collect();
    let known = known.into_iter().map(|address| Found { address, source: Source::AddrMan });
    let others = options.find().await.into_iter();
    known.chain(others.filter(|found| seen.insert(found.address.clone()))).collect()
}

/// Up to `count` addresses of the address manager in `folder`, in its own order of preference.
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
            let reachable = through_proxy || !known.address.reach().needs_proxy();
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
    use crate::net::addrman::{Claim, Scope, save};
    use crate::node::peer_options::PeerOptions;
    use crate::primitives::Network;
    use crate::wire::ServiceFlags;
    use std::path::Path;

    async fn addresses(options: &PeerOptions, folder: &Path, count: usize) -> Vec<String> {
        find_all(options, folder, count).await.into_iter().map(|found| found.address).collect()
    }

    #[tokio::test]
    async fn the_addrman_comes_first_and_the_shipped_addresses_follow() {
        let params = params(Network::Mainnet);
        let folder = tempfile::tempdir().unwrap();
        let mut addrman = open_addrman(params, None);
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:8333";
        let claims = ["8.8.8.8:8333", onion].map(|text| Claim {
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
        assert!(found[..2].contains(&onion.to_owned()), "a proxy may lead there");
    }

    #[tokio::test]
    async fn through_a_proxy_the_seeds_are_names_and_regtest_has_nothing() {
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
