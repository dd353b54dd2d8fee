//! The targets of the fuzzer in `fuzz/`: one function for each kind of input from peers, users and files. A function
//! panics if a law is broken. The tests replay the corpora through the same functions.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]
#![allow(unreachable_pub, reason = "the program in `fuzz/` reaches it")]

mod bytes;
#[cfg(test)]
mod corpus;
mod frames;
mod proofs;
mod scripts;
mod texts;
mod wire;

pub(crate) use bytes::Bytes;

/// A target: its name, and the function that takes the fuzzer's bytes.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [FuzzTarget; 17] = [
    ("addrman", crate::net::addrman::fuzz::run),
    ("blocks", wire::run_block),
    ("control", crate::query::fuzz_control),
    ("dns", crate::net::fuzz_dns),
    ("files", crate::files::fuzz),
    ("frames", frames::run),
    ("hints", texts::run_hints),
    ("http", crate::server::fuzz_http),
    ("proofs", proofs::run),
    ("rpc", crate::server::fuzz_rpc),
    ("scripts", scripts::run),
    ("settings", crate::config::fuzz),
    ("store", crate::store::fuzz),
    ("sync", crate::sync::fuzz),
    ("transactions", wire::run_transaction),
    ("tree", crate::chain::fuzz),
    ("wire", wire::run_message),
];
