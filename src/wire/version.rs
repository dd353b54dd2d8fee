//! `version`: the message in which a node describes itself.

use super::addr::Endpoint;
use super::codec::{Reader, put_var_bytes};
use super::error::DecodeError;
use super::services::ServiceFlags;
use std::fmt::Write;

/// The protocol version we speak. Source: Bitcoin Core `PROTOCOL_VERSION` (BIP339).
pub const PROTOCOL_VERSION: i32 = 70016;

/// The oldest version we talk to: the first with `getheaders`. Source: Bitcoin Core `MIN_PEER_PROTO_VERSION`.
pub const MIN_PEER_VERSION: i32 = 31800;

/// Longest user agent in bytes. Source: Bitcoin Core `MAX_SUBVERSION_LENGTH` (BIP14).
pub const MAX_USER_AGENT: usize = 256;

/// The first message of each side.
///
/// Later protocol versions added the fields after `receiver`, in the order in which they are listed. A payload may end
/// before any of these fields, but not between `sender` and `nonce`. A field that is absent has the value that its
/// documentation gives. Bytes after the last field are ignored.
///
/// Source: Bitcoin Core `PeerManagerImpl::ProcessMessage`, `NetMsgType::VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The sender's protocol version. It is signed as in Bitcoin Core, so that a nonsensical version of 2^31 or more is
    /// negative, and thus below every minimum.
    pub version: i32,
    /// The services that the sender offers.
    pub services: ServiceFlags,
    /// The sender's clock, Unix time in seconds.
    pub time: i64,
    /// The receiver's address, as the sender sees it.
    pub receiver: Endpoint,
    /// The sender's own address; [`Endpoint::UNSPECIFIED`] if absent. Bitcoin Core fills in only its services, and
    /// leaves address and port zero.
    pub sender: Endpoint,
    /// A random number that lets a node recognise a connection to itself; 0 if absent.
    pub nonce: u64,
    /// The sender's user agent as it came, at most [`MAX_USER_AGENT`] bytes; empty if absent.
    pub user_agent: Vec<u8>,
    /// The height of the sender's best chain, as the sender claims; -1 if absent.
    pub start_height: i32,
    /// Whether the sender wants transactions to be announced to it (BIP37); true if absent.
    pub relay: bool,
}

impl Version {
    /// Returns the user agent as text. Control characters are still in it, so use [`safe_text`](super::safe_text) to
    /// show it. A byte that is not valid UTF-8 is written as its hex digits, such as `\xff`.
    pub fn user_agent_text(&self) -> String {
        let mut text = String::with_capacity(self.user_agent.len());
        for chunk in self.user_agent.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                // Writing into a String does not fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut version = Self {
            version: reader.i32()?,
            services: ServiceFlags(reader.u64()?),
            time: reader.i64()?,
            receiver: Endpoint::decode(reader)?,
            sender: Endpoint::UNSPECIFIED,
            nonce: 0,
            user_agent: Vec::new(),
            start_height: -1,
            relay: true,
        };
        if !reader.is_empty() {
            version.sender = Endpoint::decode(reader)?;
            version.nonce = reader.u64()?;
        }
        if !reader.is_empty() {
            version.user_agent = reader.var_bytes("user agent bytes", MAX_USER_AGENT)?.to_vec();
        }
        if !reader.is_empty() {
            version.start_height = reader.i32()?;
        }
        if !reader.is_empty() {
            version.relay = reader.bool()?;
        }
        Ok(version)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.services.0.to_le_bytes());
        out.extend_from_slice(&self.time.to_le_bytes());
        self.receiver.encode(out);
        self.sender.encode(out);
        out.extend_from_slice(&self.nonce.to_le_bytes());
        put_var_bytes(out, &self.user_agent);
        out.extend_from_slice(&self.start_height.to_le_bytes());
        out.push(u8::from(self.relay));
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Endpoint, Reader, ServiceFlags, Version};
    use crate::primitives::hex;

    /// The example of a `version` message in the Bitcoin Wiki's protocol documentation. Version 0.7.2 sends no `relay`.
    const SATOSHI_0_7_2: &str = "62ea0000010000000000000011b2d05000000000\
        010000000000000000000000000000000000ffff000000000000\
        010000000000000000000000000000000000ffff000000000000\
        3b2eb35d8ce617650f2f5361746f7368693a302e372e322fc03e0300";

    fn decode(bytes: &[u8]) -> Result<Version, DecodeError> {
        Version::decode(&mut Reader::new(bytes))
    }

    #[test]
    fn the_example_of_the_protocol_documentation_decodes() {
        let version = decode(&hex::decode(SATOSHI_0_7_2).unwrap()).unwrap();
        assert_eq!(version.version, 60002);
        assert_eq!(version.services, ServiceFlags::NETWORK);
        assert_eq!(version.time, 1_355_854_353);
        assert_eq!(version.receiver.socket_addr().to_string(), "0.0.0.0:0");
        assert_eq!(version.nonce, 0x6517_e68c_5db3_2e3b);
        assert_eq!(version.user_agent_text(), "/Satoshi:0.7.2/");
        assert_eq!(version.start_height, 212_672);
        assert!(version.relay);
    }

    #[test]
    fn a_version_may_end_before_each_later_field() {
        let bytes = hex::decode(SATOSHI_0_7_2).unwrap();
        let short = decode(&bytes[..46]).unwrap();
        assert_eq!((short.sender, short.nonce), (Endpoint::UNSPECIFIED, 0));
        assert_eq!((short.start_height, short.relay), (-1, true));
        let with_nonce = decode(&bytes[..80]).unwrap();
        assert_ne!(with_nonce.nonce, 0);
        assert!(with_nonce.user_agent.is_empty());
        let with_agent = decode(&bytes[..96]).unwrap();
        assert_eq!(with_agent.user_agent, b"/Satoshi:0.7.2/");
        assert_eq!(with_agent.start_height, -1);
    }

    #[test]
    fn a_version_may_not_end_inside_a_field() {
        let bytes = hex::decode(SATOSHI_0_7_2).unwrap();
        for end in (0..bytes.len()).filter(|end| ![46, 80, 96].contains(end)) {
            assert!(
                matches!(decode(&bytes[..end]), Err(DecodeError::Truncated { .. })),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn bytes_after_the_relay_field_are_ignored() {
        let mut bytes = hex::decode(SATOSHI_0_7_2).unwrap();
        bytes.extend_from_slice(&[0, 1, 2, 3]);
        assert!(!decode(&bytes).unwrap().relay);
    }

    #[test]
    fn a_user_agent_is_kept_whole_and_made_safe_only_when_it_is_shown() {
        let mut version = decode(&hex::decode(SATOSHI_0_7_2).unwrap()).unwrap();
        version.user_agent = "/Knots+é:\u{1b}[31m/".as_bytes().to_vec();
        version.user_agent.push(0xff);
        let text = version.user_agent_text();
        assert_eq!(text, "/Knots+é:\u{1b}[31m/\\xff");
        assert_eq!(crate::wire::safe_text(&text), "/Knots:31m/xff");
    }

    #[test]
    fn a_user_agent_beyond_256_bytes_is_refused() {
        let mut bytes = hex::decode(SATOSHI_0_7_2).unwrap();
        bytes.truncate(80);
        bytes.extend_from_slice(&[0xfd, 0x01, 0x01]);
        bytes.extend_from_slice(&[b'a'; 257]);
        assert!(matches!(
            decode(&bytes),
            Err(DecodeError::TooMany { at: 80, limit: 256, got: 257, .. })
        ));
    }
}
