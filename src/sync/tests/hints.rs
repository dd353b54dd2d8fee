//! Downloads with hints.

use super::low_work::LowWork;
use super::world::{SimPeer, World, chain, fork, hash_of};
use crate::chain::{ChainPoint, Hints};

const HEIGHT: u32 = 80_000;

/// Returns the hints of a branch at these heights alone.
fn hints_at(branch: u8, heights: &[u32]) -> Hints {
    let points = heights.iter().map(|&height| ChainPoint { height, hash: hash_of(branch, height) });
    Hints::from_points(points.collect())
}

fn run(hints: Hints, peers: Vec<SimPeer>, low_work: Option<LowWork>) -> World {
    let mut world = World::new(hints, peers);
    world.low_work = low_work;
    assert!(world.run(), "{:?}", world.dropped);
    assert_eq!(world.best, ChainPoint { height: HEIGHT, hash: hash_of(0, HEIGHT) });
    world
}

/// Heights of hints: with gaps before, between or after them, exactly as far apart as a range may be long or one header
/// further, and above the tip.
const SPARSE: [&[u32]; 8] = [
    &[70_000],
    &[4032, 8064],
    &[4033, 8066],
    &[2015, 4031, 50_000, 52_016, 54_032, 79_999],
    &[1, 40_000, 40_001],
    &[30_000, 60_000, 80_000],
    &[10_000, 90_000],
    &[500_000],
];

#[test]
fn memory_stays_bounded_where_hints_are_far_from_each_other() {
    for heights in SPARSE {
        let honest = || {
            let mut peer = SimPeer::honest(&chain(HEIGHT));
            peer.rate = 1e9;
            peer
        };
        for peers in [vec![honest()], vec![honest(), honest(), honest()]] {
            let world = run(hints_at(0, heights), peers, None);
            assert!(world.dropped.is_empty() && !world.hints_off, "{heights:?}");
            assert!(world.most_held <= 40_000, "{heights:?}: {} headers held", world.most_held);
        }
    }
}

#[test]
fn a_chain_between_distant_hints_is_stored_once_it_has_shown_its_work() {
    for heights in SPARSE {
        for proven_at in [20_001, 45_000, 79_000] {
            let low_work = LowWork { allowance: 20_000, proven_at, given_up_after: None };
            let world =
                run(hints_at(0, heights), vec![SimPeer::honest(&chain(HEIGHT))], Some(low_work));
            assert_eq!(world.dropped, [], "{heights:?}, {proven_at}");
        }
    }
}

#[test]
fn a_peer_whose_chain_leaves_a_distant_hint_is_dropped() {
    for heights in [&[70_000][..], &[30_000, 60_000]] {
        let stray = SimPeer::honest(&fork(&chain(HEIGHT), heights[0] - 1_000, 7, HEIGHT + 500));
        let honest = SimPeer::honest(&chain(HEIGHT));
        let world = run(hints_at(0, heights), vec![stray, honest], None);
        assert_eq!(world.dropped.len(), 1, "{heights:?}");
        assert!(world.dropped[0].1.contains("leaves the hints at height"));
    }
}

#[test]
fn a_wrong_distant_hint_is_given_up() {
    for at in [3_000, 30_000, 77_000] {
        let wrong = hints_at(7, &[at]);
        let world = run(wrong, vec![SimPeer::honest(&chain(HEIGHT))], None);
        assert!(world.hints_off, "{at}");
        assert_eq!(world.dropped, []);
    }
}

#[test]
fn a_peer_whose_presync_was_evicted_starts_over() {
    for given_up_after in [1, 2, 9] {
        let given_up_after = Some(given_up_after);
        let low_work = LowWork { allowance: 20_000, proven_at: 60_000, given_up_after };
        let honest = || SimPeer::honest(&chain(HEIGHT));
        for peers in [vec![honest()], vec![honest(), honest()]] {
            let world = run(Hints::default(), peers, Some(low_work));
            assert_eq!(world.dropped, []);
        }
    }
}
