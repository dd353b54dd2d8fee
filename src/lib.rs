//! lightclient
pub mod primitives;
