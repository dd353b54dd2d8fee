//! The format of the address manager's file.
//!
//! This is version 1. Numbers are little-endian, except ports. Times are in Unix seconds. The file consists of:
//!
//! - `LCADDRS\n`, version u16, the network's magic (4 bytes), the key (32 bytes), and the time of the last successful
//!   handshake u64 (1: none);
//! - the number of known addresses u32, and these addresses;
//! - the number of avoided addresses u32, and these addresses;
//! - the double SHA-256 of all bytes before it (32 bytes).
//!
//! Each address begins with its BIP155 network id u8, the host in 32 bytes (shorter ones padded with zeros), and the
//! port u16 big-endian. A known address continues with its source's group (6 bytes), services u64, last seen u64, last
//! try u64, last counted failure u64, last success u64, failures u32, successes u32, latency in microseconds u32 (all
//! ones: none), and its choice of position in the new table u8 (255: in the tried table instead). An avoided address
//! continues with the time until which it is avoided u64, and the reason u8 (0 discouraged, 1 our own).

use super::addr_info::AddrInfo;
use super::address::{Host, PeerAddress};
use super::avoided::{AvoidReason, MAX_AVOIDED};
use super::group::NetGroup;
use super::routable::Scope;
use super::table::{CAPACITY, CHOICES};
use super::{AddrMan, AddressNetwork};
use crate::primitives::sha256d;
use crate::wire::{DecodeError, Reader, ServiceFlags};
use std::time::Duration;

const MAGIC: [u8; 8] = *b"LCADDRS\n";
const VERSION: u16 = 1;
const NO_LATENCY: u32 = u32::MAX;
const TRIED: u8 = u8::MAX;
const CHECKSUM: usize = 32;

/// Why bytes cannot be read as an address manager of this network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddrManError {
    /// The bytes do not begin like an address manager.
    #[error("not an address manager")]
    NotAddresses,
    /// The format's version is not ours: a later version of the program may have written the file.
    #[error("format version {VERSION} expected, got {got}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// The bytes belong to another network.
    #[error("network magic {expected:02x?} expected, got {got:02x?}")]
    Network {
        /// This network's magic.
        expected: [u8; 4],
        /// The magic in the file.
        got: [u8; 4],
    },
    /// The checksum is wrong.
    #[error("the checksum does not match")]
    Checksum,
    /// The bytes claim more addresses than there can be.
    #[error("at most {limit} addresses expected, got {got}")]
    TooMany {
        /// The most addresses that there can be.
        limit: usize,
        /// The number in the file.
        got: u32,
    },
    /// A byte that stands for a network, a position or a flag is invalid.
    #[error("byte {got} where a network, a position or a flag was expected")]
    Invalid {
        /// The byte.
        got: u8,
    },
    /// The bytes end too early.
    #[error(transparent)]
    Short(#[from] DecodeError),
}

impl AddrMan {
    /// Writes the address manager as bytes. `magic` is the network's, in wire order.
    pub fn encode(&self, magic: [u8; 4]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(magic);
        out.extend(self.key.0);
        out.extend(self.last_good.to_le_bytes());
        out.extend(length(self.known.len()));
        self.known.values().for_each(|info| put_info(&mut out, info));
        out.extend(length(self.avoided.iter().len()));
        for (address, until, reason) in self.avoided.iter() {
            put_address(&mut out, address);
            out.extend(until.to_le_bytes());
            out.push(u8::from(reason == AvoidReason::Own));
        }
        let checksum = sha256d(&out);
        out.extend(checksum);
        out
    }

    /// Reads the bytes that [`AddrMan::encode`] wrote. Known addresses that `scope` does not allow are left out.
    ///
    /// # Errors
    /// The bytes are damaged, of another version, or of another network.
    pub fn decode(bytes: &[u8], magic: [u8; 4], scope: Scope) -> Result<Self, AddrManError> {
        let Some((body, checksum)) = bytes.split_last_chunk::<CHECKSUM>() else {
            return Err(AddrManError::NotAddresses);
        };
        let mut reader = Reader::new(body);
        if reader.array::<8>().ok() != Some(MAGIC) {
            return Err(AddrManError::NotAddresses);
        }
        let version = u16::from_le_bytes(reader.array()?);
        if version != VERSION {
            return Err(AddrManError::Version { got: version });
        }
        if sha256d(body) != *checksum {
            return Err(AddrManError::Checksum);
        }
        let got = reader.array()?;
        if got != magic {
            return Err(AddrManError::Network { expected: magic, got });
        }
        let mut addrman = Self::new(reader.array()?, scope);
        addrman.last_good = reader.u64()?;
        for _ in 0..count(&mut reader, CAPACITY)? {
            addrman.restore(info(&mut reader)?);
        }
        for _ in 0..count(&mut reader, MAX_AVOIDED)? {
            let address = address(&mut reader)?;
            let until = reader.u64()?;
            let reason =
                if flag(&mut reader)? { AvoidReason::Own } else { AvoidReason::Discouraged };
            addrman.avoided.restore(address, until, reason);
        }
        Ok(addrman)
    }

    /// Puts an address back into its position, which follows from `info` and the key.
    fn restore(&mut self, info: AddrInfo) {
        // An address that the file lists twice would otherwise have two positions.
        if !self.scope.allows(&info.address) || self.known.contains_key(&info.address) {
            return;
        }
        let (table, position) = if info.tried {
            (&mut self.tried, self.key.tried_position(&info.address))
        } else {
            let position = self.new_position(&info, info.choice);
            (&mut self.new, position)
        };
        if let Some(other) = table.set(position, info.address) {
            self.known.remove(&other);
        }
        self.known.insert(info.address, info);
    }
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("both lists are far shorter").to_le_bytes()
}

fn count(reader: &mut Reader<'_>, limit: usize) -> Result<u32, AddrManError> {
    let got = reader.u32()?;
    let fits = usize::try_from(got).is_ok_and(|got| got <= limit);
    if fits { Ok(got) } else { Err(AddrManError::TooMany { limit, got }) }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, AddrManError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        got => Err(AddrManError::Invalid { got }),
    }
}

fn put_address(out: &mut Vec<u8>, address: &PeerAddress) {
    let mut bytes = [0; 32];
    match address.host {
        Host::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
        Host::V6(ip) => bytes[..16].copy_from_slice(&ip.octets()),
        Host::Onion(key) => bytes = key,
        Host::I2p(hash) => bytes = hash,
    }
    out.push(match address.network() {
        AddressNetwork::Ipv4 => 1,
        AddressNetwork::Ipv6 => 2,
        AddressNetwork::Onion => 4,
        AddressNetwork::I2p => 5,
    });
    out.extend(bytes);
    out.extend(address.port.to_be_bytes());
}

fn address(reader: &mut Reader<'_>) -> Result<PeerAddress, AddrManError> {
    let id = reader.u8()?;
    let bytes: [u8; 32] = reader.array()?;
    let [a, b, c, d, ..] = bytes;
    let mut v6 = [0; 16];
    v6.copy_from_slice(&bytes[..16]);
    let host = match id {
        1 => Host::V4([a, b, c, d].into()),
        2 => Host::V6(v6.into()),
        4 => Host::Onion(bytes),
        5 => Host::I2p(bytes),
        got => return Err(AddrManError::Invalid { got }),
    };
    Ok(PeerAddress { host, port: reader.u16_be()? })
}

fn put_info(out: &mut Vec<u8>, info: &AddrInfo) {
    put_address(out, &info.address);
    out.extend(info.source.0);
    let times = [info.last_seen, info.last_try, info.last_counted_failure, info.last_success];
    for number in [info.services.0].into_iter().chain(times) {
        out.extend(number.to_le_bytes());
    }
    let latency = info.latency.map(|latency| u32::try_from(latency.as_micros()));
    let latency = latency.map_or(NO_LATENCY, |latency| latency.unwrap_or(NO_LATENCY - 1));
    for number in [info.failures, info.successes, latency] {
        out.extend(number.to_le_bytes());
    }
    out.push(if info.tried { TRIED } else { info.choice });
}

fn info(reader: &mut Reader<'_>) -> Result<AddrInfo, AddrManError> {
    let address = address(reader)?;
    let source = NetGroup(reader.array()?);
    let services = ServiceFlags(reader.u64()?);
    let (last_seen, last_try) = (reader.u64()?, reader.u64()?);
    let (last_counted_failure, last_success) = (reader.u64()?, reader.u64()?);
    let (failures, successes) = (reader.u32()?, reader.u32()?);
    let latency = reader.u32()?;
    let position = reader.u8()?;
    if position != TRIED && position >= CHOICES {
        return Err(AddrManError::Invalid { got: position });
    }
    let latency = Some(latency).filter(|latency| *latency != NO_LATENCY);
    Ok(AddrInfo {
        address,
        source,
        services,
        last_seen,
        failures,
        last_try,
        last_counted_failure,
        successes,
        last_success,
        latency: latency.map(|micros| Duration::from_micros(micros.into())),
        tried: position == TRIED,
        choice: if position == TRIED { 0 } else { position },
    })
}
