//! Tests of the answers to `getaddr`.

use super::protocol::info;
use crate::net::PeerInfo;
use crate::net::addrman::{AddrMan, AdvertisedAddress, NetGroup, Scope};
use crate::node::listen::addresses::AddressCache;
use crate::wire::{AddrV2Entry, Message, ServiceFlags};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;

fn addrman(count: u32) -> AddrMan {
    let mut addrman = AddrMan::new([7; 32], Scope::Public);
    for number in 0..count {
        let [_, a, b, c] = number.to_be_bytes();
        let text = format!("{}.{}.{}.{}:8333", 20 + c % 150, c, b, a + 1);
        let services = ServiceFlags::NETWORK;
        let advertised =
            AdvertisedAddress { address: text.parse().unwrap(), services, time: NOW - 3 * DAY };
        addrman.add(&[advertised], NetGroup::of(&advertised.address), NOW);
    }
    addrman
}

fn entries(message: Option<Message>) -> Vec<AddrV2Entry> {
    match message {
        Some(Message::AddrV2(entries)) => entries,
        None => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_has_23_percent_of_the_addresses_and_a_thousand_at_most() {
    let mut rng = StdRng::seed_from_u64(1);
    let few = addrman(200);
    let mut cache = AddressCache::default();
    cache.renew(Some(&few), NOW, &mut rng);
    let told = entries(cache.message(&info(0), NOW));
    assert_eq!(told.len(), few.len() * 23 / 100);
    let distinct: BTreeSet<String> =
        told.iter().map(|entry| format!("{:?}", entry.address)).collect();
    assert_eq!(distinct.len(), told.len());
    let many = addrman(9000);
    assert!(many.len() > 5000, "{}", many.len());
    cache.renew(Some(&many), NOW, &mut rng);
    assert_eq!(entries(cache.message(&info(0), NOW)).len(), 1000);
}

#[test]
fn the_answer_stays_the_same_for_a_day_and_an_empty_one_does_not() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut cache = AddressCache::default();
    assert!(cache.is_stale(NOW));
    cache.renew(None, NOW, &mut rng);
    assert_eq!(cache.message(&info(0), NOW), None);
    assert!(!cache.is_stale(NOW) && cache.is_stale(NOW + 600));
    cache.renew(Some(&addrman(200)), NOW, &mut rng);
    assert!(!cache.is_stale(NOW + 20 * 3600) && cache.is_stale(NOW + 27 * 3600));
    assert!(cache.is_stale(NOW - 2 * DAY), "the clock was set back");
}

/// The address manager sets times from gossip back by two hours. So an answer with a time within the last two hours
/// would show that we have been connected to the address.
#[test]
fn times_do_not_tell_whom_we_are_connected_to() {
    let mut addrman = addrman(100);
    let connected = *addrman.iter().next().unwrap();
    let latency = Duration::from_millis(9);
    addrman.answered(&connected.address, ServiceFlags::NETWORK, latency, NOW);
    assert_eq!(addrman.get(&connected.address).unwrap().last_seen, NOW);
    let mut cache = AddressCache::default();
    let is_in_some_answer = (0..100).any(|seed| {
        cache.renew(Some(&addrman), NOW, &mut StdRng::seed_from_u64(seed));
        let told = entries(cache.message(&info(0), NOW));
        assert!(told.iter().all(|entry| u64::from(entry.time) <= NOW - 2 * 3600));
        told.iter().any(|entry| entry.address == connected.address.net_address())
    });
    assert!(is_in_some_answer);
}

#[test]
fn a_peer_without_addrv2_is_told_what_addr_can_carry() {
    let mut addrman = AddrMan::new([7; 32], Scope::Public);
    let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:8333";
    for text in ["8.8.8.8:8333", "9.9.9.9:8333", "[2001:470::1]:8333", "4.4.4.4:8333", onion] {
        let services = ServiceFlags::NETWORK;
        let advertised =
            AdvertisedAddress { address: text.parse().unwrap(), services, time: NOW - DAY };
        addrman.add(&[advertised], NetGroup::DNS, NOW);
    }
    let old = PeerInfo { wants_addrv2: false, ..info(0) };
    let mut cache = AddressCache::default();
    let mut carried = 0;
    for seed in 0..50 {
        cache.renew(Some(&addrman), NOW, &mut StdRng::seed_from_u64(seed));
        match cache.message(&old, NOW) {
            Some(Message::Addr(entries)) => {
                assert_eq!(entries.len(), 1);
                carried += 1;
            }
            // The drawn address is the onion service, which only `addrv2` can carry.
            None => assert_eq!(entries(cache.message(&info(0), NOW)).len(), 1),
            other => panic!("{other:?}"),
        }
    }
    assert!(carried > 20);
}
