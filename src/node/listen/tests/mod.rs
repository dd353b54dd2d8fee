//! The protocol's state machine, the answers from a store, and the driver over loopback.

mod addresses;
mod answers;
mod chains;
mod driver;
mod protocol;
mod scene;
