//! lightclient
pub mod chain;
pub mod cli;
pub mod config;
pub mod net;
pub mod node;
pub mod output;
pub mod primitives;
pub mod store;
pub mod sync;
pub mod wire;
