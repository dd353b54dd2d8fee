//! The prefetch of what follows the last hint while the ranges before it are arriving.

use super::sim::{Habit, fit, habit, peer};
use super::world::{SimPeer, World, chain, fork, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use crate::sync::prefetch::MAX_PREFETCHED;
use crate::sync::window::MAX_WINDOW;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, proptest};
use std::collections::HashSet;
use std::time::Duration;

/// There are hints up to this height; the last one is at 58,463.
const HINTED: u32 = 60_000;
const BEYOND: u32 = 30_000;
const HEIGHT: u32 = HINTED + BEYOND;

/// Most headers that may be in memory: a full window and a full prefetch, and one more range and answer.
const MOST_HELD: usize = (MAX_WINDOW + 1) * 2016 + (MAX_PREFETCHED + 1) * 2000;

fn tip() -> ChainPoint {
    ChainPoint { height: HEIGHT, hash: hash_of(0, HEIGHT) }
}

fn shipped() -> Hints {
    hints(&chain(HINTED))
}

/// Returns a peer with a latency of one second and a very fast line.
fn far() -> SimPeer {
    let mut peer = SimPeer::honest(&chain(HEIGHT));
    (peer.latency, peer.rate) = (Duration::from_secs(1), 1e9);
    peer
}

fn run(hints: Hints, peers: Vec<SimPeer>) -> World {
    let mut world = World::new(hints, peers);
    assert!(world.run(), "{:?}", world.dropped);
    assert_eq!(world.best, tip());
    assert!(world.most_held <= MOST_HELD, "{}", world.most_held);
    world
}

#[test]
fn the_prefetch_saves_the_round_trips_after_the_last_hint() {
    for count in [1, 3, 8] {
        let with = run(shipped(), vec![far(); count]);
        let all_hinted = run(hints(&chain(HEIGHT)), vec![far(); count]);
        // The 16 answers after the last hint can only come one after another, a second each.
        let longest = all_hinted.now.max(Duration::from_secs(16));
        assert!(
            with.now <= longest + Duration::from_secs(2),
            "{count} peers: {:?} against {:?}",
            with.now,
            all_hinted.now
        );
        assert_eq!(with.dropped, []);
    }
}

#[test]
fn the_prefetch_downloads_nothing_twice() {
    for count in [1, 3] {
        let world = run(shipped(), vec![far(); count]);
        // A range of 2016 headers takes two requests, the tail one for each 2000 headers, and every peer is asked for
        // more.
        let least = 2 * 29 + 16 + count;
        assert!(world.requests <= least + count, "{count}: {} of {least}", world.requests);
    }
}

#[test]
fn a_chain_that_ends_with_the_last_hint_takes_no_additional_request() {
    let end = HINTED / 2016 * 2016 - 1;
    let mut peer = SimPeer::honest(&chain(end));
    (peer.latency, peer.rate) = (Duration::from_secs(1), 1e9);
    let mut world = World::new(shipped(), vec![peer]);
    assert!(world.run());
    assert_eq!(world.best, ChainPoint { height: end, hash: hash_of(0, end) });
    assert!(world.requests <= 2 * 29 + 1, "{}", world.requests);
}

#[test]
fn another_peer_takes_over_when_the_leader_is_lost() {
    for answers in [1, 2, 5, 9] {
        let (mut leaves, mut silent) = (far(), far());
        // The nearest peer leads.
        leaves.latency = Duration::from_millis(300);
        leaves.leaves_after = Some(answers);
        silent.latency = Duration::from_millis(300);
        silent.silent_after = Some(answers);
        for lost in [leaves, silent] {
            let world = run(shipped(), vec![lost, far(), far()]);
            assert!(world.now < Duration::from_secs(40), "{answers}: {:?}", world.now);
        }
    }
}

#[test]
fn a_slow_peer_does_not_lead_for_long() {
    let mut slow = far();
    // 400 headers a second: the headers beyond the last hint would take this peer 79 seconds.
    slow.rate = 400.0;
    let world = run(shipped(), vec![slow, far(), far()]);
    assert!(world.now < Duration::from_secs(60), "{:?}", world.now);
}

#[test]
fn a_peer_that_is_behind_does_not_end_the_prefetch() {
    for end in [1_000, HINTED - 500, HINTED + 1, HINTED + 3_999, HINTED + 10_000] {
        // This peer has the same latency as the others, so no peer is much later than usual.
        let mut behind = SimPeer { chain: chain(end), ..far() };
        for announced in [0, end, HEIGHT] {
            behind.announced = announced;
            let world = run(shipped(), vec![behind.clone(), far(), behind.clone()]);
            assert_eq!(world.dropped, [], "{end}");
        }
    }
}

#[test]
fn another_branch_beyond_the_hints_wins_only_by_its_work() {
    for at in [HINTED, HINTED + 7_000] {
        // This peer would lead, but its branch has less work.
        let mut other = SimPeer::honest(&fork(&chain(HEIGHT), at, 7, HEIGHT - 1));
        for leaves_after in [None, Some(3), Some(8)] {
            other.leaves_after = leaves_after;
            let world = run(shipped(), vec![other.clone(), far(), far()]);
            assert_eq!(world.dropped, []);
        }
    }
}

#[test]
fn only_the_sender_of_a_bad_header_beyond_the_hints_is_dropped() {
    for work in [true, false] {
        for height in [HINTED, HINTED + 1, HINTED + 9_000] {
            let mut liar = SimPeer::honest(&fork(&chain(HEIGHT), height - 1, 9, HEIGHT + 1000));
            let bad = HashSet::from([hash_of(9, height)]);
            if work {
                liar.bad_work = bad;
            } else {
                liar.bad_rule = bad;
            }
            let world = run(shipped(), vec![liar, far(), far()]);
            let dropped: Vec<u64> = world.dropped.iter().map(|(key, _)| key.0).collect();
            assert_eq!(dropped, [0], "{height}: {:?}", world.dropped);
        }
    }
}

#[test]
fn a_wrong_last_hint_is_given_up_with_the_headers_that_follow_it() {
    let mut points = shipped().points().to_vec();
    let last = points.len() - 1;
    points[last].hash = hash_of(9, points[last].height);
    // The stray peer has that hint and headers after it, but its branch has less work than the honest chain.
    let dead_end = fork(&chain(HEIGHT), points[last].height - 1, 9, HEIGHT - 1);
    for stray in [None, Some(SimPeer::honest(&dead_end))] {
        let peers = stray.into_iter().chain([far(), far()]).collect();
        let world = run(Hints::from_points(points.clone()), peers);
        assert!(world.dropped.len() <= 2, "{:?}", world.dropped);
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// The result does not depend on the other peers nor on where the hints end, and memory stays bounded.
    #[test]
    fn the_honest_chain_is_reached_whatever_others_prefetch(
        height in 10_000u32..50_000,
        hinted_to in 2_016u32..30_000,
        habits in proptest::collection::vec(
            (habit(50_000), 1u64..400, 3.0f64..6.0, any::<bool>()), 0..5),
        place in any::<proptest::sample::Index>(),
    ) {
        let mut peers: Vec<SimPeer> = habits
            .iter()
            .map(|(habit, latency, rate, truthful)| {
                peer(height, &fit(habit, height), *latency, 10f64.powf(*rate), *truthful)
            })
            .collect();
        let honest = place.index(peers.len() + 1);
        peers.insert(honest, peer(height, &Habit::Honest, 40, 50_000.0, true));
        let mut world = World::new(hints(&chain(hinted_to.min(height))), peers);
        prop_assert!(world.run(), "nobody was left: {:?}", world.dropped);
        prop_assert_eq!(world.best, ChainPoint { height, hash: hash_of(0, height) });
        let key = PeerId(u64::try_from(honest).unwrap());
        prop_assert!(world.peers.contains_key(&key), "the honest peer was dropped: {:?}", world.dropped);
        prop_assert!(world.most_held <= MOST_HELD, "{} headers held", world.most_held);
        prop_assert!(world.now < Duration::from_secs(300), "{:?}", world.now);
    }
}

#[test]
fn a_full_answer_that_ends_with_the_tip_by_chance_does_not_confirm_the_tip() {
    let height = 11_261;
    // The first peer's chain ends at 4,016. The second peer sends the headers after that and leaves, so that the tip is
    // exactly where the honest peer's answer to the same request ends.
    let behind = |end, latency, rate| peer(height, &Habit::Behind(end), latency, rate, false);
    let peers = vec![
        behind(4_016, 1, 3_787.0),
        peer(height, &Habit::Leaves(1), 1, 11_618.0, false),
        peer(height, &Habit::Honest, 40, 50_000.0, true),
        behind(4_428, 31, 1_000.0),
    ];
    let mut world = World::new(hints(&chain(2_016)), peers);
    assert!(world.run(), "{:?}", world.dropped);
    assert_eq!(world.best, ChainPoint { height, hash: hash_of(0, height) });
}
