//! Tests of the address manager.

mod eclipse;
mod files;
mod laws;

use super::{AddrMan, AdvertisedAddress, PeerAddress, Scope};
use crate::wire::ServiceFlags;
use std::net::{Ipv4Addr, SocketAddr};

const NOW: u64 = 1_800_000_000;
const MAGIC: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];

fn addrman() -> AddrMan {
    AddrMan::new([7; 32], Scope::Public)
}

fn v4(ip: u32) -> PeerAddress {
    SocketAddr::from((Ipv4Addr::from(ip), 8333)).into()
}

fn advertise(address: PeerAddress) -> AdvertisedAddress {
    AdvertisedAddress { address, services: ServiceFlags::NETWORK, time: NOW - 600 }
}
