//! The address manager as bytes.
//!
//! Version 1, numbers little-endian but for ports: `LCADDRS\n`, version u16, the network's magic (4), the key (32),
//! when an address answered last u64, number of addresses u32, those, number of avoided addresses u32, those, and the
//! double SHA-256 of all before it (32).
//!
//! An address is its BIP155 network id u8, 32 bytes (shorter ones padded with zeros), port u16 big-endian. A known
//! address adds source group (6), services u64, last seen, last try, last counted failure and last success u64 each,
//! tries u32, successes u32, latency in microseconds u32 (all ones: none), which of its places it has u8 (255: among
//! those that have answered). An avoided one adds until when u64 and why u8 (0 discouraged, 1 own).

use super::address::{Host, PeerAddress};
use super::avoided::{Avoided, MAX_AVOIDED};
use super::group::NetGroup;
use super::known::Known;
use super::routable::Scope;
use super::table::{CAPACITY, CHOICES, Key};
use super::{AddrMan, Reach};
use crate::primitives::sha256d;
use crate::wire::{DecodeError, Reader, ServiceFlags};
use std::time::Duration;

const MAGIC: [u8; 8] = *b"LCADDRS\n";
const VERSION: u16 = 1;
const NO_LATENCY: u32 = u32::MAX;
const TRIED: u8 = u8::MAX;
const CHECKSUM: usize = 32;

/// Bytes that are no address manager, or not this network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddrManError {
    /// It does not begin as one.
    #[error("not an address book")]
    NotAddresses,
    /// It was written by a later program.
    #[error("format version {VERSION} expected, got {got}")]
    Version {
        /// Its version.
        got: u16,
    },
    /// It is another network's.
    #[error("network magic {expected:02x?} expected, got {got:02x?}")]
    Network {
        /// Ours.
        expected: [u8; 4],
        /// Its.
        got: [u8; 4],
    },
    /// Its checksum is wrong.
    #[error("the checksum does not match")]
    Checksum,
    /// It says that it has more than any addrman.
    #[error("at most {limit} addresses expected, got {got}")]
    TooMany {
        /// The most there can be.
        limit: usize,
        /// What it says.
        got: u32,
    },
    /// An address is on a network or in a place that is not known.
    #[error("byte {got} where a network, a place or a flag was expected")]
    Unknown {
        /// The byte.
        got: u8,
    },
    /// It ends early.
    #[error(transparent)]
    Short(#[from] DecodeError),
}

impl AddrMan {
    /// The address manager as bytes; `magic` is the network's, wire order.
    pub fn encode(&self, magic: [u8; 4]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(magic);
        out.extend(self.key.0);
        out.extend(self.last_good.to_le_bytes());
        out.extend(length(self.known.len()));
        self.known.values().for_each(|known| put_known(&mut out, known));
        out.extend(length(self.avoided.iter().len()));
        for (address, until, why) in self.avoided.iter() {
            put_address(&mut out, address);
            out.extend(until.to_le_bytes());
            out.push(u8::from(why == Avoided::Own));
        }
        let checksum = sha256d(&out);
        out.extend(checksum);
        out
    }

    /// Reads what [`AddrMan::encode`] wrote. Addresses that the scope does not allow are left out.
    ///
    /// # Errors
    /// It is not what was written, or not for this network.
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
            addrman.restore(known(&mut reader)?);
        }
        for _ in 0..count(&mut reader, MAX_AVOIDED)? {
            let address = address(&mut reader)?;
            let until = reader.u64()?;
            let why = if flag(&mut reader)? { Avoided::Own } else { Avoided::Discouraged };
            addrman.avoided.restore(address, until, why);
        }
        Ok(addrman)
    }

    /// Puts an address back in its place, which the key has kept for it.
    fn restore(&mut self, known: Known) {
        if !self.scope.allows(&known.address) {
            return;
        }
        let (table, place) = if known.tried {
            (&mut self.tried, Key::tried_place(&self.key, &known.address))
        } else {
            let place = self.new_place(&known, known.choice);
            (&mut self.new, place)
        };
        if let Some(other) = table.set(place, known.address) {
            self.known.remove(&other);
        }
        self.known.insert(known.address, known);
    }
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("both tables have far fewer places").to_le_bytes()
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
        got => Err(AddrManError::Unknown { got }),
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
    out.push(match address.reach() {
        Reach::V4 => 1,
        Reach::V6 => 2,
        Reach::Onion => 4,
        Reach::I2p => 5,
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
        got => return Err(AddrManError::Unknown { got }),
    };
    Ok(PeerAddress { host, port: reader.u16_be()? })
}

fn put_known(out: &mut Vec<u8>, known: &Known) {
    put_address(out, &known.address);
    out.extend(known.source.0);
    let times = [known.last_seen, known.last_try, known.last_count, known.last_success];
    for number in [known.services.0].into_iter().chain(times) {
        out.extend(number.to_le_bytes());
    }
    let latency = known.latency.map(|latency| u32::try_from(latency.as_micros()));
    let latency = latency.map_or(NO_LATENCY, |latency| latency.unwrap_or(NO_LATENCY - 1));
    for number in [known.tries, known.successes, latency] {
        out.extend(number.to_le_bytes());
    }
    out.push(if known.tried { TRIED } else { known.choice });
}

fn known(reader: &mut Reader<'_>) -> Result<Known, AddrManError> {
    let address = address(reader)?;
    let source = NetGroup(reader.array()?);
    let services = ServiceFlags(reader.u64()?);
    let (last_seen, last_try) = (reader.u64()?, reader.u64()?);
    let (last_count, last_success) = (reader.u64()?, reader.u64()?);
    let (tries, successes) = (reader.u32()?, reader.u32()?);
    let latency = reader.u32()?;
    let place = reader.u8()?;
    if place != TRIED && place >= CHOICES {
        return Err(AddrManError::Unknown { got: place });
    }
    let latency = Some(latency).filter(|latency| *latency != NO_LATENCY);
    Ok(Known {
        address,
        source,
        services,
        last_seen,
        tries,
        last_try,
        last_count,
        successes,
        last_success,
        latency: latency.map(|micros| Duration::from_micros(micros.into())),
        tried: place == TRIED,
        choice: if place == TRIED { 0 } else { place },
    })
}
