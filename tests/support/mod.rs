//! Shared code of the whole-program tests, the offline example and the benches: chains made for a test, scripted peers,
//! a runner for the program, and a real bitcoind to compare with.
//!
//! Integration tests, benches and the example include it with `#[path = "../tests/support/mod.rs"]`.
//! The compiler reports what the tests no longer use.
//! Only scripted delays take a fixed time. All other waits are for conditions, almost all with deadlines (`wait`).
#![allow(unreachable_pub, reason = "`pub` marks what a support module offers to the others")]

pub mod bcoin;
pub mod bitcoind;
pub mod blocks;
pub mod chain;
pub mod client;
mod conn;
pub mod deaf;
pub mod disk;
pub mod dns;
pub mod failing;
pub mod faketime;
pub mod files;
pub mod invariant;
mod link;
pub mod measure;
mod members;
pub mod mine;
pub mod misbehaving;
pub mod misbehaviour;
pub mod other;
pub mod peer;
pub mod population;
pub mod record;
pub mod relay;
pub mod rpc;
pub mod run;
pub mod script;
pub mod serve;
pub mod served;
pub mod socks;
pub mod strace;
pub mod sync;
pub mod transactions;
pub mod wait;
pub mod wallet;
pub mod web_clients;
pub mod wrong;
