//! lightclient
pub mod chain;
pub mod primitives;
pub mod store;
