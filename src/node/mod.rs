//! The tasks that exchange messages with peers (the sync, the crawl, single requests, pings, the watch of transactions,
//! and the server for peers that connect), and the server of the control socket.
//!
//! All tasks but the pings drive pure state machines: they give the machines events, the time and random numbers, and
//! carry out the machines' commands. The layers above reach peers only through this module.

mod addresses;
pub(crate) mod control;
#[allow(unreachable_pub, reason = "`crawl/mod.rs` decides what other modules can use")]
mod crawl;
mod failures;
mod fetch;
mod listen;
pub(crate) mod mempool;
mod peer_options;
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only `serve` sends requests"))]
mod peer_request;
mod peers;
mod ping;
mod report;
mod run;
mod runtime;
pub(crate) mod shipped;
pub(crate) mod shutdown;
#[allow(unreachable_pub, reason = "`sync_task/mod.rs` decides what other modules can use")]
mod sync_task;

pub(crate) use crate::net::addrman::AddressNetwork;
pub(crate) use crate::net::pool::{AddPeerError, PeerStatus};
pub(crate) use crate::net::{Proxy, Resolver, Traffic, needs_proxy};
pub(crate) use crate::wire::PROTOCOL_VERSION;
pub(crate) use addresses::{find_all, scope_of};
pub(crate) use crawl::{CrawlCounts, CrawlOptions, CrawlResult, Journal, JournalError};
pub(crate) use crawl::{PeerRow, crawl};
pub(crate) use failures::Failures;
pub use fetch::{Broadcast, FetchError};
pub(crate) use fetch::{
    FetchOptions, FetchTraffic, FetchedBlock, TxAnswer, WantedBlock, broadcast, fetch_block,
    fetch_tx,
};
pub(crate) use listen::{
    InboundPeers, ListenError, ListenOptions, PeerListener, PeerServer, bind_advice,
};
pub(crate) use peer_options::{AddressSource, FoundAddress, PeerOptions, USER_AGENT};
pub(crate) use peer_request::{
    AddressCount, PeerChoice, PeerControl, PeerRequest, PeerRequestReceiver, SyncEnded,
};
pub(crate) use ping::{HandshakeInfo, PingConnection, PingError, PingOutcome};
pub use report::SyncReport;
pub(crate) use run::{SyncChannels, run_sync};
pub(crate) use runtime::{build_runtime, end_runtime, start_runtime};
pub(crate) use sync_task::SyncOptions;
pub use sync_task::{Event, Live, SyncError, SyncOutcome};
