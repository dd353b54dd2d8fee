//! Simulates a week of following the chain, in a few seconds.

use super::population::{Kind, population};
use super::world::{World, secs};
use crate::net::addrman::{CAPACITY, PeerAddress};
use crate::net::pool::{DisconnectReason, Persistence, PoolSettings};
use std::cell::Cell;
use std::time::Duration;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const HOUR: u64 = 3600;

fn settings() -> PoolSettings {
    PoolSettings {
        wanted: 8,
        persistence: Persistence::Always,
        dns: true,
        avoids_blake2b_fork: true,
        stale_after: Some(secs(30 * 60)),
        ..PoolSettings::default()
    }
}

fn world(seed: u64) -> World {
    let kinds = [
        (Kind::Mute, 0.05),
        (Kind::Silent, 0.1),
        (Kind::Liar, 0.1),
        (Kind::Stuck, 0.1),
        (Kind::OtherChain, 0.05),
        (Kind::Limited, 0.1),
    ];
    let nodes = population(800, 0.4, &kinds, seed);
    let dns: Vec<PeerAddress> = nodes.iter().step_by(20).map(|node| node.address).collect();
    let mut world = World::new(settings(), nodes, seed);
    world.dns = dns;
    world.up_or_down = Some(secs(6 * HOUR));
    world.pool.follow(world.now);
    world.start_changes();
    world
}

/// Measures the longest time without a useful peer while there is a network.
#[derive(Default)]
struct Gaps {
    since: Cell<Option<Duration>>,
    longest: Cell<Duration>,
}

impl Gaps {
    fn look(&self, world: &World) {
        let now = world.now.since_start;
        if world.useful_peers() > 0 || world.offline {
            self.since.set(None);
            return;
        }
        let since = self.since.get().unwrap_or(now);
        self.since.set(Some(since));
        self.longest.set(self.longest.get().max(now.saturating_sub(since)));
    }
}

/// Nodes go down, come back, lie, fall silent and stay behind. For an hour there is no network, and later the computer
/// sleeps for eight hours. Before the outage, the pool is never without a useful peer for more than ten seconds; after
/// the outage, never for more than a minute. Its lists stay bounded.
#[test]
fn for_a_week_a_useful_peer_is_never_missing_for_long_and_memory_stays_bounded() {
    for seed in 1..=2 {
        let mut world = world(seed);
        let (ordinary, after_outage, after_sleep) = <(Gaps, Gaps, Gaps)>::default();
        world.run_until(WEEK / 2, |world| ordinary.look(world));
        let size_then = world.pool.addrman().len();
        world.offline = true;
        let outage = world.now.since_start + secs(HOUR);
        world.run_until(outage, |_| ());
        world.offline = false;
        world.run_until(WEEK * 2 / 3, |world| after_outage.look(world));
        world.sleep(secs(8 * HOUR));
        world.run_until(WEEK, |world| {
            after_sleep.look(world);
            // At most eight peers and an extra one; 64 dials of found peers and a feeler.
            assert!(world.pool.peers().count() <= 9 && world.pool.pending_dials().count() <= 65);
        });
        let longest = [ordinary, after_outage, after_sleep].map(|gaps| gaps.longest.get());
        assert!(longest[0] <= secs(10), "seed {seed}: {longest:?} without a useful peer");
        assert!(longest[1..].iter().all(|gap| *gap <= secs(60)), "seed {seed}: {longest:?}");
        let size = world.pool.addrman().len();
        assert!(size <= CAPACITY && size < size_then * 2, "seed {seed}: {size_then} then {size}");
        assert!(
            world.pool.dial_history.lost_peers.len() <= 512
                && world.pool.address_search.fresh.len() <= 128
        );
        assert!(world.dials < 20_000, "seed {seed}: {} dials in a week", world.dials);
        assert!(world.saves < WEEK.as_secs() / 100, "seed {seed}: {} saves", world.saves);
        let lagging = |(_, reason): &&(Duration, DisconnectReason)| {
            matches!(reason, DisconnectReason::Lagging { .. })
        };
        assert!(
            world.disconnects.iter().filter(lagging).count() > 5,
            "peers that stay behind are disconnected"
        );
        println!(
            "seed {seed}: without a useful peer {longest:?} (ordinary, after the outage, after the sleep); \
             addrman {size_then} then {size} addresses, {} dials, {} saves",
            world.dials, world.saves
        );
    }
}
