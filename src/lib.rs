//! lightclient
pub mod net;
pub mod primitives;
pub mod wire;
