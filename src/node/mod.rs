//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

mod addresses;
pub(crate) mod control;
#[allow(unreachable_pub, reason = "its own module says what it offers")]
mod crawl;
mod failures;
mod fetch;
pub(crate) mod mempool;
mod peer_options;
mod peers;
mod ping;
mod report;
mod run;
mod runtime;
pub(crate) mod shipped;
pub(crate) mod shutdown;
#[allow(unreachable_pub, reason = "its own module says what it offers")]
mod sync_task;

pub(crate) use crate::net::{Proxy, Resolver, needs_proxy};
pub(crate) use addresses::{find_all, scope_of};
pub(crate) use crawl::{Counts, CrawlOptions, Crawled, Journal, JournalError};
pub(crate) use crawl::{PeerRow, crawl};
pub(crate) use failures::Failures;
pub use fetch::FetchError;
pub(crate) use fetch::{FetchOptions, FetchedBlock, TxAnswer, WantedBlock, fetch_block, fetch_tx};
pub(crate) use peer_options::{Found, PeerOptions, Source};
pub(crate) use ping::{Greeting, NoPeer, Pinged, Pinging};
pub use report::SyncReport;
pub(crate) use run::{Watchers, run_sync};
pub(crate) use runtime::{end_runtime, start_runtime};
pub(crate) use sync_task::SyncOptions;
pub use sync_task::{Event, Live, SyncError, SyncOutcome};
