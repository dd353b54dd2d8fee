//! Asks peers for the addresses of other peers, and then asks these peers too.
//!
//! [`crawl`] drives a state machine that has neither a clock nor sockets. The crawl is polite: it has a bounded number
//! of connections at once, dials each address once, and disconnects a peer as soon as the peer has answered. An
//! interrupted crawl continues from its [`Journal`].
//!
//! # Security
//! Peers can send any addresses. The crawl bounds how many addresses it takes from one peer and in all. Of the
//! addresses that peers send, it dials one from each sender in turn, only a few ports of a host, and only addresses
//! that the network's peers can have.

mod address;
mod driver;
mod journal;
mod machine;
mod queue;
mod row;
#[cfg(test)]
mod tests;

pub use driver::{CrawlOptions, CrawlResult, crawl};
pub use journal::{Journal, JournalError};
pub use row::{CrawlCounts, PeerRow};
