//! Peers that answer without ever bringing anything new, slowly, or not at all: alone, and beside honest ones.

use super::low_work::LowWork;
use super::world::{Chain, SimPeer, World, chain, fork, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use crate::sync::{ANSWER_DEADLINE, Input};
use std::time::Duration;

const HEIGHT: u32 = 12_000;
/// With an honest peer a sync ends within this.
const LIMIT: Duration = Duration::from_secs(8);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn tip() -> ChainPoint {
    ChainPoint { height: HEIGHT, hash: hash_of(0, HEIGHT) }
}

fn honest(latency: u64) -> SimPeer {
    SimPeer { latency: ms(latency), ..SimPeer::honest(&chain(HEIGHT)) }
}

fn first(count: u32) -> Chain {
    chain(count)
}

/// Every hostile habit of this page, with its name.
fn habits() -> Vec<(&'static str, SimPeer)> {
    let base = honest(1);
    let other = fork(&chain(HEIGHT), 0, 7, 2_000);
    let longer = fork(&chain(HEIGHT), 0, 8, 2_000);
    vec![
        ("repeats", SimPeer { repeats: vec![first(2_000)], ..base.clone() }),
        (
            "repeats slowly",
            SimPeer { repeats: vec![first(2_000)], latency: ms(100), ..base.clone() },
        ),
        ("alternates", SimPeer { repeats: vec![first(2_000), other.clone()], ..base.clone() }),
        ("alternates without us", SimPeer { repeats: vec![longer, other], ..base.clone() }),
        (
            "repeats once",
            SimPeer { repeats: vec![first(2_000)], silent_after: Some(1), ..base.clone() },
        ),
        ("thinks", SimPeer { thinks: ms(4_500), ..base.clone() }),
        (
            "thinks and repeats",
            SimPeer { thinks: ms(4_500), repeats: vec![first(2_000)], ..base.clone() },
        ),
        (
            "thinks, repeats and is almost late",
            SimPeer { thinks: ms(4_950), repeats: vec![first(2_000)], ..base.clone() },
        ),
        ("thinks for as long as it may", SimPeer { thinks: ms(59_000), ..base.clone() }),
        ("says nothing", SimPeer { silent_after: Some(0), ..base.clone() }),
        ("says nothing any more", SimPeer { silent_after: Some(2), ..base }),
    ]
}

#[test]
fn with_an_honest_peer_a_sync_ends_in_time_whatever_another_does() {
    for (habit, hostile) in habits() {
        for count in [1, 3] {
            for hints in [Hints::default(), hints(&chain(8_000)), hints(&chain(HEIGHT))] {
                for place in [0, count] {
                    for low_work in [false, true] {
                        let mut peers = vec![honest(50); count];
                        peers.insert(place, hostile.clone());
                        let mut world = World::new(hints.clone(), peers);
                        world.low_work = low_work.then_some(LowWork {
                            allowance: 4_000,
                            proven_at: 10_000,
                            given_up_after: None,
                        });
                        let case = format!("{habit}, {count}, {place}, {low_work}, {hints:.30?}");
                        assert!(world.run(), "{case}: {:?}", world.dropped);
                        assert_eq!(world.best, tip(), "{case}");
                        assert!(world.now < LIMIT, "{case}: {:?}", world.now);
                    }
                }
            }
        }
    }
}

#[test]
fn alone_a_peer_that_brings_nothing_new_loses_its_place() {
    for (habit, hostile) in habits() {
        if hostile.repeats.is_empty() || hostile.silent_after.is_some() {
            continue;
        }
        for hints in [Hints::default(), hints(&chain(HEIGHT))] {
            let mut world = World::new(hints, vec![hostile.clone()]);
            assert!(!world.run(), "{habit}");
            let (_, reason) = &world.dropped[0];
            assert!(reason.starts_with("keeps sending headers"), "{habit}: {reason}");
            assert!(world.requests <= 20, "{habit}: {}", world.requests);
        }
    }
}

#[test]
fn at_the_tip_repeated_headers_do_not_keep_a_sync_from_ending() {
    for (habit, hostile) in habits() {
        let mut world = World::new(Hints::default(), vec![honest(10)]);
        assert!(world.run());
        let key = PeerId(9);
        world.connect_peer(key, hostile);
        let start = world.now;
        world.request_all_again();
        assert!(world.run(), "{habit}: {:?}", world.dropped);
        assert!(world.now < start + LIMIT, "{habit}: {:?}", world.now - start);
    }
}

#[test]
fn a_peer_that_is_silent_when_nothing_follows_costs_no_wait() {
    for height in [1, 2, 1_999, 2_000, 2_001, 4_000, 5_000] {
        for hinted_to in [0, height / 2, height] {
            let silent = SimPeer { silent_at_end: true, ..SimPeer::honest(&chain(height)) };
            let mut world = World::new(hints(&chain(hinted_to)), vec![silent.clone()]);
            // The second time its chain is stored already.
            for _ in 0..2 {
                let start = world.now;
                world.request_all_again();
                assert!(world.run(), "{height}: {:?}", world.dropped);
                assert_eq!(world.best.height, height);
                assert!(world.now < start + ms(500), "{height}: {:?}", world.now - start);
            }
        }
    }
}

#[test]
fn a_peer_at_genesis_that_is_silent_when_nothing_follows_is_at_its_end() {
    // Its locator has nothing before genesis that it could answer to.
    let silent = SimPeer { silent_at_end: true, ..SimPeer::honest(&chain(0)) };
    let mut world = World::new(Hints::default(), vec![silent]);
    assert!(world.run(), "{:?}", world.dropped);
    assert_eq!(world.best.height, 0);
    assert!(world.now <= ms(5_000), "{:?}", world.now);
    // It stays connected: nobody is dropped for having nothing to say.
    world.request_all_again();
    world.now += ANSWER_DEADLINE;
    assert!(world.run() && world.dropped.is_empty(), "{:?}", world.dropped);
}

#[test]
fn a_peer_whose_tip_is_in_the_locator_and_that_is_silent_then_is_behind_and_not_dropped() {
    let behind = SimPeer { silent_at_end: true, ..SimPeer::honest(&chain(HEIGHT - 5)) };
    let mut world = World::new(Hints::default(), vec![honest(50), behind]);
    assert!(world.run());
    assert_eq!(world.best, tip());
    for _ in 0..3 {
        world.request_all_again();
        let start = world.now;
        assert!(world.run() && world.dropped.is_empty(), "{:?}", world.dropped);
        assert!(world.now <= start + ms(6_000), "{:?}", world.now - start);
        world.now += ANSWER_DEADLINE;
    }
}

#[test]
fn a_chain_that_leaves_ours_far_below_the_tip_is_found_in_four_answers() {
    for at in [5_000, 40_000, 77_777] {
        let ours = fork(&chain(at), at, 3, 100_000);
        let mut world = World::new(Hints::default(), vec![SimPeer::honest(&ours)]);
        assert!(world.run());
        let theirs = chain(100_001);
        let key = PeerId(9);
        world.handle(Input::PeerGone(PeerId(0)));
        world.peers.clear();
        world.connect_peer(key, SimPeer::honest(&theirs));
        assert!(world.run(), "{at}: {:?}", world.dropped);
        assert_eq!(world.best.hash, hash_of(0, 100_001), "{at}");
    }
}
