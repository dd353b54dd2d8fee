//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

mod addresses;
pub(crate) mod control;
#[allow(unreachable_pub, dead_code, reason = "its own module says what it offers")]
mod crawl;
mod failures;
mod fetch;
pub(crate) mod mempool;
mod peers;
mod ping;
mod report;
mod run;
mod runtime;
#[allow(unreachable_pub, reason = "its own module says what it offers")]
mod session;
pub(crate) mod shipped;
pub(crate) mod shutdown;
mod sources;

pub(crate) use crate::net::{Proxy, needs_proxy};
pub(crate) use addresses::{find_all, scope_of};
pub(crate) use crawl::{Counts, CrawlOptions, Crawled, Journal, JournalError};
pub(crate) use crawl::{PeerRow, crawl};
pub(crate) use failures::Failures;
pub use fetch::FetchError;
pub(crate) use fetch::{FetchOptions, FetchedBlock, TxAnswer, WantedBlock, fetch_block, fetch_tx};
pub(crate) use ping::{Greeting, NoPeer, Pinged, Pinging};
pub use report::{Stopped, SyncReport};
pub(crate) use run::{Watchers, run_sync};
pub(crate) use runtime::{end_runtime, start_runtime};
pub(crate) use session::ChainEnd;
pub(crate) use session::SyncOptions;
pub use session::{Event, Live, SyncError, SyncOutcome};
pub(crate) use sources::{Found, Source, Sources};
