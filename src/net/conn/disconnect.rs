//! Why a connection ended.

use super::spoken::Spoken;
use crate::net::dial::{DialError, ProxyError};
use crate::net::system_text::words;
use crate::primitives::hex;
use crate::wire::{Command, DecodeError, FrameError};
use std::io;
use std::time::Duration;

/// Why a connection ended, or never began.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// The peer could not be reached: refused, unreachable, or its name does not resolve.
    #[error("cannot connect: {text}")]
    Unreachable {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's words.
        text: String,
    },
    /// The proxy is of no use, which says nothing about the peer.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The peer could not be reached in time.
    #[error("no connection within {limit:?}")]
    ConnectTimeout {
        /// The deadline.
        limit: Duration,
    },
    /// Connected, but no complete handshake in time.
    #[error("no complete handshake within {limit:?}")]
    HandshakeTimeout {
        /// The deadline.
        limit: Duration,
    },
    /// The first bytes are not our network's.
    #[error("{}: magic {} expected, got {}", whose(*name), hex::encode(expected), hex::encode(got))]
    WrongNetwork {
        /// Our magic.
        expected: [u8; 4],
        /// The peer's.
        got: [u8; 4],
        /// The network of the peer's magic, if it is a known one.
        name: Option<&'static str>,
    },
    /// The first bytes are not Bitcoin's.
    #[error("answers {spoken}, not Bitcoin's protocol")]
    OtherProtocol {
        /// What they are.
        spoken: Spoken,
    },
    /// The peer is this very program.
    #[error("connected to ourselves")]
    Ourselves,
    /// The peer's protocol version is too old.
    #[error("protocol version {min} or later expected, got {got}")]
    Obsolete {
        /// The oldest we talk to.
        min: i32,
        /// The peer's.
        got: i32,
    },
    /// Bytes that are no message.
    #[error("broken message: {0}")]
    Frame(#[from] FrameError),
    /// A message that is not what its name says.
    #[error("malformed {command}: {error}")]
    Decode {
        /// The message.
        command: Command,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A feature announced after `verack`, where it is not allowed (BIP155, BIP339).
    #[error("{command} after verack")]
    LateFeature {
        /// The announcement.
        command: Command,
    },
    /// The peer sent nothing for too long.
    #[error("peer was silent for {limit:?}")]
    Silence {
        /// The limit.
        limit: Duration,
    },
    /// A ping was not answered.
    #[error("ping not answered within {limit:?}")]
    PingTimeout {
        /// The limit.
        limit: Duration,
    },
    /// A message began and did not end in time.
    #[error("message not complete within {limit:?}")]
    MessageTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The peer did not take what we sent.
    #[error("peer did not read for {limit:?}")]
    SendTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The peer ended the connection before the handshake was complete, as nodes of another network do.
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
        /// The system's words.
        text: String,
    },
    /// We ended it: by [`PeerHandle::disconnect`](super::PeerHandle::disconnect), or by dropping the handle or the
    /// receiver of the events.
    #[error("ended by us")]
    Requested,
}

/// Where a peer of that network is.
fn whose(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("peer is on {name}"),
        None => "peer is on another network".to_owned(),
    }
}

/// To whom the end of a connection is put down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer did what no good peer does, or is of no use to us: not to be dialled again soon.
    Peer,
    /// Nobody in particular: the same peer may do better later.
    Network,
    /// This program wanted it so; says nothing about the peer.
    Ours,
}

impl Disconnect {
    /// To whom this is put down.
    pub fn fault(&self) -> Fault {
        match self {
            Self::WrongNetwork { .. }
            | Self::Obsolete { .. }
            | Self::Frame(_)
            | Self::Decode { .. }
            | Self::LateFeature { .. } => Fault::Peer,
            // Whoever answers with HTTP may be the login page of a wireless network, in the place of every peer.
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
            | Self::Broken { .. } => Fault::Network,
            Self::Ourselves | Self::Requested => Fault::Ours,
        }
    }

    pub(super) fn not_dialled(error: DialError) -> Self {
        match error {
            DialError::Peer(error) => Self::Unreachable { kind: error.kind(), text: words(&error) },
            DialError::Proxy(error) => Self::Proxy(error),
        }
    }

    pub(super) fn broken(error: &io::Error) -> Self {
        Self::Broken { kind: error.kind(), text: words(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::Disconnect;

    #[test]
    fn a_wrong_network_is_named_when_known() {
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
