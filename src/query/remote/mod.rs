//! Reads the chain that a running process has open, through its control socket.
//!
//! The socket is `<data folder>/<network>/control.sock`, which only its owner can open (mode 0600). Each request and
//! each reply is JSON on one line. Both sides limit the length of a line and how long they wait.

mod client;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod fuzz;
mod protocol;
mod socket;

pub(crate) use client::{ControlClient, ControlError};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzz::fuzz_control;
pub use protocol::Phase;
pub(crate) use protocol::{ControlReply, ControlRequest, MAX_REQUEST, MAX_RUN, PROTOCOL};
pub(crate) use protocol::{LiveStatus, StoreInfo};
pub(crate) use socket::{SOCKET, SocketPath};
