//! The reasons for which connections end.

use super::other_protocol::OtherProtocol;
use crate::net::dial::{DialError, ProxyError};
use crate::net::system_text::error_text;
use crate::primitives::hex;
use crate::wire::{Command, DecodeError, FrameError};
use std::io;
use std::time::Duration;

/// Why a connection ended, or never began.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// The dial failed: the peer refuses connections or is unreachable, or its name does not resolve.
    #[error("cannot connect: {text}")]
    Unreachable {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's error as text.
        text: String,
    },
    /// The proxy failed, which says nothing about the peer.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// No connection was made in time.
    #[error("no connection within {limit:?}")]
    ConnectTimeout {
        /// The deadline.
        limit: Duration,
    },
    /// The handshake was not complete in time.
    #[error("no complete handshake within {limit:?}")]
    HandshakeTimeout {
        /// The deadline.
        limit: Duration,
    },
    /// The peer sent the magic of another network.
    #[error("{}: magic {} expected, got {}", network_text(*name), hex::encode(expected), hex::encode(got))]
    WrongNetwork {
        /// Our magic.
        expected: [u8; 4],
        /// The peer's magic.
        got: [u8; 4],
        /// The network of the peer's magic, if it is a known one.
        name: Option<&'static str>,
    },
    /// The peer's first bytes belong to a protocol that this program does not speak.
    #[error("answers {protocol}, not Bitcoin's protocol")]
    OtherProtocol {
        /// The protocol that the first bytes belong to.
        protocol: OtherProtocol,
    },
    /// The peer is this very program.
    #[error("connected to ourselves")]
    Ourselves,
    /// The peer's protocol version is too old.
    #[error("protocol version {min} or later expected, got {got}")]
    Obsolete {
        /// The oldest version that we accept.
        min: i32,
        /// The peer's version.
        got: i32,
    },
    /// The bytes are not a message.
    #[error("broken message: {0}")]
    Frame(#[from] FrameError),
    /// The payload is not that of the message's command.
    #[error("malformed {command}: {error}")]
    Decode {
        /// The message's command.
        command: Command,
        /// What is wrong with the payload.
        error: DecodeError,
    },
    /// The peer announced a feature after `verack`, which is forbidden (BIP155, BIP339).
    #[error("{command} after verack")]
    LateFeature {
        /// The feature's command.
        command: Command,
    },
    /// The peer sent nothing for too long.
    #[error("peer was silent for {limit:?}")]
    Silence {
        /// The limit.
        limit: Duration,
    },
    /// The peer did not answer a ping.
    #[error("ping not answered within {limit:?}")]
    PingTimeout {
        /// The limit.
        limit: Duration,
    },
    /// A message was not complete in time.
    #[error("message not complete within {limit:?}")]
    MessageTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The peer did not read our messages in time.
    #[error("peer did not read for {limit:?}")]
    SendTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The connection closed or broke before the handshake was complete. Nodes of other networks close it like this.
    #[error("hung up during the handshake")]
    HungUp,
    /// The peer closed the connection.
    #[error("closed by peer")]
    Closed,
    /// The connection broke.
    #[error("connection broke: {text}")]
    Broken {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's error as text.
        text: String,
    },
    /// We ended the connection, by [`PeerHandle::disconnect`](super::PeerHandle::disconnect), or by dropping the handle
    /// or the receiver of the events.
    #[error("ended by us")]
    Requested,
}

/// Says which network a peer is on.
fn network_text(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("peer is on {name}"),
        None => "peer is on another network".to_owned(),
    }
}

/// Who is to blame for the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The peer misbehaved, or is of no use to us. It should not be dialled again soon.
    Peer,
    /// Nobody in particular. The same peer may work later.
    Network,
    /// This program. The end says nothing about the peer.
    Us,
}

impl Disconnect {
    /// Returns who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::WrongNetwork { .. }
            | Self::Obsolete { .. }
            | Self::Frame(_)
            | Self::Decode { .. }
            | Self::LateFeature { .. } => Blame::Peer,
            // An HTTP answer may come from a wireless network's login page, which answers in place of every peer.
            Self::OtherProtocol { .. }
            | Self::Unreachable { .. }
            | Self::Proxy(_)
            | Self::ConnectTimeout { .. }
            | Self::HandshakeTimeout { .. }
            | Self::Silence { .. }
            | Self::PingTimeout { .. }
            | Self::MessageTimeout { .. }
            | Self::SendTimeout { .. }
            | Self::HungUp
            | Self::Closed
            | Self::Broken { .. } => Blame::Network,
            Self::Ourselves | Self::Requested => Blame::Us,
        }
    }

    pub(super) fn not_dialled(error: DialError) -> Self {
        match error {
            DialError::Peer(error) => {
                Self::Unreachable { kind: error.kind(), text: error_text(&error) }
            }
            DialError::Proxy(error) => Self::Proxy(error),
        }
    }

    pub(super) fn broken(error: &io::Error) -> Self {
        Self::Broken { kind: error.kind(), text: error_text(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::Disconnect;

    #[test]
    fn another_network_is_named_if_it_is_known() {
        let mut reason =
            Disconnect::WrongNetwork { expected: [1; 4], got: [2; 4], name: Some("testnet3") };
        assert!(
            reason.to_string().starts_with("peer is on testnet3: magic 01010101 expected, got")
        );
        if let Disconnect::WrongNetwork { name, .. } = &mut reason {
            *name = None;
        }
        assert!(reason.to_string().starts_with("peer is on another network"));
    }
}
