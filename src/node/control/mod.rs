//! The control socket: how other commands read the chain that a running process has open.
//!
//! `<data folder>/<network>/control.sock`, for the user alone (mode 0600). The client writes one JSON request on a
//! line, the server one JSON reply on a line; both bound a line's length and how long they wait for it.

mod client;
mod protocol;
mod server;
mod socket;

pub use client::{ClientError, ControlClient};
pub use protocol::{LiveStatus, MAX_RUN, StoreInfo};
pub use server::{ControlListener, MAX_CLIENTS, MAX_WAITING, serve};
