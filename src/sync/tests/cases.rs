//! Syncs from single peers and from small groups.

use super::world::{SimPeer, World, chain, fork, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use std::collections::HashSet;
use std::time::Duration;

const HEIGHT: u32 = 40_000;

fn tip() -> ChainPoint {
    ChainPoint { height: HEIGHT, hash: hash_of(0, HEIGHT) }
}

fn honest() -> SimPeer {
    SimPeer::honest(&chain(HEIGHT))
}

#[test]
fn one_peer_without_hints_gets_a_request_for_every_2000_headers() {
    let mut world = World::new(Hints::default(), vec![honest()]);
    assert!(world.run());
    assert_eq!(world.best, tip());
    assert_eq!(world.requests, 20 + 1, "20 full answers, and one with the tip alone");
}

#[test]
fn with_hints_a_sync_takes_a_few_round_trips_instead_of_twenty() {
    let mut slow = honest();
    slow.latency = Duration::from_secs(1);
    slow.rate = 1e9;
    let mut without = World::new(Hints::default(), vec![slow.clone()]);
    assert!(without.run());
    let mut with = World::new(hints(&chain(HEIGHT)), vec![slow]);
    assert!(with.run());
    assert_eq!((with.best, without.best), (tip(), tip()));
    assert!(without.now >= Duration::from_secs(21), "{:?}", without.now);
    assert!(with.now <= Duration::from_secs(7), "{:?}", with.now);
}

#[test]
fn several_peers_share_the_ranges() {
    let slow = |rate| {
        let mut peer = honest();
        peer.rate = rate;
        peer
    };
    let alone = {
        let mut world = World::new(hints(&chain(HEIGHT)), vec![slow(2_000.0)]);
        assert!(world.run());
        world.now
    };
    let mut world =
        World::new(hints(&chain(HEIGHT)), vec![slow(2_000.0), slow(2_000.0), slow(4_000.0)]);
    assert!(world.run());
    assert_eq!(world.best, tip());
    assert!(world.now < alone / 2, "{:?} against {alone:?} alone", world.now);
}

#[test]
fn a_silent_peer_loses_its_ranges_long_before_it_is_dropped() {
    for silent_after in [0, 1, 5] {
        let mut silent = honest();
        silent.silent_after = Some(silent_after);
        let mut world = World::new(hints(&chain(HEIGHT)), vec![silent.clone(), honest(), honest()]);
        assert!(world.run());
        assert_eq!(world.best, tip());
        assert!(world.now < Duration::from_secs(6), "{silent_after}: {:?}", world.now);
    }
}

#[test]
fn a_range_that_two_silent_peers_owe_is_requested_from_a_third() {
    let mut silent = honest();
    silent.silent_after = Some(0);
    let mut world =
        World::new(hints(&chain(HEIGHT)), vec![silent.clone(), silent, honest(), honest()]);
    assert!(world.run());
    assert_eq!(world.best, tip());
    assert!(world.now < Duration::from_secs(8), "{:?}", world.now);
}

#[test]
fn a_lone_peer_that_falls_silent_is_dropped_after_a_minute() {
    let mut silent = honest();
    silent.silent_after = Some(3);
    for hints in [Hints::default(), hints(&chain(HEIGHT))] {
        let mut world = World::new(hints, vec![silent.clone()]);
        assert!(!world.run());
        assert_eq!(world.dropped.len(), 1);
        assert!(world.dropped[0].1.starts_with("no answer to getheaders for 6"));
        assert!(world.best.height > 0);
    }
}

#[test]
fn another_peer_goes_on_where_one_has_left() {
    let mut leaver = honest();
    leaver.leaves_after = Some(4);
    for hints in [Hints::default(), hints(&chain(HEIGHT))] {
        let mut world = World::new(hints, vec![leaver.clone(), honest()]);
        assert!(world.run());
        assert_eq!(world.best, tip());
        assert!(world.requests < 90, "{}", world.requests);
    }
}

#[test]
fn only_the_sender_of_a_bad_header_is_dropped() {
    for work in [true, false] {
        for height in [1, 1999, 2000, 2001, 17_777, 39_999] {
            let mut liar = honest();
            // The bad header replaces the true one, so its descendants differ too.
            liar.chain = fork(&liar.chain, height - 1, 9, HEIGHT);
            let bad = HashSet::from([hash_of(9, height)]);
            if work {
                liar.bad_work = bad
            } else {
                liar.bad_rule = bad
            }
            let mut world = World::new(Hints::default(), vec![liar, honest()]);
            assert!(world.run(), "{height}");
            assert_eq!(world.best, tip(), "{height}");
            assert_eq!(world.dropped.len(), 1, "{height}");
            assert_eq!(world.dropped[0].0, PeerId(0));
        }
    }
}

#[test]
fn a_peer_that_is_behind_is_not_punished() {
    let mut behind = SimPeer::honest(&chain(9_000));
    // Whatever height it announces, its answers show that it is behind.
    for announced in [0, 9_000, HEIGHT] {
        behind.announced = announced;
        let mut world =
            World::new(hints(&chain(HEIGHT)), vec![behind.clone(), honest(), behind.clone()]);
        assert!(world.run());
        assert_eq!(world.best, tip());
        assert_eq!(world.dropped, []);
    }
}

#[test]
fn a_chain_that_ends_before_the_last_hint_is_stored_completely() {
    for end in [500, 2015, 2016, 9_000, 39_999] {
        let short = SimPeer::honest(&chain(end));
        let mut world = World::new(hints(&chain(HEIGHT)), vec![short]);
        assert!(world.run());
        assert_eq!(world.best, ChainPoint { height: end, hash: hash_of(0, end) });
        assert_eq!(world.dropped, []);
    }
}

#[test]
fn a_peer_whose_chain_leaves_the_hints_is_dropped_when_another_follows_them() {
    let other = SimPeer::honest(&fork(&chain(HEIGHT), 10_000, 7, HEIGHT + 500));
    let mut world = World::new(hints(&chain(HEIGHT)), vec![other, honest()]);
    assert!(world.run());
    assert_eq!(world.best, tip());
    assert_eq!(world.dropped.len(), 1);
    assert!(world.dropped[0].1.contains("leaves the hints at height"), "{:?}", world.dropped);
}

#[test]
fn wrong_hints_are_given_up_when_no_peer_follows_them() {
    let wrong = hints(&fork(&chain(HEIGHT), 10_000, 7, HEIGHT));
    let mut world = World::new(wrong, vec![honest(), honest()]);
    assert!(world.run());
    assert_eq!(world.best, tip());
    assert!(world.hints_off);
    assert_eq!(world.dropped, []);
}

#[test]
fn the_longer_branch_wins_whoever_is_asked_first() {
    let short = SimPeer::honest(&fork(&chain(HEIGHT), 39_000, 7, 39_990));
    for peers in [vec![short.clone(), honest()], vec![honest(), short]] {
        for hints in [Hints::default(), hints(&chain(38_000))] {
            let mut world = World::new(hints, peers.clone());
            assert!(world.run());
            assert_eq!(world.best, tip());
            assert_eq!(world.dropped, []);
        }
    }
}

#[test]
fn a_sync_has_not_caught_up_before_a_slow_second_peer_has_answered() {
    let behind = SimPeer::honest(&chain(HEIGHT - 3));
    let mut late = honest();
    late.latency = Duration::from_secs(2);
    let mut world = World::new(Hints::default(), vec![behind, late]);
    assert!(world.run());
    assert_eq!(world.best, tip());
}

#[test]
fn the_headers_in_memory_stay_within_the_window() {
    let mut late = honest();
    late.silent_after = Some(0);
    let long = chain(400_000);
    let mut quick = SimPeer::honest(&long);
    quick.rate = 1e9;
    // The silent peer owes the first range. All other ranges wait for it until another peer is asked.
    late.chain = long.clone();
    late.announced = 400_000;
    let mut world = World::new(hints(&long), vec![late, quick]);
    assert!(world.run());
    assert_eq!(world.best.height, 400_000);
    assert!(world.most_held <= 65 * 2016, "{}", world.most_held);
}

#[test]
fn eight_peers_on_slow_lines_are_kept_busy() {
    let long = chain(930_000);
    let mut line = SimPeer::honest(&long);
    line.latency = Duration::from_millis(100);
    // 20 Mbit/s.
    line.rate = 2_500_000.0 / 81.0;
    let mut world = World::new(hints(&long), vec![line; 8]);
    assert!(world.run());
    let ideal = 930_000.0 / (8.0 * 2_500_000.0 / 81.0);
    let ratio = world.now.as_secs_f64() / ideal;
    assert!(ratio < 1.25, "{ratio:.2} times the least time");
}

#[test]
fn a_slow_line_is_no_reason_to_drop_a_peer() {
    let mut slow = honest();
    // 15 kB/s: a full answer takes 11 seconds, and several answers are requested at once.
    slow.rate = 180.0;
    let mut world = World::new(hints(&chain(HEIGHT)), vec![slow]);
    assert!(world.run(), "{:?}", world.dropped);
    assert_eq!(world.best, tip());
}

#[test]
fn a_sync_succeeds_although_answers_get_lost() {
    for every in [3, 7, 20] {
        for hints in [Hints::default(), hints(&chain(HEIGHT))] {
            let lossy = || SimPeer { loses_every: Some(every), ..honest() };
            let mut world = World::new(hints, vec![lossy(), lossy(), lossy(), honest()]);
            assert!(world.run(), "{every}: {:?}", world.dropped);
            assert_eq!(world.best, tip(), "{every}");
            assert!(world.now < Duration::from_secs(40), "{every}: {:?}", world.now);
        }
    }
}
