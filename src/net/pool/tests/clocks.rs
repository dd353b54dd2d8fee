//! Simulates months on a computer that sleeps, and whose clock is set forward and back.

use super::population::population;
use super::world::{World, secs};
use crate::net::addrman::PeerAddress;
use crate::net::pool::{DisconnectReason, Persistence, PoolSettings};
use crate::primitives::PeerId;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn world(seed: u64) -> World {
    let settings = PoolSettings {
        wanted: 8,
        persistence: Persistence::Always,
        dns: true,
        stale_after: Some(secs(30 * 60)),
        ..PoolSettings::default()
    };
    let nodes = population(400, 0.5, &[], seed);
    let dns: Vec<PeerAddress> = nodes.iter().step_by(10).map(|node| node.address).collect();
    let mut world = World::new(settings, nodes, seed);
    world.dns = dns;
    world.pool.follow(world.now);
    world.start_changes();
    run(&mut world, HOUR);
    assert!(world.useful_peers() >= 8);
    world
}

fn run(world: &mut World, seconds: u64) {
    let end = world.now.since_start + secs(seconds);
    world.run_until(end, |_| ());
}

fn ids(world: &World) -> Vec<PeerId> {
    world.pool.peers().map(|peer| peer.id).collect()
}

fn addresses(world: &World) -> Vec<PeerAddress> {
    world.pool.peers().filter_map(|peer| peer.address.parse().ok()).collect()
}

#[test]
fn after_each_sleep_of_a_minute_to_two_months_there_are_useful_peers_within_a_minute() {
    for seed in 1..=3 {
        let mut world = world(seed);
        for sleep in [HOUR, 8 * HOUR, 3 * DAY, 21 * DAY, 60, 60 * DAY] {
            let before = addresses(&world);
            world.sleep(secs(sleep));
            run(&mut world, 60);
            assert!(world.useful_peers() > 0, "seed {seed}, {sleep} s");
            let now = world.now.unix;
            let avoided = before.iter().filter_map(|it| world.pool.addrman().avoided(it, now));
            assert_eq!(avoided.count(), 0, "no peer misbehaved");
            run(&mut world, 2 * HOUR);
            assert!(world.useful_peers() >= 8, "seed {seed}, {sleep} s");
        }
        assert!(world.dials < 2_000, "seed {seed}: {} dials", world.dials);
    }
}

#[test]
fn a_clock_that_is_set_forward_or_back_costs_no_peer() {
    for seed in 1..=3 {
        let mut world = world(seed);
        for step in [HOUR, 3 * HOUR, 21 * DAY] {
            for back in [false, true] {
                let before = ids(&world);
                let unix = &mut world.now.unix;
                *unix = if back { *unix - step } else { *unix + step };
                let lost = world.disconnects.len();
                run(&mut world, 60);
                let gone = before.iter().filter(|id| !ids(&world).contains(id)).count();
                let extra =
                    |(_, reason): &&(_, DisconnectReason)| *reason == DisconnectReason::LeastUseful;
                let extra = world.disconnects[lost..].iter().filter(extra).count();
                assert_eq!(gone, extra, "seed {seed}, {step} s, {back}");
                run(&mut world, HOUR);
                assert!(world.useful_peers() >= 8, "seed {seed}, {step} s, {back}");
            }
        }
    }
}
