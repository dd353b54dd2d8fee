//! `addrv2`: addresses of other nodes on any network (BIP155).

use super::addr::MAX_ADDRS;
use super::codec::{Reader, put_compact_size, put_count, put_var_bytes};
use super::error::DecodeError;
use super::services::ServiceFlags;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest address in bytes, whatever its network. Source: BIP155.
pub const MAX_ADDRV2_LEN: usize = 512;

/// Fewest bytes of an entry: time, services, network id, address length and port, each in its shortest form.
const MIN_ENTRY_LEN: usize = 4 + 1 + 1 + 1 + 2;

const IPV4: u8 = 1;
const IPV6: u8 = 2;
const TOR_V3: u8 = 4;
const I2P: u8 = 5;
const CJDNS: u8 = 6;

/// An address on one of BIP155's networks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NetAddress {
    /// Network 1.
    Ipv4(Ipv4Addr),
    /// Network 2.
    Ipv6(Ipv6Addr),
    /// Network 4: the public key of an onion service.
    TorV3([u8; 32]),
    /// Network 5: the SHA-256 of an I2P destination.
    I2p([u8; 32]),
    /// Network 6.
    Cjdns(Ipv6Addr),
    /// Any other network, whose addresses are decoded and never used. As in Bitcoin Core, the retired Tor v2
    /// (network 3) is such a network.
    Other {
        /// The BIP155 network id.
        id: u8,
        /// The address, at most [`MAX_ADDRV2_LEN`] bytes.
        bytes: Vec<u8>,
    },
}

impl NetAddress {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = reader.u8()?;
        let at = reader.position();
        let bytes = reader.var_bytes("address bytes", MAX_ADDRV2_LEN)?;
        Ok(match id {
            IPV4 => Self::Ipv4(Ipv4Addr::from(exactly::<4>(id, at, bytes)?)),
            IPV6 => Self::Ipv6(Ipv6Addr::from(exactly::<16>(id, at, bytes)?)),
            TOR_V3 => Self::TorV3(exactly(id, at, bytes)?),
            I2P => Self::I2p(exactly(id, at, bytes)?),
            CJDNS => Self::Cjdns(Ipv6Addr::from(exactly::<16>(id, at, bytes)?)),
            id => Self::Other { id, bytes: bytes.to_vec() },
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id());
        match self {
            Self::Ipv4(ip) => put_var_bytes(out, &ip.octets()),
            Self::Ipv6(ip) | Self::Cjdns(ip) => put_var_bytes(out, &ip.octets()),
            Self::TorV3(bytes) | Self::I2p(bytes) => put_var_bytes(out, bytes),
            Self::Other { bytes, .. } => put_var_bytes(out, bytes),
        }
    }

    /// Returns the BIP155 network id.
    pub fn id(&self) -> u8 {
        match self {
            Self::Ipv4(_) => IPV4,
            Self::Ipv6(_) => IPV6,
            Self::TorV3(_) => TOR_V3,
            Self::I2p(_) => I2P,
            Self::Cjdns(_) => CJDNS,
            Self::Other { id, .. } => *id,
        }
    }

    /// Returns the IPv4 or IPv6 address with this port, for a socket to connect to; `None` for all other networks.
    ///
    /// Also returns `None` for an IPv6 address that wraps an IPv4 or a Tor v2 address: BIP155 has an id for each
    /// network, and Bitcoin Core ignores wrapped addresses.
    pub fn socket_addr(&self, port: u16) -> Option<SocketAddr> {
        const ONION_CAT: [u8; 6] = [0xfd, 0x87, 0xd8, 0x7e, 0xeb, 0x43];
        match self {
            Self::Ipv4(ip) => Some(SocketAddr::from((*ip, port))),
            Self::Ipv6(ip) if ip.to_ipv4_mapped().is_some() => None,
            Self::Ipv6(ip) if ip.octets().starts_with(&ONION_CAT) => None,
            Self::Ipv6(ip) => Some(SocketAddr::from((*ip, port))),
            Self::TorV3(_) | Self::I2p(_) | Self::Cjdns(_) | Self::Other { .. } => None,
        }
    }
}

fn exactly<const N: usize>(network: u8, at: usize, bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    let wrong = |_| DecodeError::AddressLength { network, at, expected: N, got: bytes.len() };
    <[u8; N]>::try_from(bytes).map_err(wrong)
}

/// One entry of an `addrv2` message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddrV2Entry {
    /// When the node was last seen, Unix time in seconds; as the sender claims.
    pub time: u32,
    /// The services that the node is said to offer; a CompactSize on the wire.
    pub services: ServiceFlags,
    /// Its address.
    pub address: NetAddress,
    /// Port, big-endian on the wire; 0 where the network has none.
    pub port: u16,
}

impl AddrV2Entry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            time: reader.u32()?,
            services: ServiceFlags(reader.compact_size()?),
            address: NetAddress::decode(reader)?,
            port: reader.u16_be()?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_le_bytes());
        put_compact_size(out, self.services.0);
        self.address.encode(out);
        out.extend_from_slice(&self.port.to_be_bytes());
    }

    /// Returns the address and port for a socket, as [`NetAddress::socket_addr`] does.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.address.socket_addr(self.port)
    }
}

/// Reads the payload of an `addrv2` message; bytes after the last entry are ignored, as in Bitcoin Core.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<AddrV2Entry>, DecodeError> {
    reader.list("addresses", MAX_ADDRS, MIN_ENTRY_LEN, AddrV2Entry::decode)
}

/// Writes the payload of an `addrv2` message.
pub(super) fn encode(entries: &[AddrV2Entry], out: &mut Vec<u8>) {
    put_count(out, entries.len());
    for entry in entries {
        entry.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::{AddrV2Entry, DecodeError, NetAddress, Reader, decode};
    use crate::primitives::hex;

    fn one(network_and_address: &str) -> Result<AddrV2Entry, DecodeError> {
        let bytes = hex::decode(&format!("0179627683{network_and_address}208d")).unwrap();
        // The services, in one byte, go after the count and the time.
        let bytes = [&bytes[..5], &[0x01], &bytes[5..]].concat();
        decode(&mut Reader::new(&bytes)).map(|mut entries| entries.remove(0))
    }

    #[test]
    fn every_known_network_decodes_to_its_own_kind() {
        let key = "53cd5648488c4707914182655b7664034e09e66f7e8cbf1084e654eb56c5bd88";
        let entry = one("010401020304").unwrap();
        assert_eq!(entry.socket_addr().unwrap().to_string(), "1.2.3.4:8333");
        let entry = one("02102001048860486048000000000000 8888".replace(' ', "").as_str()).unwrap();
        assert_eq!(entry.socket_addr().unwrap().to_string(), "[2001:488:6048:6048::8888]:8333");
        assert!(matches!(one(&format!("0420{key}")).unwrap().address, NetAddress::TorV3(_)));
        assert!(matches!(one(&format!("0520{key}")).unwrap().address, NetAddress::I2p(_)));
        let entry = one("0610fc000001000200030004000500060007").unwrap();
        assert_eq!(entry.address, NetAddress::Cjdns("fc00:1:2:3:4:5:6:7".parse().unwrap()));
        assert_eq!(entry.socket_addr(), None);
    }

    #[test]
    fn a_known_network_with_a_wrong_length_is_an_error() {
        for (id, expected) in [(1, 4), (2, 16), (4, 32), (5, 32), (6, 16)] {
            assert_eq!(
                one(&format!("{id:02x}050102030405")),
                Err(DecodeError::AddressLength { network: id, at: 7, expected, got: 5 })
            );
        }
    }

    #[test]
    fn an_address_of_an_unknown_network_is_kept_as_bytes() {
        let entry = one("aa0401020304").unwrap();
        assert_eq!(entry.address, NetAddress::Other { id: 0xaa, bytes: vec![1, 2, 3, 4] });
        let tor_v2 = one("030af1f2f3f4f5f6f7f8f9fa").unwrap();
        assert_eq!(tor_v2.address.id(), 3);
        assert_eq!(tor_v2.socket_addr(), None);
    }

    #[test]
    fn an_address_beyond_512_bytes_is_refused() {
        assert_eq!(
            one("aafd0102"),
            Err(DecodeError::TooMany { what: "address bytes", at: 7, limit: 512, got: 513 })
        );
    }

    #[test]
    fn an_ipv6_address_that_wraps_another_address_has_no_socket_address() {
        let entry = one("021000000000000000000000ffff01020304").unwrap();
        assert_eq!(entry.socket_addr(), None);
        let onion_cat = one("0210fd87d87eeb430102030405060708090a").unwrap();
        assert_eq!(onion_cat.socket_addr(), None);
    }
}
