//! Asks the DNS seeds for addresses of peers.

use super::resolver::Resolver;
use crate::wire::ServiceFlags;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Most addresses that are accepted from one seed.
///
/// Bitcoin Core accepts 32 (`nMaxIPs` in `CConnman::ThreadDNSAddressSeed`). A larger limit leaves room for IPv6
/// addresses where the IPv4 addresses come first. It does no harm, since the seeds take turns (see [`interleave`]).
pub const MAX_ADDRESSES_PER_SEED: usize = 256;

/// How long one seed has to answer all queries for it.
pub const SEED_DEADLINE: Duration = Duration::from_secs(5);

/// The answer of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedAnswer {
    /// The seed's name, without the subdomain for service bits.
    pub seed: String,
    /// At most [`MAX_ADDRESSES_PER_SEED`] addresses, each once; none if the seed failed.
    pub addresses: Vec<IpAddr>,
    /// The error of the last query if there are no addresses; otherwise `None`.
    pub error: Option<String>,
}

/// The running queries to all seeds.
///
/// # Security
/// A seed's operator chooses its answer. That is why each answer carries the seed's name, why the number of addresses
/// from one seed is limited, and why [`interleave`] takes addresses from all seeds in turn.
#[derive(Debug)]
pub struct SeedQueries(JoinSet<SeedAnswer>);

impl SeedQueries {
    /// Asks every seed for peers with these services, and waits at most `deadline` for each seed.
    ///
    /// A seed that can filter has a subdomain for each set of service bits: an `x` and the bits in hex. If the query
    /// for this subdomain fails, the seed is asked by its plain name.
    ///
    /// Source: Bitcoin Core `CConnman::ThreadDNSAddressSeed`, which makes an `addr-fetch` connection instead if the
    /// subdomain has no addresses.
    pub fn start(
        resolver: Resolver,
        seeds: &[impl AsRef<str>],
        services: ServiceFlags,
        deadline: Duration,
    ) -> Self {
        let mut queries = JoinSet::new();
        for seed in seeds {
            queries.spawn(ask(resolver, seed.as_ref().to_owned(), services, deadline));
        }
        Self(queries)
    }

    /// Returns the next answer, in the order in which they come; `None` once every seed has answered or failed.
    pub async fn next(&mut self) -> Option<SeedAnswer> {
        // A query that panicked gives no answer, and is skipped.
        loop {
            if let Ok(answer) = self.0.join_next().await? {
                return Some(answer);
            }
        }
    }

    /// Returns all answers.
    pub async fn all(mut self) -> Vec<SeedAnswer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }
}

/// Returns the addresses of all answers, each once, with the index of its answer.
///
/// The order is random, but the seeds take turns as long as they have addresses left: a seed with ten times as many
/// addresses is not ten times as likely to be dialled.
pub fn interleave(answers: &[SeedAnswer], rng: &mut impl Rng) -> Vec<(IpAddr, usize)> {
    let mut lists: VecDeque<(usize, Vec<IpAddr>)> =
        answers.iter().map(|answer| answer.addresses.clone()).enumerate().collect();
    lists.iter_mut().for_each(|(_, list)| list.shuffle(rng));
    lists.make_contiguous().shuffle(rng);
    let (mut seen, mut mixed) = (HashSet::new(), Vec::new());
    while let Some((seed, mut list)) = lists.pop_front() {
        while let Some(address) = list.pop() {
            if seen.insert(address) {
                mixed.push((address, seed));
                lists.push_back((seed, list));
                break;
            }
        }
    }
    mixed
}

async fn ask(
    resolver: Resolver,
    seed: String,
    services: ServiceFlags,
    deadline: Duration,
) -> SeedAnswer {
    let end = Instant::now() + deadline;
    let filtered = format!("x{:x}.{seed}", services.0);
    let (mut addresses, mut failed) = (Vec::new(), None);
    // The query for the subdomain gets half of the time, and the one for the plain name the rest: some servers do not
    // answer at all for a name that they do not know.
    for (name, within) in [(&filtered, deadline / 2), (&seed, deadline)] {
        let left = end.saturating_duration_since(Instant::now()).min(within);
        match resolver.lookup(&absolute(name), left).await {
            Ok(found) => {
                tracing::debug!(target: "dns", name, found = found.len());
                addresses = found;
                break;
            }
            Err(error) => {
                tracing::debug!(target: "dns", name, %error);
                failed = Some(error.to_string());
            }
        }
    }
    addresses.truncate(MAX_ADDRESSES_PER_SEED);
    let error = failed.filter(|_| addresses.is_empty());
    SeedAnswer { seed, addresses, error }
}

/// Adds a final dot to the name, which keeps the system from trying the name in its search domains.
fn absolute(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

#[cfg(test)]
mod tests {
    use super::{SeedAnswer, interleave};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::collections::HashSet;
    use std::net::IpAddr;

    fn answer(seed: u8, hosts: impl IntoIterator<Item = u8>) -> SeedAnswer {
        let addresses = hosts.into_iter().map(|host| IpAddr::from([10, 0, seed, host])).collect();
        SeedAnswer { seed: format!("seed{seed}"), addresses, error: None }
    }

    #[test]
    fn a_seed_with_many_addresses_gets_no_more_turns_than_one_with_few() {
        let answers = [answer(0, 0..=255), answer(1, 0..5), answer(2, []), answer(3, 0..5)];
        for random in 0..20 {
            let mixed = interleave(&answers, &mut StdRng::seed_from_u64(random));
            assert_eq!(mixed.len(), 266);
            let first: Vec<usize> = mixed[..15].iter().map(|(_, seed)| *seed).collect();
            for seed in [0, 1, 3] {
                assert_eq!(first.iter().filter(|at| **at == seed).count(), 5, "{first:?}");
            }
        }
    }

    #[test]
    fn an_address_from_several_seeds_occurs_once_and_the_order_is_random() {
        let shared = answer(0, 0..50);
        let answers = [shared.clone(), SeedAnswer { seed: "other".to_owned(), ..shared }];
        let orders: HashSet<Vec<IpAddr>> = (0..5)
            .map(|random| {
                let mixed = interleave(&answers, &mut StdRng::seed_from_u64(random));
                let all: Vec<IpAddr> = mixed.into_iter().map(|(address, _)| address).collect();
                assert_eq!(all.iter().collect::<HashSet<_>>().len(), 50);
                assert_eq!(all.len(), 50);
                all
            })
            .collect();
        assert_eq!(orders.len(), 5);
    }
}
