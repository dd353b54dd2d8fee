//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

mod addresses;
pub mod control;
mod crawl;
mod failures;
mod fetch;
pub mod mempool;
mod peer_options;
mod peers;
mod ping;
mod report;
mod run;
pub mod shipped;
pub mod shutdown;
mod sync_task;

pub use crate::net::{Proxy, Resolver, needs_proxy};
pub use addresses::{find_all, scope_of};
pub use crawl::{CONCURRENCY, Counts, CrawlOptions, Crawled, JOURNAL_FILE, Journal, JournalError};
pub use crawl::{PeerRow, crawl};
pub use failures::Failures;
pub use fetch::{
    FetchError, FetchOptions, FetchedBlock, TxAnswer, WantedBlock, fetch_block, fetch_tx,
};
pub use peer_options::{Found, PeerOptions, Source};
pub use ping::{Greeting, NoPeer, Pinged, Pinging};
pub use report::SyncReport;
pub use run::{Watchers, run_sync};
pub use sync_task::{Event, Live, SyncError, SyncOptions, SyncOutcome, SyncTask};
