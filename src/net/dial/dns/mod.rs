//! Name resolution, by the system's resolver or a DNS server of the user's choice, and queries to the DNS seeds.
//!
//! The system's resolver follows the machine's settings (hosts file, search domains, encrypted DNS). The user's own
//! server is asked directly, over UDP, and over TCP if its answer is too long for that.
//!
//! # Security
//! DNS answers can be forged, so an address from DNS is only something to dial. An answer counts if it comes from the
//! server that was asked, repeats the query's random id and its question, and is not longer than its transport allows.

mod packet;
mod resolver;
mod seeds;
mod server;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use packet::fuzz as fuzz_dns;
pub use resolver::{Resolver, needs_proxy};
pub use seeds::{MAX_ADDRESSES_PER_SEED, SEED_DEADLINE, SeedAnswer, SeedQueries, interleave};
