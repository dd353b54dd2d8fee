//! Serves the stored headers to peers that connect to us.
//!
//! [`PeerListener`] accepts connections, and [`InboundPeers`] lists them. Each connection has a task that passes
//! messages and new tips to a state machine (`peer`), and carries out its decisions.
//!
//! # Security
//! Peers are hostile. `admission` bounds their number, in all and for each address and network group. A token bucket
//! for each address (`budgets`) bounds how fast its peers' messages are read. While two answers (of up to 162 kB each)
//! wait for a peer, none of its messages is read, and a peer that reads nothing for a minute is disconnected. The store
//! is read for one peer at a time.

mod addresses;
mod admission;
mod answer;
mod bucket;
mod budgets;
mod connection;
mod inbound;
mod listener;
mod new_tip;
mod options;
mod peer;
mod peer_server;
mod read_ahead;
#[cfg(test)]
mod tests;
mod tips;

pub(crate) use inbound::InboundPeers;
pub(crate) use listener::PeerListener;
pub(crate) use options::{ListenError, ListenOptions, bind_advice};
pub(crate) use peer_server::PeerServer;
