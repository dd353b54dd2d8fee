//! Tests of properties that always hold for an address manager.

use super::{MAGIC, NOW, addrman, advertise, v4};
use crate::net::addrman::{
    AddrInfo, AddrMan, AddrManError, AdvertisedAddress, AvoidReason, CAPACITY, DISCOURAGE_SECS,
    NetGroup, PeerAddress, Scope,
};
use crate::wire::ServiceFlags;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection::vec, proptest};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::time::Duration;

const RTT: Duration = Duration::from_millis(50);
const DAY: u64 = 24 * 60 * 60;

#[derive(Clone, Debug)]
enum Step {
    Added { addresses: Vec<PeerAddress>, source: u32, age: u64 },
    Failed(usize),
    Answered(usize),
    StillConnected(usize),
    Discouraged(usize),
    Own(usize),
    Tidied,
    Waited(u64),
}

fn address() -> impl Strategy<Value = PeerAddress> {
    // There are few groups and hosts, so that the same ones occur again.
    let ip = (1u32..40, 0u32..4, 0u32..3).prop_map(|(a, b, c)| v4((a << 24) | (b << 16) | c));
    let onion = (0u8..40).prop_map(|key| PeerAddress {
        host: crate::net::addrman::Host::Onion([key; 32]),
        port: 8333,
    });
    prop_oneof![4 => ip, 1 => onion]
}

fn step() -> impl Strategy<Value = Step> {
    let added = (vec(address(), 0..60), 1u32..2000, 0u64..40 * DAY)
        .prop_map(|(addresses, source, age)| Step::Added { addresses, source, age });
    prop_oneof![
        4 => added,
        2 => any::<usize>().prop_map(Step::Failed),
        3 => any::<usize>().prop_map(Step::Answered),
        1 => any::<usize>().prop_map(Step::StillConnected),
        1 => any::<usize>().prop_map(Step::Discouraged),
        1 => any::<usize>().prop_map(Step::Own),
        1 => Just(Step::Tidied),
        1 => (0u64..10 * DAY).prop_map(Step::Waited),
    ]
}

/// Applies a step. Steps with an index pick a known address.
fn apply(addrman: &mut AddrMan, step: &Step, now: &mut u64) {
    let known: Vec<PeerAddress> = addrman.iter().map(|known| known.address).collect();
    let pick = |at: &usize| known[at % known.len()];
    match step {
        Step::Added { addresses, source, age } => {
            let aged = |address: &PeerAddress| AdvertisedAddress {
                time: *now - age,
                ..advertise(*address)
            };
            let addresses: Vec<AdvertisedAddress> = addresses.iter().map(aged).collect();
            addrman.add(&addresses, NetGroup::of(&v4(source << 16)), *now);
        }
        Step::Tidied => addrman.tidy(*now),
        Step::Waited(seconds) => *now += seconds,
        _ if known.is_empty() => {}
        Step::Failed(at) => addrman.failed(&pick(at), *now),
        Step::Answered(at) => addrman.answered(&pick(at), ServiceFlags::NETWORK, RTT, *now),
        Step::StillConnected(at) => addrman.still_connected(&pick(at), RTT, *now),
        Step::Discouraged(at) => addrman.discourage(&pick(at), *now),
        Step::Own(at) => addrman.record_own(&pick(at), *now),
    }
}

proptest! {
    #[test]
    fn an_addrman_stays_consistent_and_is_read_as_it_was_written(steps in vec(step(), 0..60), seed in any::<u64>()) {
        let mut addrman = addrman();
        let mut now = NOW;
        let mut rng = StdRng::seed_from_u64(seed);
        for step in &steps {
            apply(&mut addrman, step, &mut now);
            assert!(addrman.len() <= CAPACITY);
            let tried = addrman.iter().filter(|known| known.tried).count();
            assert_eq!((addrman.tried_len(), addrman.new.len()), (tried, addrman.len() - tried));
            assert!(addrman.iter().all(|known| addrman.avoided(&known.address, now).is_none()));
            let drawn = addrman.select(now, &mut rng, &mut |_| true);
            assert_eq!(drawn.is_none(), addrman.is_empty());
            assert!(drawn.is_none_or(|address| addrman.get(&address).is_some()));
        }
        let read = AddrMan::decode(&addrman.encode(MAGIC), MAGIC, Scope::Public);
        assert_eq!(read, Ok(addrman));
    }

    #[test]
    fn a_changed_bit_or_a_truncated_file_is_detected(at in any::<usize>(), bit in 0u8..8, cut in any::<usize>()) {
        let mut addrman = addrman();
        addrman.add(&[advertise(v4(0x0801_0101)), advertise(v4(0x0802_0202))], NetGroup::DNS, NOW);
        addrman.discourage(&v4(0x0803_0303), NOW);
        let bytes = addrman.encode(MAGIC);
        let mut flipped = bytes.clone();
        flipped[at % bytes.len()] ^= 1 << bit;
        assert!(AddrMan::decode(&flipped, MAGIC, Scope::Public).is_err());
        let short = &bytes[..cut % bytes.len()];
        assert!(AddrMan::decode(short, MAGIC, Scope::Public).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in vec(any::<u8>(), 0..300)) {
        assert!(AddrMan::decode(&bytes, MAGIC, Scope::Public).is_err());
    }
}

#[test]
fn an_addrman_of_another_network_or_version_is_refused() {
    let bytes = addrman().encode(MAGIC);
    let other = [1, 2, 3, 4];
    let wrong = AddrMan::decode(&bytes, other, Scope::Public);
    assert_eq!(wrong, Err(AddrManError::Network { expected: other, got: MAGIC }));
    let mut later = bytes;
    later[8] = 2;
    let wrong = AddrMan::decode(&later, MAGIC, Scope::Public);
    assert_eq!(wrong, Err(AddrManError::Version { got: 2 }));
}

#[test]
fn an_address_that_a_file_lists_twice_has_one_position() {
    let (mut tried, mut new) = (addrman(), addrman());
    let address = v4(0x0801_0101);
    for addrman in [&mut tried, &mut new] {
        addrman.add(&[advertise(address)], NetGroup::DNS, NOW);
    }
    tried.answered(&address, ServiceFlags::NETWORK, RTT, NOW);
    let (tried, new) = (tried.encode(MAGIC), new.encode(MAGIC));
    // Both files: magic, version, network, key, time of the last success; count; one address of 94 bytes; a count of 0
    // avoided addresses; checksum.
    let (head, entry) = (8 + 2 + 4 + 32 + 8, 54 + 4..54 + 4 + 94);
    let count = 2u32.to_le_bytes();
    let mut bytes =
        [&tried[..head], &count, &tried[entry.clone()], &new[entry.start..new.len() - 32]].concat();
    bytes.extend(crate::primitives::sha256d(&bytes));
    let read = AddrMan::decode(&bytes, MAGIC, Scope::Public).unwrap();
    assert_eq!((read.len(), read.tried_len(), read.new.len()), (1, 1, 0));
}

#[test]
fn select_finds_the_only_address_that_fits() {
    let mut addrman = addrman();
    let addresses: Vec<AdvertisedAddress> =
        (0..2000).map(|i| advertise(v4(0x0801_0000 + (i << 12)))).collect();
    addrman.add(&addresses, NetGroup::DNS, NOW);
    let only = addrman.iter().nth(300).unwrap().address;
    let mut rng = StdRng::seed_from_u64(1);
    let mut fits = |known: &AddrInfo| known.address == only;
    assert_eq!(addrman.select(NOW, &mut rng, &mut fits), Some(only));
    assert_eq!(addrman.select(NOW, &mut rng, &mut |_| false), None);
}

#[test]
fn every_address_can_be_selected() {
    let mut addrman = addrman();
    let addresses: Vec<AdvertisedAddress> =
        (0..100).map(|i| advertise(v4(0x0801_0000 + (i << 16)))).collect();
    addrman.add(&addresses, NetGroup::DNS, NOW);
    let mut rng = StdRng::seed_from_u64(1);
    let drawn: BTreeSet<PeerAddress> =
        (0..20_000).filter_map(|_| addrman.select(NOW, &mut rng, &mut |_| true)).collect();
    assert_eq!(drawn.len(), addrman.len());
}

#[test]
fn an_outage_of_our_own_network_is_not_blamed_on_an_address() {
    let mut addrman = addrman();
    let [one, other] = [v4(0x0801_0101), v4(0x0902_0202)];
    addrman.add(&[advertise(one), advertise(other)], NetGroup::DNS, NOW);
    for hour in 0..100 {
        addrman.failed(&one, NOW + hour * 3600);
    }
    assert_eq!(addrman.get(&one).unwrap().failures, 1);
    for hour in 100..103 {
        addrman.answered(&other, ServiceFlags::NETWORK, RTT, NOW + hour * 3600);
        addrman.failed(&one, NOW + hour * 3600);
    }
    // Each success of any address lets one more failure count.
    assert!(addrman.get(&one).unwrap().failures >= 3);
    addrman.tidy(NOW + 200 * 3600);
    assert_eq!(addrman.get(&one), None, "forgotten when dead");
    assert!(addrman.get(&other).is_some());
}

#[test]
fn discouraged_addresses_and_our_own_are_not_added_while_they_are_avoided() {
    let mut addrman = addrman();
    let [bad, own] = [v4(0x0801_0101), v4(0x0902_0202)];
    let both = [advertise(bad), advertise(own)];
    assert_eq!(addrman.add(&both, NetGroup::DNS, NOW), 2);
    addrman.discourage(&bad, NOW);
    addrman.record_own(&own, NOW);
    assert_eq!(addrman.add(&both, NetGroup::DNS, NOW), 0);
    assert_eq!(addrman.avoided(&bad, NOW), Some(AvoidReason::Discouraged));
    assert_eq!(addrman.avoided(&own, NOW), Some(AvoidReason::Own));
    assert_eq!(addrman.add(&both, NetGroup::DNS, NOW + DISCOURAGE_SECS), 1);
    assert!(addrman.get(&bad).is_some());
}

#[test]
fn unroutable_addresses_are_not_added() {
    let mut addrman = addrman();
    assert_eq!(
        addrman.add(&[advertise(v4(0x0a00_0001)), advertise(v4(0x7f00_0001))], NetGroup::DNS, NOW),
        0
    );
}

#[test]
fn gossip_updates_the_time_and_never_the_services_that_the_node_itself_announced() {
    let mut addrman = addrman();
    let address = v4(0x0801_0101);
    let at = |time| AdvertisedAddress { time, ..advertise(address) };
    addrman.add(&[at(NOW - 5 * DAY)], NetGroup::DNS, NOW);
    assert_eq!(addrman.get(&address).unwrap().last_seen, NOW - 5 * DAY - 7200);
    let more = AdvertisedAddress { services: ServiceFlags::WITNESS, ..at(NOW - 60) };
    addrman.add(&[more], NetGroup::FIXED_SEEDS, NOW);
    let known = *addrman.get(&address).unwrap();
    assert_eq!(known.last_seen, NOW - 60 - 7200);
    assert_eq!(known.services, ServiceFlags::NETWORK | ServiceFlags::WITNESS);
    assert_eq!(known.source, NetGroup::DNS);
    addrman.answered(&address, ServiceFlags::NETWORK_LIMITED, RTT, NOW);
    addrman.add(&[more], NetGroup::FIXED_SEEDS, NOW);
    assert_eq!(addrman.get(&address).unwrap().services, ServiceFlags::NETWORK_LIMITED);
}
