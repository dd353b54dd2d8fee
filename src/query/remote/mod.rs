//! Reading the chain that a running process has open, through its control socket.
//!
//! `<data folder>/<network>/control.sock`, for the user alone (mode 0600). The client writes one JSON request on a
//! line, the server one JSON reply on a line; both bound a line's length and how long they wait for it.

mod client;
mod protocol;
mod socket;

pub(crate) use client::{ClientError, ControlClient};
pub use protocol::Phase;
pub(crate) use protocol::{LiveStatus, StoreInfo};
pub(crate) use protocol::{MAX_REQUEST, MAX_RUN, PROTOCOL, Reply, Request};
pub(crate) use socket::{SOCKET, SocketPath};
