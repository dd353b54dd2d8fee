//! Name resolution, by the system's resolver or a DNS server of the user's choice, and queries to the DNS seeds.
//!
//! The system's resolver follows the machine's settings (hosts file, search domains, encrypted DNS). The user's own
//! server is asked directly, over UDP, and over TCP if the answer is too long for UDP.
//!
//! # Security
//! DNS answers can be forged, so addresses from DNS are dialled, but not trusted otherwise. An answer from the user's
//! own server counts only if it comes from this server's address, and repeats the query's random id and question.

mod packet;
mod resolver;
mod seeds;
mod server;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use packet::fuzz as fuzz_dns;
pub use resolver::{Resolver, needs_proxy};
pub use seeds::{MAX_ADDRESSES_PER_SEED, SEED_DEADLINE, SeedAnswer, SeedQueries, interleave};
