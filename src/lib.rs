//! lightclient
pub mod chain;
pub mod net;
pub mod node;
pub mod primitives;
pub mod store;
pub mod sync;
pub mod wire;
