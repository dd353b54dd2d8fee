//! Addresses of peers, and their textual form.

use crate::wire::NetAddress;
use data_encoding::BASE32_NOPAD;
use sha3::{Digest, Sha3_256};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

const ONION: &str = ".onion";
const I2P: &str = ".b32.i2p";

/// Version byte of an onion address. Source: Tor `rend-spec-v3`, section 6.
const ONION_VERSION: u8 = 3;

/// The host of a peer, in a network that this program can reach directly or through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address that is not an IPv4-mapped one.
    V6(Ipv6Addr),
    /// An onion service, by its public key.
    Onion([u8; 32]),
    /// An I2P destination, by its SHA-256.
    I2p([u8; 32]),
}

/// The network of an address. Each network can be reachable or not, independently of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressNetwork {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Onion services, which only Tor's proxy reaches.
    Onion,
    /// I2P, which only an I2P proxy reaches.
    I2p,
}

impl AddressNetwork {
    /// All networks.
    pub const ALL: [Self; 4] = [Self::Ipv4, Self::Ipv6, Self::Onion, Self::I2p];

    /// Returns whether only a proxy can reach this network.
    pub fn needs_proxy(self) -> bool {
        matches!(self, Self::Onion | Self::I2p)
    }
}

impl fmt::Display for AddressNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Onion => "onion",
            Self::I2p => "I2P",
        })
    }
}

/// The address of a peer.
///
/// Its textual form is `1.2.3.4:8333`, `[2001:db8::1]:8333`, `….onion:8333`, or `….b32.i2p:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerAddress {
    /// The host.
    pub host: Host,
    /// The port; 0 on I2P, which has no ports.
    pub port: u16,
}

impl PeerAddress {
    /// Returns the address in an `addrv2` entry. Returns `None` if this program cannot reach the address's network
    /// (CJDNS or an unknown one), and for an IPv6 address that wraps an IPv4 or a Tor v2 address: see
    /// [`NetAddress::socket_addr`].
    pub fn new(address: &NetAddress, port: u16) -> Option<Self> {
        let host = match address {
            NetAddress::TorV3(key) => Host::Onion(*key),
            NetAddress::I2p(hash) => Host::I2p(*hash),
            direct => return direct.socket_addr(port).map(Self::from),
        };
        Some(Self { host, port })
    }

    /// Returns the address as `addrv2` carries it.
    pub fn net_address(&self) -> NetAddress {
        match self.host {
            Host::V4(ip) => NetAddress::Ipv4(ip),
            Host::V6(ip) => NetAddress::Ipv6(ip),
            Host::Onion(key) => NetAddress::TorV3(key),
            Host::I2p(hash) => NetAddress::I2p(hash),
        }
    }

    /// Returns the address that a socket can connect to; `None` if only a proxy can reach it.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.host {
            Host::V4(ip) => Some(SocketAddr::from((ip, self.port))),
            Host::V6(ip) => Some(SocketAddr::from((ip, self.port))),
            Host::Onion(_) | Host::I2p(_) => None,
        }
    }

    /// Returns the network of the address.
    pub fn network(&self) -> AddressNetwork {
        match self.host {
            Host::V4(_) => AddressNetwork::Ipv4,
            Host::V6(_) => AddressNetwork::Ipv6,
            Host::Onion(_) => AddressNetwork::Onion,
            Host::I2p(_) => AddressNetwork::I2p,
        }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip().to_canonical() {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip),
        };
        Self { host, port: address.port() }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host {
            Host::V4(ip) => write!(f, "{ip}:{port}"),
            Host::V6(ip) => write!(f, "[{ip}]:{port}"),
            Host::Onion(key) => write!(f, "{}{ONION}:{port}", onion_name(key)),
            Host::I2p(hash) => write!(f, "{}{I2P}:{port}", encode_base32(hash)),
        }
    }
}

/// The text is not the address of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected IP:PORT, NAME.onion:PORT or NAME.b32.i2p:PORT, got {got:?}")]
pub struct PeerAddressError {
    /// The text.
    pub got: String,
}

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        let overlay = || {
            let (name, port) = text.rsplit_once(':')?;
            let port = port.parse().ok()?;
            let host = match name.strip_suffix(ONION) {
                Some(name) => Host::Onion(onion_key(name)?),
                None => Host::I2p(decode_base32(name.strip_suffix(I2P)?)?.try_into().ok()?),
            };
            Some(Self { host, port })
        };
        let direct = text.parse::<SocketAddr>().ok().map(Self::from);
        direct.or_else(overlay).ok_or_else(|| PeerAddressError { got: text.to_owned() })
    }
}

fn encode_base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

fn decode_base32(name: &str) -> Option<Vec<u8>> {
    BASE32_NOPAD.decode(name.to_ascii_uppercase().as_bytes()).ok()
}

/// Encodes a key, two bytes of checksum and the version. Source: Tor `rend-spec-v3`, section 6.
fn onion_name(key: &[u8; 32]) -> String {
    let [first, second] = onion_checksum(key);
    encode_base32(&[&key[..], &[first, second, ONION_VERSION]].concat())
}

fn onion_key(name: &str) -> Option<[u8; 32]> {
    let bytes = decode_base32(name)?;
    let (key, rest) = bytes.split_first_chunk::<32>()?;
    let [first, second] = onion_checksum(key);
    (rest == [first, second, ONION_VERSION]).then_some(*key)
}

fn onion_checksum(key: &[u8; 32]) -> [u8; 2] {
    let digest = Sha3_256::new()
        .chain_update(b".onion checksum")
        .chain_update(key)
        .chain_update([ONION_VERSION])
        .finalize();
    [digest[0], digest[1]]
}

#[cfg(test)]
mod tests {
    use super::{Host, NetAddress, PeerAddress};

    /// The address of the Tor Project's own site.
    const TOR_PROJECT: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:443";

    #[test]
    fn an_address_is_parsed_from_its_own_text() {
        let i2p = "ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:0";
        for text in ["1.2.3.4:8333", "[2001:470::1]:18333", TOR_PROJECT, i2p] {
            let address: PeerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(PeerAddress::new(&address.net_address(), address.port), Some(address));
        }
        assert!(matches!(i2p.parse::<PeerAddress>().unwrap().host, Host::I2p(_)));
    }

    #[test]
    fn a_mistyped_onion_name_and_other_texts_are_refused() {
        let mistyped = TOR_PROJECT.replace("2gzy", "2gzz");
        for text in [mistyped.as_str(), "abc.onion:1", "example.org:8333", "1.2.3.4", "", ":"] {
            let error = text.parse::<PeerAddress>().unwrap_err();
            assert_eq!(error.got, text);
        }
    }

    #[test]
    fn text_of_an_ipv4_mapped_address_gives_ipv4_and_addrv2_with_one_is_refused_like_cjdns() {
        let mapped = "[::ffff:1.2.3.4]:8333".parse::<PeerAddress>().unwrap();
        assert_eq!(mapped.to_string(), "1.2.3.4:8333");
        let wrapped = NetAddress::Ipv6("::ffff:1.2.3.4".parse().unwrap());
        assert_eq!(PeerAddress::new(&wrapped, 8333), None);
        let cjdns = NetAddress::Cjdns("fc00::1".parse().unwrap());
        assert_eq!(PeerAddress::new(&cjdns, 8333), None);
    }
}
