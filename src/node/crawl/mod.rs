//! Asking peers for the addresses of other peers, and those for more.
//!
//! [`crawl`] drives a state machine that knows neither clock nor socket. It is polite: a bounded number of connections
//! at once, one for each address and never a second, a few addresses of the same host; each peer is asked once and hung
//! up on. An interrupted crawl goes on from its [`Journal`].
//!
//! # Security
//! Peers tell what they like. What one tells is bounded, waits for its turn beside what others told, and is dialled
//! only if a peer can be there at all; the number of known addresses is bounded too.

mod address;
mod driver;
mod journal;
mod machine;
mod queue;
mod row;
#[cfg(test)]
mod tests;

pub use driver::{CrawlOptions, Crawled, crawl};
pub use journal::{Journal, JournalError};
pub use row::{Counts, PeerRow};
