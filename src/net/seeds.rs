//! Asking the DNS seeds for peers.

use rand::seq::SliceRandom;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The addresses that the DNS names stand for, each with `port`: without duplicates, in random order.
///
/// All names are asked at once, each for `deadline_each` at most. A name that fails is logged (`debug`, target
/// `dns`) and contributes nothing; if all fail the result is empty.
///
/// The system's resolver runs on threads that cannot be stopped: at the end of the program, shut the runtime down
/// with a timeout so that a hanging query does not hold it.
///
/// # Security
/// A seed's operator chooses what it answers. Asking several and mixing the answers keeps one of them from choosing
/// all of our peers.
pub async fn resolve(names: &[&str], port: u16, deadline_each: Duration) -> Vec<SocketAddr> {
    let mut queries = JoinSet::new();
    for name in names {
        queries.spawn(ask((*name).to_owned(), port, deadline_each));
    }
    let mut seen = HashSet::new();
    let mut addresses: Vec<SocketAddr> = queries.join_all().await.into_iter().flatten().collect();
    addresses.retain(|address| seen.insert(*address));
    addresses.shuffle(&mut rand::rng());
    addresses
}

async fn ask(name: String, port: u16, deadline: Duration) -> Vec<SocketAddr> {
    let query = async {
        let found = tokio::net::lookup_host((name.as_str(), port)).await?;
        Ok::<Vec<SocketAddr>, io::Error>(found.collect())
    };
    match timeout(deadline, query).await {
        Ok(Ok(found)) => {
            tracing::debug!(target: "dns", name, found = found.len());
            found
        }
        Ok(Err(error)) => {
            tracing::debug!(target: "dns", name, %error);
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(target: "dns", name, error = "no answer", ?deadline);
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn answers_are_merged_without_duplicates_and_failures_cost_nothing() {
        let names = ["127.0.0.1", "::1", "127.0.0.1", "bad\0name", "127.0.0.2"];
        let mut found = resolve(&names, 8333, DEADLINE).await;
        found.sort();
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.0.1:8333", "127.0.0.2:8333", "[::1]:8333"]);
    }

    #[tokio::test]
    async fn no_names_give_no_addresses() {
        assert!(resolve(&[], 8333, DEADLINE).await.is_empty());
    }
}
