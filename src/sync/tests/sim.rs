//! Random networks: one honest peer is enough, whatever the others do.

use super::world::{SimPeer, World, chain, fork, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use std::collections::HashSet;
use std::time::Duration;

/// The habit of a random peer. `Silent` and `Leaves` begin after that many answers; all other numbers are heights.
#[derive(Clone, Debug)]
pub(super) enum Habit {
    Honest,
    Silent(usize),
    Leaves(usize),
    Behind(u32),
    Fork(u32),
    BadWork(u32),
    BadRule(u32),
    /// The peer is behind, and with each answer announces a block that it does not have.
    CriesWolf(u32),
}

pub(super) fn habit(height: u32) -> impl Strategy<Value = Habit> {
    prop_oneof![
        Just(Habit::Honest),
        (0usize..12).prop_map(Habit::Silent),
        (0usize..12).prop_map(Habit::Leaves),
        (0..height).prop_map(Habit::Behind),
        (1..height).prop_map(Habit::Fork),
        (1..height).prop_map(Habit::BadWork),
        (1..height).prop_map(Habit::BadRule),
        (0..height).prop_map(Habit::CriesWolf),
    ]
}

/// Returns a peer with this habit. If `truthful`, it announces the height of its own chain, and otherwise `height`.
pub(super) fn peer(height: u32, habit: &Habit, latency: u64, rate: f64, truthful: bool) -> SimPeer {
    let whole = chain(height);
    let mut peer = SimPeer::honest(&whole);
    peer.latency = Duration::from_millis(latency);
    peer.rate = rate;
    match *habit {
        Habit::Honest => {}
        Habit::Silent(after) => peer.silent_after = Some(after),
        Habit::Leaves(after) => peer.leaves_after = Some(after),
        Habit::Behind(end) => peer.chain = chain(end),
        Habit::CriesWolf(end) => {
            peer.chain = chain(end);
            peer.cries_wolf = true;
        }
        Habit::Fork(at) => peer.chain = fork(&whole, at - 1, 7, height - 1),
        Habit::BadWork(at) => {
            peer.chain = fork(&whole, at - 1, 8, height + 100);
            peer.bad_work = HashSet::from([hash_of(8, at)]);
        }
        Habit::BadRule(at) => {
            peer.chain = fork(&whole, at - 1, 9, height + 100);
            peer.bad_rule = HashSet::from([hash_of(9, at)]);
        }
    }
    if truthful {
        peer.announced = u32::try_from(peer.chain.len() - 1).unwrap();
    }
    peer
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]

    /// There are hints, or none, or hints of another branch. The peers are a random mixture and one honest peer, which
    /// may be far away. In some cases there are also two quick peers that are behind.
    #[test]
    fn the_honest_chain_is_reached_whatever_the_others_do(
        height in 1u32..30_000,
        habits in proptest::collection::vec(
            (habit(30_000), 1u64..400, 3.0f64..6.0, any::<bool>()), 0..5),
        kind in 0..3,
        hinted_to in 0u32..30_000,
        place in any::<proptest::sample::Index>(),
        far in 1u64..2_000,
        quick in proptest::option::of((0u32..30_000, any::<bool>())),
    ) {
        let hints = match kind {
            0 => Hints::default(),
            1 => hints(&chain(hinted_to.min(height))),
            _ => hints(&fork(&chain(height), hinted_to.min(height) / 2, 6, height)),
        };
        let mut peers: Vec<SimPeer> = habits
            .iter()
            .map(|(habit, latency, rate, truthful)| {
                let habit = fit(habit, height);
                peer(height, &habit, *latency, 10f64.powf(*rate), *truthful)
            })
            .collect();
        if let Some((end, wolf)) = quick {
            let habit = if wolf { Habit::CriesWolf(end) } else { Habit::Behind(end) };
            let quick = peer(height, &fit(&habit, height), 1, 1e6, true);
            peers.extend([quick.clone(), quick]);
        }
        let honest = place.index(peers.len() + 1);
        peers.insert(honest, peer(height, &Habit::Honest, far, 50_000.0, true));
        let mut world = World::new(hints, peers);
        prop_assert!(world.run(), "nobody was left: {:?}", world.dropped);
        prop_assert_eq!(world.best, ChainPoint { height, hash: hash_of(0, height) });
        let key = PeerId(u64::try_from(honest).unwrap());
        prop_assert!(world.peers.contains_key(&key), "the honest peer was dropped: {:?}", world.dropped);
        prop_assert!(world.now < Duration::from_secs(300), "{:?}", world.now);
    }
}

/// Returns the habit with its height limited to that of the chain.
pub(super) fn fit(habit: &Habit, height: u32) -> Habit {
    match *habit {
        Habit::Behind(end) => Habit::Behind(end % height),
        Habit::CriesWolf(end) => Habit::CriesWolf(end % height),
        Habit::Fork(at) => Habit::Fork(at % height + 1),
        Habit::BadWork(at) => Habit::BadWork(at % height + 1),
        Habit::BadRule(at) => Habit::BadRule(at % height + 1),
        ref other => other.clone(),
    }
}
