//! Peers that answer without anything new, slowly, or not at all: alone, and beside honest peers.

use super::low_work::LowWork;
use super::misbehaviour::Misbehaviour;
use super::world::{Chain, SimPeer, World, chain, fork, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use crate::sync::{ANSWER_DEADLINE, Input};
use std::time::Duration;

const HEIGHT: u32 = 12_000;
/// With an honest peer, a sync ends within this time.
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

/// Returns the simulated peer with a misbehaviour; `None` if the state machine never meets such a peer, since the node
/// refuses its connection or its message.
fn simulated(misbehaviour: Misbehaviour) -> Option<SimPeer> {
    use Misbehaviour as M;
    let base = honest(1);
    let with = |chain: Chain| SimPeer { chain, ..base.clone() };
    let repeats = |chains: &[Chain]| SimPeer { repeats: chains.to_vec(), ..base.clone() };
    Some(match misbehaviour {
        M::Closes => SimPeer { leaves_after: Some(0), ..base },
        M::ClosesLater => SimPeer { leaves_after: Some(2), ..base },
        M::ClosesBeforeWork => SimPeer { leaves_after: Some(4), ..base },
        M::Stalls | M::Silent => SimPeer { silent_after: Some(2), ..base },
        M::Trickles => SimPeer { rate: 300.0 / 81.0, ..base },
        M::Slow => SimPeer { thinks: ms(4_500), ..base },
        M::SilentAtEnd => SimPeer { silent_at_end: true, ..base },
        M::Empty => with(chain(4_000)),
        M::Behind => SimPeer { announced: 3_000, ..with(chain(3_000)) },
        M::ClaimsMore => SimPeer { announced: 1_000_000, ..base },
        M::ClaimsAndHasNone => SimPeer { announced: 20_000, ..with(chain(0)) },
        M::Repeats => repeats(&[first(2_000)]),
        M::RepeatsOnce => SimPeer { silent_after: Some(1), ..repeats(&[first(2_000)]) },
        M::Alternates => repeats(&[first(2_000), fork(&chain(HEIGHT), 0, 7, 2_000)]),
        M::CriesWolf => SimPeer { cries_wolf: true, announced: 0, ..with(chain(0)) },
        M::OldBranch => with(fork(&chain(HEIGHT), 2_500, 7, 5_500)),
        M::LowWork => with(fork(&chain(HEIGHT), 0, 7, 9_000)),
        M::BeyondHints => with(fork(&chain(HEIGHT), 8_063, 7, HEIGHT - 1)),
        _ => return with_a_wrong_header(misbehaviour),
    })
}

fn with_a_wrong_header(misbehaviour: Misbehaviour) -> Option<SimPeer> {
    let (base, wrong) = (honest(1), hash_of(0, 2_500));
    Some(match misbehaviour {
        Misbehaviour::WrongWork => SimPeer { bad_work: [wrong].into(), ..base },
        Misbehaviour::WrongBits | Misbehaviour::OldTime | Misbehaviour::WrongVersion => {
            SimPeer { bad_rule: [wrong].into(), ..base }
        }
        Misbehaviour::FutureTime => {
            let early = fork(&chain(HEIGHT), 2_500, 7, 2_501);
            SimPeer { times: [(early[2_501], 3 * 3600)].into(), chain: early, ..base }
        }
        _ => return None,
    })
}

/// Returns every simulated misbehaviour with its name, and variants of some.
fn habits() -> Vec<(String, SimPeer)> {
    let all = Misbehaviour::ALL.iter().filter_map(|&m| Some((m.name().to_owned(), simulated(m)?)));
    let of = |misbehaviour| simulated(misbehaviour).unwrap();
    let repeats = || of(Misbehaviour::Repeats);
    let other = |branch| fork(&chain(HEIGHT), 0, branch, 2_000);
    let variants = [
        ("repeats at 100 ms", SimPeer { latency: ms(100), ..repeats() }),
        ("alternates without us", SimPeer { repeats: vec![other(8), other(7)], ..repeats() }),
        ("repeats, slow", SimPeer { thinks: ms(4_500), ..repeats() }),
        ("repeats, almost late", SimPeer { thinks: ms(4_950), ..repeats() }),
        ("slow as it may be", SimPeer { thinks: ms(59_000), ..of(Misbehaviour::Slow) }),
        ("silent at once", SimPeer { silent_after: Some(0), ..of(Misbehaviour::Silent) }),
    ];
    all.chain(variants.map(|(name, peer)| (name.to_owned(), peer))).collect()
}

#[test]
fn one_honest_peer_beside_a_hostile_one_is_enough_to_end_in_time() {
    let mut failed = Vec::new();
    for (habit, hostile) in habits() {
        for count in [1, 3] {
            for hints in [Hints::default(), hints(&chain(8_000)), hints(&chain(HEIGHT))] {
                for place in [0, count] {
                    for low_work in [false, true] {
                        let case = format!("{habit}, {count}, {place}, {low_work}, {hints:.30?}");
                        let mut peers = vec![honest(50); count];
                        peers.insert(place, hostile.clone());
                        let mut world = World::new(hints.clone(), peers);
                        world.low_work = low_work.then_some(LowWork {
                            allowance: 4_000,
                            proven_at: 10_000,
                            given_up_after: None,
                        });
                        let caught_up = world.run();
                        let whole = caught_up && world.best == tip() && world.now < LIMIT;
                        if !whole {
                            let World { best, now, dropped, .. } = world;
                            failed
                                .push(format!("{case}: {caught_up} {best:?} {now:?} {dropped:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_lone_peer_that_sends_nothing_new_is_dropped() {
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
fn a_sync_at_the_tip_ends_whatever_a_new_peer_does() {
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
fn a_peer_that_is_silent_when_nothing_follows_does_not_delay_the_end() {
    for height in [1, 2, 1_999, 2_000, 2_001, 4_000, 5_000] {
        for hinted_to in [0, height / 2, height] {
            let silent = SimPeer { silent_at_end: true, ..SimPeer::honest(&chain(height)) };
            let mut world = World::new(hints(&chain(hinted_to)), vec![silent.clone()]);
            // The second time, the peer's chain is already stored.
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
fn a_silent_peer_whose_chain_is_genesis_counts_as_at_its_end() {
    // The locator has nothing before genesis, so the peer has nothing to answer with.
    let silent = SimPeer { silent_at_end: true, ..SimPeer::honest(&chain(0)) };
    let mut world = World::new(Hints::default(), vec![silent]);
    assert!(world.run(), "{:?}", world.dropped);
    assert_eq!(world.best.height, 0);
    assert!(world.now <= ms(5_000), "{:?}", world.now);
    // The peer stays connected, since its silence counts as the answer that nothing follows.
    world.request_all_again();
    world.now += ANSWER_DEADLINE;
    assert!(world.run() && world.dropped.is_empty(), "{:?}", world.dropped);
}

#[test]
fn a_peer_that_is_behind_and_silent_is_not_dropped() {
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
fn a_chain_that_leaves_ours_far_below_the_tip_is_found() {
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
