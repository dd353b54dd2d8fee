//! `addr`: addresses of other nodes in the form from before BIP155.

use super::codec::{Reader, put_count};
use super::error::DecodeError;
use super::services::ServiceFlags;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Most entries in an `addr` or `addrv2` message. Source: Bitcoin Core `MAX_ADDR_TO_SEND`.
pub const MAX_ADDRS: usize = 1000;

const ENDPOINT_LEN: usize = 26;
const ENTRY_LEN: usize = 4 + ENDPOINT_LEN;

/// A node's address and services as `version` and `addr` carry them: 26 bytes.
///
/// Source: Bitcoin Core `CAddress` serialised as V1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The services that the node is said to offer.
    pub services: ServiceFlags,
    /// The address; an IPv4 one is mapped (`::ffff:a.b.c.d`).
    pub ip: Ipv6Addr,
    /// TCP port; big-endian on the wire.
    pub port: u16,
}

impl Endpoint {
    /// The address `::` with port 0 and no services, for an address that is not known or not told.
    pub const UNSPECIFIED: Self =
        Self { services: ServiceFlags::NONE, ip: Ipv6Addr::UNSPECIFIED, port: 0 };

    /// Returns the endpoint of a socket address.
    pub fn new(address: SocketAddr, services: ServiceFlags) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { services, ip, port: address.port() }
    }

    /// Returns the socket address; a mapped IPv4 address comes out as IPv4.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip.to_canonical(), self.port)
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            services: ServiceFlags(reader.u64()?),
            ip: Ipv6Addr::from(reader.array::<16>()?),
            port: reader.u16_be()?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.services.0.to_le_bytes());
        out.extend_from_slice(&self.ip.octets());
        out.extend_from_slice(&self.port.to_be_bytes());
    }
}

/// One entry of an `addr` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddrEntry {
    /// When the node was last seen, Unix time in seconds; as the sender claims.
    pub time: u32,
    /// Its address.
    pub endpoint: Endpoint,
}

/// Reads the payload of an `addr` message. Bytes after the last entry are ignored, as in Bitcoin Core.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<AddrEntry>, DecodeError> {
    reader.list("addresses", MAX_ADDRS, ENTRY_LEN, |reader| {
        Ok(AddrEntry { time: reader.u32()?, endpoint: Endpoint::decode(reader)? })
    })
}

/// Writes the payload of an `addr` message.
pub(super) fn encode(entries: &[AddrEntry], out: &mut Vec<u8>) {
    put_count(out, entries.len());
    for entry in entries {
        out.extend_from_slice(&entry.time.to_le_bytes());
        entry.endpoint.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::{AddrEntry, DecodeError, Endpoint, Reader, ServiceFlags, decode, encode};
    use crate::primitives::hex;

    #[test]
    fn the_example_of_the_protocol_documentation_decodes() {
        let payload = "01e215104d010000000000000000000000000000000000ffff0a000001208d";
        let bytes = hex::decode(payload).unwrap();
        let entries = decode(&mut Reader::new(&bytes)).unwrap();
        let endpoint = Endpoint::new("10.0.0.1:8333".parse().unwrap(), ServiceFlags::NETWORK);
        assert_eq!(entries, [AddrEntry { time: 0x4d10_15e2, endpoint }]);
        assert_eq!(endpoint.socket_addr().to_string(), "10.0.0.1:8333");
        let mut out = Vec::new();
        encode(&entries, &mut out);
        assert_eq!(hex::encode(&out), payload);
    }

    #[test]
    fn more_than_a_thousand_addresses_are_refused() {
        assert_eq!(
            decode(&mut Reader::new(&[0xfd, 0xe9, 0x03])),
            Err(DecodeError::TooMany { what: "addresses", at: 0, limit: 1000, got: 1001 })
        );
    }
}
