//! Tests of the protocol's state machine, of the answers to `getheaders` and `getaddr`, and of the listener over
//! loopback.

mod addresses;
mod answers;
mod chains;
mod driver;
mod protocol;
mod scene;
