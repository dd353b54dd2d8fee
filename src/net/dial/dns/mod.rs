//! Names to addresses: by the system's resolver, or by a DNS server of the user's choice; and the DNS seeds.
//!
//! The system's resolver knows the machine's own settings (hosts file, search domains, encrypted DNS). A server of
//! one's own is asked directly, over UDP, and over TCP where its answer was too long for that.
//!
//! # Security
//! What a DNS server says is nobody's word in particular: an address from here is a place to dial and no more. An
//! answer counts if it comes from the server asked, repeats the query's random id and its question, and is not longer
//! than its transport allows.

mod packet;
mod resolver;
mod seeds;
mod server;

pub use resolver::{Resolver, needs_proxy};
pub use seeds::{MAX_ADDRESSES_PER_SEED, SEED_DEADLINE, SeedAnswer, SeedQueries, mixed};
