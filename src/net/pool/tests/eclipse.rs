//! Measures how often an attacker with many addresses gets every connection of a start.
//!
//! Every node of the attacker is up, answers as fast as an average honest one, and sends only addresses of the
//! attacker. Of 1,000 honest nodes in 250 network groups, about 400 are up.

use super::bench::{Bench, FULL_NODE};
use super::cases::following;
use super::population::{Kind, Node, population};
use super::world::{World, secs};
use crate::net::addrman::{AddrMan, NetGroup, PeerAddress, Scope};
use crate::net::pool::{Persistence, PoolSettings};
use crate::wire::ServiceFlags;
use rand::RngExt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const HONEST: u32 = 1_000;

/// The first byte of the attacker's lowest address. The addresses of honest nodes have a lower first byte.
const ATTACKER: u32 = 66;

const DAY: u64 = 24 * 3_600;

/// Starts in each measurement.
const STARTS: u64 = 12;

#[derive(Clone, Copy, Debug)]
struct Attack {
    addresses: u32,
    groups: u32,
}

const FEW_GROUPS: Attack = Attack { addresses: 1_000, groups: 3 };
const MANY_GROUPS: Attack = Attack { addresses: 10_000, groups: 2_500 };

fn settings() -> PoolSettings {
    PoolSettings {
        wanted: 8,
        persistence: Persistence::Always,
        dns: true,
        ..PoolSettings::default()
    }
}

fn is_hostile(address: &PeerAddress) -> bool {
    let first = address.socket_addr().map(|address| match address.ip() {
        IpAddr::V4(ip) => u32::from(ip.octets()[0]),
        IpAddr::V6(_) => 0,
    });
    first.is_some_and(|first| first >= ATTACKER)
}

/// Returns a world at its first start, in which DNS has 40 random nodes of all that are up.
fn world(attack: Attack, seed: u64) -> World {
    let mut nodes = population(HONEST, 0.4, &[], seed);
    nodes.extend((0..attack.addresses).map(|number| {
        let (group, host) = (number % attack.groups, number / attack.groups + 1);
        let ip = Ipv4Addr::from((ATTACKER << 24) + (group << 16) + host);
        let first_sent = usize::try_from(HONEST).expect("it is small");
        let address = SocketAddr::from((ip, 8333)).into();
        Node {
            address,
            kind: Kind::Honest,
            up: true,
            latency: Duration::from_millis(200),
            first_sent,
        }
    }));
    let mut world = World::new(settings(), nodes, seed);
    let (nodes, rng) = (&world.nodes, &mut world.rng);
    let known: Vec<PeerAddress> =
        nodes.iter().filter(|node| node.up).map(|node| node.address).collect();
    world.dns = (0..40).map(|_| known[rng.random_range(0..known.len())]).collect();
    world.fixed_seeds = nodes.iter().take(100).map(|node| node.address).collect();
    world
}

/// Restarts the world's pool with the address manager of a node that has run for months. The address manager knows
/// the honest nodes, of which every tenth answered a day ago. Then the attacker's peers sent all of the attacker's
/// addresses, a hundred by each peer.
fn after_months(world: &mut World, seed: u64) {
    let mut addrman =
        AddrMan::new([u8::try_from(seed % 251).expect("it is small"); 32], Scope::Public);
    let (honest, hostile): (Vec<PeerAddress>, Vec<PeerAddress>) =
        world.nodes.iter().map(|node| node.address).partition(|address| !is_hostile(address));
    let now = world.now.unix;
    for (chunk, sender) in honest.chunks(100).zip(honest.iter().step_by(97)) {
        addrman.add(&world.advertise(chunk), NetGroup::of(sender), now);
    }
    for address in honest.iter().step_by(10) {
        addrman.answered(address, ServiceFlags(0x409), secs(1), now - DAY);
    }
    for (chunk, sender) in hostile.chunks(100).zip(&hostile) {
        addrman.add(&world.advertise(chunk), NetGroup::of(sender), now);
    }
    world.restart(settings(), addrman);
}

/// Lets the attacker answer for every DNS seed.
fn own_dns(world: &mut World) {
    let hostile = world.nodes.iter().map(|node| node.address).filter(is_hostile);
    world.dns = hostile.take(40).collect();
}

/// Returns how many honest peers a start has once it has eight peers, or after a minute.
fn honest_peers(world: &mut World) -> usize {
    let mut end = world.now.since_start;
    let last = end + secs(60);
    while world.pool.connected_count() < 8 && end < last {
        end += Duration::from_millis(100);
        world.run_until(end, |_| ());
    }
    let honest = |address: &String| address.parse().is_ok_and(|address| !is_hostile(&address));
    world.pool.peers().filter(|peer| honest(&peer.address)).count()
}

#[test]
fn an_attacker_who_answers_for_all_dns_seeds_does_not_have_all_peers() {
    let starts = 40;
    let honest: Vec<usize> = (0..starts)
        .map(|seed| {
            let mut world = world(MANY_GROUPS, seed);
            own_dns(&mut world);
            honest_peers(&mut world)
        })
        .collect();
    let eclipsed = honest.iter().filter(|count| **count == 0).count();
    println!("all DNS seeds: {eclipsed} of {starts} eclipsed, honest peers: {honest:?}");
    assert!(eclipsed == 0, "{honest:?}");
}

/// Returns how many of [`STARTS`] starts have no honest peer, and how many honest peers they have together.
fn measure(attack: Attack, months: bool) -> (u64, usize) {
    let (mut eclipsed, mut total) = (0, 0);
    for seed in 0..STARTS {
        let mut world = world(attack, seed);
        if months {
            after_months(&mut world, seed);
        }
        let honest = honest_peers(&mut world);
        eclipsed += u64::from(honest == 0);
        total += honest;
    }
    println!(
        "{attack:?}, after months: {months}: {eclipsed} of {STARTS} eclipsed, {total} honest peers"
    );
    (eclipsed, total)
}

#[test]
fn an_attacker_in_three_network_groups_never_has_all_peers() {
    // With two peers in each of three groups, the attacker can have six of eight peers.
    for months in [false, true] {
        let (eclipsed, honest) = measure(FEW_GROUPS, months);
        assert!(eclipsed == 0 && honest >= 24, "{eclipsed}, {honest}");
    }
}

/// Of all nodes that are up, the attacker has 96 %: if the pool chose eight of these nodes at random, they would all
/// be the attacker's in 73 of 100 starts.
#[test]
fn peers_that_have_answered_before_mostly_keep_out_an_attacker_in_many_network_groups() {
    let (eclipsed, honest) = measure(MANY_GROUPS, true);
    assert!(eclipsed <= 3 && honest >= 18, "{eclipsed}, {honest}");
}

#[test]
fn peers_in_one_network_group_are_noticed_unless_the_user_named_them() {
    let is_one_group = |settings: PoolSettings, addresses: &[&str]| {
        let mut bench = Bench::with_addresses(settings, addresses);
        for (id, _) in bench.dials(1) {
            bench.connect(id, FULL_NODE);
        }
        bench.pool.is_one_group()
    };
    let one = ["8.8.8.8:8333", "8.8.4.4:8333"];
    assert!(is_one_group(following(8), &one));
    assert!(is_one_group(following(8), &one[..1]));
    assert!(!is_one_group(following(8), &["8.8.8.8:8333", "9.9.9.9:8333"]));
    assert!(!is_one_group(following(8), &[]));
    assert!(!is_one_group(following(1), &one[..1]), "one was wanted");
    let connect = one.map(str::to_owned).to_vec();
    assert!(!is_one_group(PoolSettings { connect, ..following(8) }, &[]));
}
