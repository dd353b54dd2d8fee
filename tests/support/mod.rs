//! What the whole-program tests, the offline example and the benches share: chains made on the spot, a peer that
//! plays any part in the protocol, a runner for the program, and a real bitcoind to compare with.
//!
//! Integration tests, benches and the example include it with `#[path = "../tests/support/mod.rs"]`.
//! The tests use all of it; the compiler says what they no longer use.
//! Nothing here sleeps for luck: every wait is for a condition and has a deadline.
#![allow(unreachable_pub, reason = "`pub` marks what a support module offers to the others")]

pub mod bcoin;
pub mod bitcoind;
pub mod blocks;
pub mod chain;
pub mod client;
mod conn;
pub mod deaf;
pub mod dns;
pub mod faketime;
pub mod files;
mod link;
pub mod measure;
mod members;
pub mod other;
pub mod peer;
pub mod population;
pub mod record;
pub mod relay;
pub mod rpc;
pub mod run;
pub mod script;
pub mod served;
pub mod socks;
pub mod strace;
pub mod sync;
pub mod transactions;
pub mod wait;
pub mod wallet;
pub mod wrong;
