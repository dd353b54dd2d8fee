//! Months of following the chain on a computer that sleeps, and whose clock is set back and forth.

use super::chains::{Chain, chain, hash_of};
use super::sim_chain::tip_of;
use super::world::{SimPeer, World, settings};
use crate::chain::Hints;
use crate::primitives::PeerId;
use crate::sync::{HeaderSync, Input, Settings};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// When the network's chain begins, in Unix seconds.
const START: u64 = 1_800_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Only this many blocks at the chain's end have their times; the times of all others are 0.
const TIMED: u32 = 100;

/// A computer with eight honest peers, on a network with a block every ten minutes.
struct Computer {
    world: World,
    network: Chain,
    /// By how many seconds our clock is wrong.
    wrong: i64,
    next_peer: u64,
}

impl Computer {
    fn new() -> Self {
        let mut world = World::new(Hints::default(), Vec::new());
        let follow = Settings { follow: true, ..settings(Hints::default()) };
        world.sync = HeaderSync::new(follow, tip_of(world.best), &world.chain);
        world.unix = START + 100 * 600;
        let mut computer = Self { world, network: chain(0), wrong: 0, next_peer: 0 };
        computer.mine();
        computer.connect();
        computer.run(60);
        computer
    }

    /// Lets the network mine up to now.
    fn mine(&mut self) {
        let real = self.world.unix.checked_add_signed(-self.wrong).unwrap();
        let height = u32::try_from((real - START) / 600).unwrap();
        let known = u32::try_from(self.network.len()).unwrap();
        for height in known..=height {
            let hash = hash_of(0, height);
            self.network.push(hash);
            for peer in self.world.peers.values_mut() {
                peer.chain.push(hash);
                peer.times.insert(hash, time_of(height));
                peer.times.remove(&hash_of(0, height.saturating_sub(TIMED)));
            }
        }
    }

    fn height(&self) -> u32 {
        u32::try_from(self.network.len() - 1).unwrap()
    }

    fn connect(&mut self) {
        let height = self.height();
        for _ in 0..8 {
            let mut peer = SimPeer::honest(&self.network);
            let last = height.saturating_sub(TIMED - 1)..=height;
            peer.times = last.map(|height| (hash_of(0, height), time_of(height))).collect();
            self.world.connect_peer(PeerId(self.next_peer), peer);
            self.next_peer += 1;
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds / 10 {
            self.world.run_for(Duration::from_secs(10));
            self.mine();
        }
    }

    /// Sleeps: only the wall clock goes on. All connections die, which the pool notices after ten seconds.
    fn sleep(&mut self, seconds: u64) {
        let dead: Vec<PeerId> = self.world.peers.keys().copied().collect();
        self.world.peers.values_mut().for_each(|peer| peer.silent_after = Some(0));
        self.world.unix += seconds;
        self.mine();
        self.run(10);
        self.connect();
        for id in dead {
            self.world.peers.remove(&id);
            self.world.handle(Input::PeerGone(id));
        }
    }

    fn set_clock(&mut self, by: i64) {
        self.world.unix = self.world.unix.checked_add_signed(by).unwrap();
        self.wrong += by;
    }

    /// Runs for 90 seconds, and asserts that all blocks from before are stored then, except those that are too new for
    /// our clock.
    fn assert_at_tip(&mut self) {
        let valid = |height: &u32| u64::from(time_of(*height)) <= self.world.unix + 2 * HOUR;
        let expected = (0..=self.height()).rev().find(valid).unwrap();
        self.run(90);
        assert!(self.world.best.height >= expected, "{} of {expected}", self.world.best.height);
    }
}

fn time_of(height: u32) -> u32 {
    u32::try_from(START).unwrap() + height * 600
}

#[test]
fn a_computer_that_sleeps_and_whose_clock_is_set_reaches_the_tip_and_drops_no_peer() {
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut computer = Computer::new();
        let mut minutes = 0;
        for _ in 0..40 {
            match rng.random_range(0..3) {
                0 => {
                    let sleeps = [60, HOUR, 8 * HOUR, 3 * DAY, 21 * DAY];
                    computer.sleep(sleeps[rng.random_range(0..sleeps.len())]);
                }
                1 => computer.set_clock(rng.random_range(-8..=8) * 3_600),
                _ => computer.set_clock(-computer.wrong),
            }
            computer.assert_at_tip();
            let pause = rng.random_range(0..40);
            computer.run(pause * 60);
            minutes += pause + 2;
        }
        computer.set_clock(-computer.wrong);
        computer.assert_at_tip();
        let world = &computer.world;
        assert_eq!(world.dropped, [], "seed {seed}");
        let most = 2 * 8 * usize::try_from(minutes).unwrap() + 2_000;
        assert!(world.requests < most, "seed {seed}: {} in {minutes} min", world.requests);
    }
}
