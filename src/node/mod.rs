//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

mod addresses;
mod amount;
mod as_text;
mod audit;
mod by_time;
pub mod control;
mod crawl;
mod failures;
mod fetch;
mod lookup;
pub mod mempool;
mod peers;
mod ping;
mod range;
mod reader;
mod report;
mod run;
mod session;
pub mod shipped;
pub mod shutdown;
mod sources;
mod stats;
mod tx_info;
mod view;

pub use crate::net::{Login, Proxy, ProxyAddress, needs_proxy};
pub use addresses::{find_all, scope_of};
pub use amount::Amount;
pub use audit::{audit, mend};
pub use by_time::last_at_or_before;
pub use control::{LiveStatus, StoreInfo};
pub use crawl::{CONCURRENCY, Counts, CrawlOptions, Crawled, JOURNAL_FILE, Journal, JournalError};
pub use crawl::{PeerRow, crawl};
pub use failures::Failures;
pub use fetch::{
    FetchError, FetchOptions, FetchedBlock, TxAnswer, WantedBlock, fetch_block, fetch_tx,
};
pub use lookup::{Located, SideHeader, SideSummary, locate, side_summaries};
pub use ping::{Greeting, NoPeer, Pinged, Pinging};
pub use range::{HeaderRange, HeaderSpan};
pub use reader::{ChainReader, OPEN_WAIT, ReadError, open_store};
pub use report::{Stopped, SyncReport};
pub use run::{Watchers, run_sync};
pub use session::{ChainEnd, Event, Live, Phase, Session};
pub use session::{SyncError, SyncOptions, SyncOutcome};
pub use sources::{Found, Source, Sources};
pub use stats::{HASH_RATE_BLOCKS, NextRetarget, hash_rate, next_retarget, recent_hash_rate};
pub use tx_info::{
    BlockInfo, BlockTxs, InputInfo, OutputInfo, ScriptPubKeyInfo, ScriptSigInfo, TxInfo, TxWithHex,
};
pub use view::{
    CONTEXT, HeaderFacts, HeaderInfo, difficulty, header_infos, serialize_difficulty,
    sixteen_digits,
};
