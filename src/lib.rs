//! lightclient
pub mod chain;
pub mod primitives;
pub mod store;
pub mod sync;
pub mod wire;
