//! Resolves names to addresses.

use super::server;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;

/// Resolves names to addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The system's resolver.
    ///
    /// Its queries run on threads that cannot be stopped. At the end of the program, shut the runtime down with a
    /// timeout, so that the shutdown does not wait for a query that hangs.
    #[default]
    System,
    /// This DNS server and no other.
    Server(SocketAddr),
}

impl Resolver {
    /// Returns the addresses of a host, each once. A host that is an address resolves to itself.
    ///
    /// # Errors
    /// The name is invalid or has no address, no answer came within `deadline`, or the resolver failed. A name that
    /// [needs a proxy](needs_proxy) is an error at once, without a query.
    pub async fn lookup(self, host: &str, deadline: Duration) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if needs_proxy(host) {
            let text = format!("{host} is not a name on the internet: it needs a proxy");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let mut found = match self {
            Self::System => by_system(host, deadline).await?,
            // DNS servers must not be asked for this name: RFC 6761, section 6.3.
            Self::Server(_) if is_localhost(host) => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Self::Server(server) => server::lookup(server, host, deadline).await?,
        };
        let mut seen = std::collections::HashSet::new();
        found.retain(|address| seen.insert(*address));
        if found.is_empty() {
            let text = format!("{host} has no address");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(found)
    }
}

async fn by_system(host: &str, deadline: Duration) -> io::Result<Vec<IpAddr>> {
    let found = timeout(deadline, tokio::net::lookup_host((host, 0))).await;
    let found = found.map_err(|_| {
        let text = format!("{host} was not resolved within {deadline:?}");
        io::Error::new(io::ErrorKind::TimedOut, text)
    })?;
    Ok(found?.map(|address| address.ip()).collect())
}

fn is_localhost(host: &str) -> bool {
    is_within("localhost", host)
}

/// Returns whether a host is in an overlay network (`.onion`, `.i2p`). Only a proxy can reach such a host, and a query
/// would tell the DNS server which service the user looks for.
///
/// Source: RFC 7686, section 2, for `.onion`; `.i2p` is treated alike.
pub fn needs_proxy(host: &str) -> bool {
    is_within("onion", host) || is_within("i2p", host)
}

/// Returns whether a name is the domain or in it.
fn is_within(domain: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::Resolver;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::time::Duration;

    /// An address at which nobody answers.
    const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 254, 254, 254)), 1);

    #[tokio::test]
    async fn addresses_and_localhost_are_resolved_without_a_query() {
        let resolver = Resolver::Server(NOBODY);
        for (host, count) in [("127.0.0.1", 1), ("::1", 1), ("localhost", 2), ("A.LocalHost.", 2)] {
            let found = resolver.lookup(host, Duration::from_secs(5)).await.unwrap();
            assert_eq!(found.len(), count, "{host}");
            assert!(found.iter().all(IpAddr::is_loopback), "{host}");
        }
    }

    #[tokio::test]
    async fn an_invalid_name_is_an_error_at_once() {
        let resolver = Resolver::Server(NOBODY);
        let error = resolver.lookup("bad\0name", Duration::from_secs(60)).await.unwrap_err();
        assert!(error.to_string().contains("is no host name"), "{error}");
        assert!(Resolver::System.lookup("bad\0name", Duration::from_secs(60)).await.is_err());
    }
}
