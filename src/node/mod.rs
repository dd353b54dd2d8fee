//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

mod addresses;
pub mod control;
mod crawl;
mod failures;
mod fetch;
pub mod mempool;
mod peers;
mod ping;
mod report;
mod run;
mod runtime;
mod session;
pub mod shipped;
pub mod shutdown;
mod sources;

pub use crate::net::{Login, Proxy, ProxyAddress, needs_proxy};
pub use addresses::{find_all, scope_of};
pub use crawl::{CONCURRENCY, Counts, CrawlOptions, Crawled, JOURNAL_FILE, Journal, JournalError};
pub use crawl::{PeerRow, crawl};
pub use failures::Failures;
pub use fetch::{
    FetchError, FetchOptions, FetchedBlock, TxAnswer, WantedBlock, fetch_block, fetch_tx,
};
pub use ping::{Greeting, NoPeer, Pinged, Pinging};
pub use report::{Stopped, SyncReport};
pub use run::{Watchers, run_sync};
pub(crate) use runtime::{end_runtime, start_runtime};
pub use session::{ChainEnd, Event, Live, Session};
pub use session::{SyncError, SyncOptions, SyncOutcome};
pub use sources::{Found, Source, Sources};
