//! Tests of attacks that try to fill the address manager.

use super::{NOW, addrman, advertise, v4};
use crate::net::addrman::{AddrMan, AdvertisedAddress, CAPACITY, NetGroup, PeerAddress};
use crate::wire::ServiceFlags;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::time::Duration;

/// The first address of 8.0.0.0/8.
const NET_8: u32 = 8 << 24;
/// The first address of the attacker's network group, 66.66.0.0/16.
const ATTACKER: u32 = (66 << 24) | (66 << 16);
const RTT: Duration = Duration::from_millis(80);

/// Returns an address manager, all of its addresses, and those in its tried table. A few peers have sent the addresses,
/// which are in many network groups. Every fourth address has answered, and is tried if its position was free.
fn filled() -> (AddrMan, Vec<PeerAddress>, Vec<PeerAddress>) {
    let mut addrman = addrman();
    let sent: Vec<PeerAddress> = (0..400).map(|i| v4(NET_8 + (i << 16) / 2 + i)).collect();
    for (at, group) in sent.chunks(100).zip(1u32..) {
        let addresses: Vec<AdvertisedAddress> = at.iter().copied().map(advertise).collect();
        addrman.add(&addresses, NetGroup::of(&v4(group << 25)), NOW);
    }
    let known: Vec<PeerAddress> = addrman.iter().map(|known| known.address).collect();
    let tried: Vec<PeerAddress> = known.iter().copied().step_by(4).collect();
    for address in &tried {
        addrman.answered(address, ServiceFlags::NETWORK, RTT, NOW);
    }
    let tried = tried.into_iter().filter(|address| addrman.get(address).is_some_and(|it| it.tried));
    let tried = tried.collect();
    (addrman, known, tried)
}

#[test]
fn a_thousand_addresses_from_one_peer_in_one_group_displace_nothing() {
    let (mut addrman, known, tried) = filled();
    assert!(known.len() > 350 && tried.len() > 80, "{} {}", known.len(), tried.len());
    let before = addrman.clone();
    let flood: Vec<AdvertisedAddress> = (1..=1000).map(|i| advertise(v4(ATTACKER + i))).collect();
    let taken = addrman.add(&flood, NetGroup::of(&v4(ATTACKER)), NOW);
    // All addresses of one group from one source share one bucket.
    assert!(taken <= 64, "{taken}");
    for address in &known {
        assert_eq!(addrman.get(address), before.get(address));
    }
    let mut rng = StdRng::seed_from_u64(1);
    let drawn = (0..10_000).filter_map(|_| addrman.select(NOW, &mut rng, &mut |_| true));
    let hostile = drawn.filter(|address| flood.iter().any(|claim| claim.address == *address));
    let hostile = hostile.count();
    assert!(hostile < 2000, "{hostile} of 10,000 draws went to the attacker");
}

#[test]
fn one_source_that_sends_addresses_of_many_groups_gets_a_sixteenth_of_the_new_table() {
    let mut addrman = addrman();
    let mut rng = StdRng::seed_from_u64(2);
    for _ in 0..100 {
        let flood: Vec<AdvertisedAddress> =
            (0..1000).map(|_| advertise(v4(rng.random_range(NET_8..NET_8 << 2)))).collect();
        addrman.add(&flood, NetGroup::of(&v4(ATTACKER)), NOW);
    }
    assert!((900..=1024).contains(&addrman.len()), "{}", addrman.len());
}

#[test]
fn a_flood_from_many_groups_displaces_no_address_that_is_alive() {
    let (mut addrman, known, tried) = filled();
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..2000 {
        let source = NetGroup::of(&v4(rng.random_range(NET_8..NET_8 << 3)));
        let flood: Vec<AdvertisedAddress> =
            (0..50).map(|_| advertise(v4(rng.random_range(NET_8..NET_8 << 3)))).collect();
        addrman.add(&flood, source, NOW);
    }
    assert!(addrman.len() > CAPACITY / 2 && addrman.len() <= CAPACITY, "{}", addrman.len());
    assert!(tried.iter().all(|address| addrman.get(address).is_some_and(|known| known.tried)));
    assert!(known.iter().all(|address| addrman.get(address).is_some()));
    let mut rng = StdRng::seed_from_u64(4);
    let later = NOW + 3600;
    let drawn: Vec<PeerAddress> =
        (0..2000).filter_map(|_| addrman.select(later, &mut rng, &mut |_| true)).collect();
    let good = drawn.iter().filter(|address| tried.contains(address)).count();
    assert!((800..1200).contains(&good), "half of all draws are from those that answered: {good}");
}

#[test]
fn one_group_of_answering_nodes_gets_a_sixteenth_of_the_tried_table() {
    let mut addrman = addrman();
    for host in 0..5000u32 {
        let address = v4(ATTACKER + host);
        // Each address comes from a source in another group, so that it finds a free position in the new table.
        addrman.add(&[advertise(address)], NetGroup::of(&v4((host + 256) << 17)), NOW);
        addrman.answered(&address, ServiceFlags::NETWORK, RTT, NOW);
    }
    assert!((200..=256).contains(&addrman.tried_len()), "{}", addrman.tried_len());
}

#[test]
fn positions_depend_on_the_key() {
    let flood: Vec<AdvertisedAddress> = (1..=1000).map(|i| advertise(v4(ATTACKER + i))).collect();
    let kept = |key: u8| -> BTreeSet<PeerAddress> {
        let mut addrman = AddrMan::new([key; 32], super::Scope::Public);
        addrman.add(&flood, NetGroup::DNS, NOW);
        addrman.iter().map(|known| known.address).collect()
    };
    assert_eq!(kept(1), kept(1));
    assert_ne!(kept(1), kept(2));
}
