//! lightclient
pub mod chain;
pub mod primitives;
