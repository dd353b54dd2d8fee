//! The version handshake, as a state machine that takes messages and returns replies.

use super::disconnect::Disconnect;
use super::event::Direction;
use super::nonces::OwnNonces;
use crate::wire::{MIN_PEER_VERSION, Message, PROTOCOL_VERSION, Version};

/// First protocol version that knows `wtxidrelay` (BIP339).
///
/// BIP155 allows `sendaddrv2` for every version, but as in Bitcoin Core, peers with an older version do not get it:
/// some of them drop a connection when they receive an unknown message.
const FEATURES_VERSION: i32 = 70016;

/// One connection's handshake.
///
/// Source: Bitcoin Core `PeerManagerImpl::ProcessMessage`. A second `version` is ignored, as in Bitcoin Core. Between
/// the peer's `version` and `verack`, only `wtxidrelay` and `sendaddrv2` count. Unlike in Bitcoin Core, the peer's
/// `verack` may come before its `version`, since `verack` answers our `version`.
#[derive(Debug)]
pub(super) struct Handshake {
    /// Our `version`, until it is sent.
    own: Option<Version>,
    nonces: OwnNonces,
    theirs: Option<Version>,
    verack: bool,
    wants_addrv2: bool,
    wtxid_relay: bool,
}

/// The result of a complete handshake.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) version: Version,
    pub(super) wants_addrv2: bool,
    pub(super) wtxid_relay: bool,
}

impl Handshake {
    pub(super) fn new(own: Version, nonces: OwnNonces) -> Self {
        Self {
            own: Some(own),
            nonces,
            theirs: None,
            verack: false,
            wants_addrv2: false,
            wtxid_relay: false,
        }
    }

    /// Returns the messages to send before the first one is received. The side that dialled sends first.
    pub(super) fn start(&mut self, direction: Direction) -> Vec<Message> {
        match direction {
            Direction::Outbound => self.own.take().map(Message::Version).into_iter().collect(),
            Direction::Inbound => Vec::new(),
        }
    }

    /// Takes a message and returns the replies.
    pub(super) fn on_message(&mut self, message: Message) -> Result<Vec<Message>, Disconnect> {
        match message {
            Message::Version(version) if self.theirs.is_none() => return self.on_version(version),
            Message::Verack if self.own.is_none() => self.verack = true,
            Message::SendAddrV2 if self.theirs.is_some() => self.wants_addrv2 = true,
            Message::WtxidRelay if self.theirs.is_some() => self.wtxid_relay = true,
            _ => {}
        }
        Ok(Vec::new())
    }

    fn on_version(&mut self, version: Version) -> Result<Vec<Message>, Disconnect> {
        if self.nonces.check_incoming(version.nonce) {
            return Err(Disconnect::Ourselves);
        }
        if version.version < MIN_PEER_VERSION {
            return Err(Disconnect::Obsolete { min: MIN_PEER_VERSION, got: version.version });
        }
        let mut replies: Vec<Message> = self.own.take().map(Message::Version).into_iter().collect();
        if version.version.min(PROTOCOL_VERSION) >= FEATURES_VERSION {
            replies.extend([Message::WtxidRelay, Message::SendAddrV2]);
        }
        replies.push(Message::Verack);
        self.theirs = Some(version);
        Ok(replies)
    }

    /// Returns the result once both `version` and `verack` have come.
    pub(super) fn finish(&mut self) -> Option<Negotiated> {
        if !self.verack {
            return None;
        }
        self.theirs.take().map(|version| Negotiated {
            version,
            wants_addrv2: self.wants_addrv2,
            wtxid_relay: self.wtxid_relay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Direction, Disconnect, Handshake, OwnNonces};
    use crate::wire::{Command, Endpoint, Message, ServiceFlags, Version};

    fn version(version: i32, nonce: u64) -> Version {
        Version {
            version,
            services: ServiceFlags::NONE,
            time: 0,
            receiver: Endpoint::UNSPECIFIED,
            sender: Endpoint::UNSPECIFIED,
            nonce,
            user_agent: Vec::new(),
            start_height: 0,
            relay: true,
        }
    }

    fn started(direction: Direction) -> Handshake {
        let mut handshake = Handshake::new(version(70016, 1), OwnNonces::new());
        let first = handshake.start(direction);
        assert_eq!(first.len(), usize::from(direction == Direction::Outbound));
        handshake
    }

    fn commands(messages: &[Message]) -> Vec<&'static str> {
        let names = [Command::VERSION, Command::WTXIDRELAY, Command::SENDADDRV2, Command::VERACK]
            .map(|c| (c, ["version", "wtxidrelay", "sendaddrv2", "verack"]));
        let name = |message: &Message| {
            let at = names.iter().position(|(c, _)| *c == message.command()).unwrap();
            names[at].1[at]
        };
        messages.iter().map(name).collect()
    }

    #[test]
    fn features_are_announced_between_version_and_verack() {
        let mut handshake = started(Direction::Outbound);
        let replies = handshake.on_message(Message::Version(version(70016, 2))).unwrap();
        assert_eq!(commands(&replies), ["wtxidrelay", "sendaddrv2", "verack"]);
        let mut handshake = started(Direction::Inbound);
        let replies = handshake.on_message(Message::Version(version(70017, 2))).unwrap();
        assert_eq!(commands(&replies), ["version", "wtxidrelay", "sendaddrv2", "verack"]);
    }

    #[test]
    fn an_older_peer_gets_no_feature_messages() {
        let mut handshake = started(Direction::Outbound);
        let replies = handshake.on_message(Message::Version(version(70015, 2))).unwrap();
        assert_eq!(commands(&replies), ["verack"]);
    }

    #[test]
    fn versions_below_the_minimum_and_negative_ones_are_obsolete() {
        for got in [31799, 0, -1, i32::MIN] {
            let mut handshake = started(Direction::Outbound);
            assert_eq!(
                handshake.on_message(Message::Version(version(got, 2))),
                Err(Disconnect::Obsolete { min: 31800, got })
            );
        }
        assert!(
            started(Direction::Outbound).on_message(Message::Version(version(31800, 2))).is_ok()
        );
    }

    #[test]
    fn features_count_only_after_the_peers_version() {
        let mut handshake = started(Direction::Outbound);
        handshake.on_message(Message::SendAddrV2).unwrap();
        handshake.on_message(Message::Version(version(70016, 2))).unwrap();
        handshake.on_message(Message::WtxidRelay).unwrap();
        assert!(handshake.finish().is_none());
        handshake.on_message(Message::Verack).unwrap();
        let negotiated = handshake.finish().unwrap();
        assert!(!negotiated.wants_addrv2);
        assert!(negotiated.wtxid_relay);
    }

    #[test]
    fn a_second_version_is_ignored() {
        let mut handshake = started(Direction::Outbound);
        handshake.on_message(Message::Version(version(70016, 2))).unwrap();
        assert_eq!(handshake.on_message(Message::Version(version(1, 3))), Ok(Vec::new()));
        handshake.on_message(Message::Verack).unwrap();
        assert_eq!(handshake.finish().unwrap().version.nonce, 2);
    }

    #[test]
    fn verack_may_come_first_but_only_after_our_version() {
        let mut handshake = started(Direction::Outbound);
        handshake.on_message(Message::Verack).unwrap();
        handshake.on_message(Message::Version(version(70016, 2))).unwrap();
        assert!(handshake.finish().is_some());
        let mut handshake = started(Direction::Inbound);
        handshake.on_message(Message::Verack).unwrap();
        handshake.on_message(Message::Version(version(70016, 2))).unwrap();
        assert!(handshake.finish().is_none());
    }
}
