//! lightclient
pub mod primitives;
pub mod wire;
