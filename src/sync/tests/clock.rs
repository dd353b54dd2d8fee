//! Syncs with a wrong clock, and headers from the future.

use super::world::{SimPeer, World, chain, fork, hash_of};
use crate::chain::{ChainPoint, Hints};
use crate::sync::Stopped;
use std::collections::HashMap;
use std::time::Duration;

const HEIGHT: u32 = 5_000;

/// The time of the last ten headers of the chain, in Unix seconds.
const TIME: u32 = 1_000_000;

fn honest() -> SimPeer {
    let last = HEIGHT - 9..=HEIGHT;
    let times: HashMap<_, _> = last.map(|height| (hash_of(0, height), TIME)).collect();
    SimPeer { times, ..SimPeer::honest(&chain(HEIGHT)) }
}

#[test]
fn a_sync_whose_clock_is_behind_ends_because_of_the_clock_and_drops_no_peer() {
    for count in [1, 3, 8] {
        let mut world = World::new(Hints::default(), vec![honest(); count]);
        world.unix = u64::from(TIME) - 7_201;
        assert_eq!(world.run_to_end(), Stopped::Clock);
        assert_eq!((world.best.height, world.dropped.as_slice()), (HEIGHT - 10, &[][..]));
        assert_eq!(world.sync.too_new().map(|header| header.time), Some(TIME));
        // No peer is asked again and again for the headers that are too new.
        assert!(world.requests <= 3 + 2 * count, "{count}: {}", world.requests);
        assert!(world.now < Duration::from_secs(8), "{:?}", world.now);
    }
}

#[test]
fn a_header_exactly_two_hours_ahead_is_valid() {
    let mut world = World::new(Hints::default(), vec![honest(); 3]);
    world.unix = u64::from(TIME) - 7_200;
    assert!(world.run());
    assert_eq!(world.best, ChainPoint { height: HEIGHT, hash: hash_of(0, HEIGHT) });
}

#[test]
fn one_peer_with_headers_from_the_future_does_not_put_the_clock_in_doubt() {
    let mut liar = SimPeer::honest(&fork(&chain(HEIGHT), HEIGHT, 7, HEIGHT + 5));
    liar.times = HashMap::from([(hash_of(7, HEIGHT + 1), TIME * 1_000)]);
    for place in 0..4 {
        let mut peers = vec![honest(); 3];
        peers.insert(place, liar.clone());
        let mut world = World::new(Hints::default(), peers);
        world.unix = u64::from(TIME);
        assert_eq!(world.run_to_end(), Stopped::CaughtUp, "{place}");
        assert_eq!((world.best.height, world.dropped.as_slice()), (HEIGHT, &[][..]));
    }
}

#[test]
fn a_sync_goes_on_once_the_clock_is_set() {
    let mut world = World::new(Hints::default(), vec![honest(); 2]);
    world.unix = 0;
    assert_eq!(world.run_to_end(), Stopped::Clock);
    world.unix = u64::from(TIME);
    world.now += Duration::from_secs(2);
    assert_eq!(world.run_to_end(), Stopped::CaughtUp);
    assert_eq!(world.best.height, HEIGHT);
}
