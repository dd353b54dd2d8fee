//! The whole-program tests: one binary, a module for each topic.

#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod bitcoind_works;
mod block_proof;
mod cli_advice;
mod cli_files;
mod cli_import;
mod cli_no_peer;
#[cfg(feature = "parquet")]
mod cli_parquet;
mod cli_query;
mod cli_running;
mod cli_terminal;
mod cli_usage;
mod dns;
mod examples;
mod fetch_block;
mod fetch_tx;
mod library;
mod mempool;
mod mempool_lies;
mod mempool_pending;
mod mempool_real;
mod overlay;
mod peers;
mod peers_real;
mod ping;
mod proxy;
mod proxy_trouble;
mod readme;
mod real_bcoin;
mod real_node;
mod real_peers;
mod real_rules;
mod real_wallet;
mod requests_found;
mod store_trials;
mod support_works;
mod sync_ahead;
mod sync_branches;
mod sync_caught_up;
mod sync_clock;
mod sync_follow;
mod sync_found;
mod sync_hostile;
mod sync_interrupted;
mod sync_low_work;
mod sync_mainnet;
mod sync_options;
mod sync_peers;
mod sync_power;
mod sync_wrong;
mod trace_page;
