//! Dialling a peer: name resolution, DNS seeds, happy eyeballs, and SOCKS5 proxies.

mod dialer;
mod dns;
mod happy_eyeballs;
mod proxy;
mod socks;

pub use dialer::Dialer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use dns::fuzz_dns;
pub use dns::{
    MAX_ADDRESSES_PER_SEED, Resolver, SEED_DEADLINE, SeedAnswer, SeedQueries, interleave,
    needs_proxy,
};
#[cfg(test)]
pub(crate) use proxy::ProxyFault;
pub use proxy::{DialError, Login, Proxy, ProxyAddress, ProxyError};
