//! Tests how fast a start reaches eight peers, with and without addresses.

use super::population::{Kind, Node, population};
use super::world::{World, secs};
use crate::net::addrman::{NetGroup, PeerAddress};
use crate::net::pool::{DisconnectReason, Persistence, PoolSettings, Search};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

fn settings() -> PoolSettings {
    PoolSettings {
        wanted: 8,
        persistence: Persistence::Always,
        dns: true,
        avoids_blake2b_fork: true,
        ..PoolSettings::default()
    }
}

/// Returns a world of 200 nodes. Two thirds are down, and some of the others are useless. DNS has 40 of the 200.
fn world(seed: u64) -> World {
    let kinds = [(Kind::Mute, 0.1), (Kind::OtherChain, 0.1), (Kind::Liar, 0.05)];
    let nodes = population(200, 0.33, &kinds, seed);
    let dns: Vec<PeerAddress> = nodes.iter().step_by(5).map(|node| node.address).collect();
    let mut world = World::new(settings(), nodes, seed);
    world.dns = dns;
    world
}

fn time_to_eight(world: &mut World) -> Duration {
    let start = world.now.since_start;
    let mut end = start;
    while world.useful_peers() < 8 {
        assert!(end < start + secs(120), "{} useful peers after two minutes", world.useful_peers());
        end += Duration::from_millis(100);
        world.run_until(end, |_| ());
    }
    end - start
}

#[test]
fn a_start_does_not_wait_long_for_fixed_seeds_that_do_not_answer() {
    let mut times = Vec::new();
    for seed in 1..=20 {
        let mut world = world(seed);
        let down = world.nodes.iter().filter(|node| !node.up);
        world.fixed_seeds = down.take(40).map(|node| node.address).collect();
        times.push(time_to_eight(&mut world));
    }
    times.sort_unstable();
    println!("with dead fixed seeds: median {:?}, worst {:?}", times[10], times[19]);
    assert!(times[10] <= secs(10) && times[19] <= secs(25), "{times:?}");
}

#[test]
fn fixed_seeds_of_which_a_third_are_up_delay_no_start() {
    let mut times = Vec::new();
    for seed in 1..=20 {
        let mut world = world(seed);
        world.fixed_seeds =
            world.nodes.iter().skip(2).step_by(5).map(|node| node.address).collect();
        times.push(time_to_eight(&mut world));
    }
    times.sort_unstable();
    println!("with fixed seeds: median {:?}, worst {:?}", times[10], times[19]);
    assert!(times[10] <= secs(10) && times[19] <= secs(25), "{times:?}");
}

fn assert_spread(world: &World) {
    let mut groups: BTreeMap<NetGroup, usize> = BTreeMap::new();
    for peer in world.pool.peers() {
        let address: PeerAddress = peer.address.parse().unwrap();
        *groups.entry(NetGroup::of(&address)).or_default() += 1;
    }
    assert!(groups.values().all(|count| *count <= 2), "{groups:?}");
}

#[test]
fn eight_peers_are_found_within_seconds_and_at_most_two_in_a_network_group() {
    let mut times = Vec::new();
    for seed in 1..=20 {
        let mut world = world(seed);
        times.push(time_to_eight(&mut world));
        assert_spread(&world);
        // Connections that complete later are closed.
        let later = world.now.since_start + secs(40);
        world.run_until(later, |world| assert!(world.pool.connected_count() <= 8));
        assert_spread(&world);
        assert_eq!(world.searches[0], (Duration::ZERO, Search::Dns));
    }
    times.sort_unstable();
    println!("time to eight useful peers: median {:?}, worst {:?}", times[10], times[19]);
    assert!(times[10] <= secs(10) && times[19] <= secs(25), "{times:?}");
}

#[test]
fn the_next_start_is_faster_with_the_address_manager_and_asks_no_seeds_at_first() {
    let mut times = Vec::new();
    for seed in 1..=20 {
        let mut world = world(seed);
        time_to_eight(&mut world);
        world.run_until(secs(600), |_| ());
        let addrman = world.pool.addrman().clone();
        world.restart(settings(), addrman);
        world.searches.clear();
        let start = world.now.since_start;
        times.push(time_to_eight(&mut world));
        let early = world.searches.iter().filter(|(at, _)| *at < start + secs(5));
        assert_eq!(early.count(), 0, "{:?}", world.searches);
    }
    times.sort_unstable();
    println!("with an address manager: median {:?}, worst {:?}", times[10], times[19]);
    assert!(times[10] <= secs(4) && times[19] <= secs(15), "{times:?}");
}

#[test]
fn an_addrman_of_dead_addresses_does_not_prevent_a_start() {
    let nodes = population(4000, 0.0, &[], 1);
    let mut world = World::new(settings(), nodes, 1);
    let all: Vec<PeerAddress> = world.nodes.iter().map(|node| node.address).collect();
    let mut addrman = world.pool.addrman().clone();
    for (chunk, source) in all.chunks(100).zip(1u32..) {
        let source = NetGroup::of_name(&source.to_string());
        addrman.add(&world.advertise(chunk), source, world.now.unix);
    }
    assert!(addrman.len() > 1000, "{}", addrman.len());
    for at in (0..4000).step_by(100) {
        world.nodes[at].up = true;
    }
    world.dns = all.iter().step_by(100).copied().collect();
    world.restart(settings(), addrman);
    let took = time_to_eight(&mut world);
    println!("with an address manager of dead peers: {took:?}");
    assert!(took <= secs(30), "{took:?}");
}

#[test]
fn the_fixed_seeds_are_enough_without_dns() {
    let mut world = world(5);
    world.fixed_seeds = std::mem::take(&mut world.dns);
    let took = time_to_eight(&mut world);
    assert!(took <= secs(30), "{took:?}");
    let asked: Vec<Search> = world.searches.iter().map(|(_, search)| *search).collect();
    assert_eq!(asked[..2], [Search::Dns, Search::FixedSeeds]);
}

#[test]
fn an_attacker_with_one_network_group_gets_two_slots_at_most() {
    // All nodes of the attacker answer and send only each other's addresses; a third of the honest nodes are up.
    let mut nodes = population(200, 0.33, &[], 3);
    for (node, number) in population(1000, 1.0, &[], 4).into_iter().zip(1u32..) {
        let ip = Ipv4Addr::from((66 << 24) | (66 << 16) | number);
        let address = SocketAddr::from((ip, 8333)).into();
        nodes.push(Node { address, first_sent: 200, ..node });
    }
    let mut world = World::new(settings(), nodes, 3);
    world.dns = world.nodes.iter().step_by(5).take(60).map(|node| node.address).collect();
    world.run_until(secs(600), assert_spread);
    assert_eq!(world.pool.connected_count(), 8);
    let surplus =
        |(_, reason): &&(Duration, DisconnectReason)| *reason == DisconnectReason::Surplus;
    assert!(world.disconnects.iter().filter(surplus).count() < 100);
}
