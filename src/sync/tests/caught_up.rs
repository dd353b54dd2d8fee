//! When the engine says that there is no more: not before all were heard who can be, and not never.

use super::low_work::LowWork;
use super::world::{SimPeer, World, chain, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::PeerId;
use crate::sync::{Action, Disposition, Engine, Reply, Settings};
use std::time::Duration;

const HEIGHT: u32 = 3_000;
const PEER: PeerId = PeerId(7);

fn tip() -> ChainPoint {
    ChainPoint { height: HEIGHT, hash: hash_of(0, HEIGHT) }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn honest(latency: u64) -> SimPeer {
    SimPeer { latency: ms(latency), ..SimPeer::honest(&chain(HEIGHT)) }
}

fn behind(latency: u64) -> SimPeer {
    SimPeer { latency: ms(latency), ..SimPeer::honest(&chain(100)) }
}

fn caught_up(peers: Vec<SimPeer>, hints: Hints) -> World {
    let mut world = World::new(hints, peers);
    assert!(world.run(), "{:?}", world.dropped);
    world
}

#[test]
fn blocks_that_are_announced_and_never_sent_do_not_keep_the_sync_from_ending() {
    for end in [0, 100, HEIGHT] {
        let latency = ms(100);
        let wolf = SimPeer { cries_wolf: true, latency, ..SimPeer::honest(&chain(end)) };
        for peers in [
            vec![honest(40), wolf.clone(), wolf.clone()],
            vec![wolf.clone(), honest(400)],
            vec![wolf.clone(), wolf.clone(), wolf.clone(), honest(1_900)],
        ] {
            for hints in [Hints::default(), hints(&chain(2_500))] {
                let world = caught_up(peers.clone(), hints);
                assert_eq!(world.best, tip());
                assert!(world.now < Duration::from_secs(12), "{end}: {:?}", world.now);
                assert!(world.requests < 300, "{end}: {}", world.requests);
            }
        }
    }
}

#[test]
fn a_peer_that_announces_and_answers_with_nothing_does_not_keep_the_lead() {
    let wolf = SimPeer { cries_wolf: true, latency: ms(1), ..SimPeer::honest(&chain(0)) };
    let world = caught_up(vec![wolf, honest(50)], Hints::default());
    assert_eq!(world.best, tip());
    assert!(world.now < Duration::from_secs(2), "{:?}", world.now);
}

#[test]
fn two_quick_peers_do_not_speak_for_six_that_take_their_time() {
    for latency in [100, 400, 800, 1_900] {
        for quick in [2, 4] {
            let mut peers = vec![behind(1); quick];
            peers.extend(vec![honest(latency); 6]);
            for hints in [Hints::default(), hints(&chain(2_500))] {
                assert_eq!(caught_up(peers.clone(), hints).best, tip(), "{latency}, {quick}");
            }
        }
    }
}

#[test]
fn one_slow_peer_is_heard_though_all_others_agree() {
    for latency in [300, 900, 1_900] {
        let peers = [vec![behind(5); 7], vec![honest(latency)]].concat();
        assert_eq!(caught_up(peers, Hints::default()).best, tip(), "{latency}");
    }
}

#[test]
fn peers_that_were_quick_and_have_fallen_silent_are_not_waited_for() {
    let mut silent = SimPeer { latency: ms(5), ..SimPeer::honest(&chain(40_000)) };
    silent.silent_after = Some(2);
    let good = SimPeer { silent_after: None, ..silent.clone() };
    let alone = caught_up(vec![good.clone(); 4], hints(&chain(40_000)));
    let peers = [vec![good; 4], vec![silent; 3]].concat();
    let world = caught_up(peers, hints(&chain(40_000)));
    assert_eq!(world.best.height, 40_000);
    assert!(world.now < alone.now + ms(500), "{:?} against {:?}", world.now, alone.now);
}

#[test]
fn a_slow_peer_does_not_lead_while_there_are_faster_ones() {
    let long = chain(20_000);
    let mut slow = SimPeer { latency: ms(3_000), ..SimPeer::honest(&long) };
    slow.handshake = Some(ms(1));
    let quick = SimPeer { latency: ms(30), ..SimPeer::honest(&long) };
    for place in 0..4 {
        let mut peers = vec![quick.clone(); 3];
        peers.insert(place, slow.clone());
        let world = caught_up(peers.clone(), Hints::default());
        assert_eq!(world.best.height, 20_000);
        // The end is not said before the slow one was heard, which may have more.
        assert!(world.now < Duration::from_secs(7), "{place}: {:?}", world.now);
        let mut world = World::new(Hints::default(), peers);
        world.low_work =
            Some(LowWork { allowance: 2_000, proven_at: 19_000, given_up_after: None });
        assert!(world.run());
        assert_eq!(world.best.height, 20_000);
        assert!(world.now < Duration::from_secs(9), "presync {place}: {:?}", world.now);
    }
}

/// An engine whose only peer has said that it has nothing beyond the tip, at this height.
fn at_tip(height: u32) -> Engine {
    let settings = Settings { genesis: hash_of(0, 0), hints: Hints::default(), stop_height: None };
    let mut engine = Engine::new(settings, ChainPoint { height, hash: hash_of(0, height) });
    engine.add_peer(PeerId(7), height);
    let asked = engine.poll(ms(0), &mut |_| vec![hash_of(0, height - 1), hash_of(0, 0)]);
    assert!(matches!(asked[..], [Action::Ask { peer: PEER, .. }]), "{asked:?}");
    let empty = Reply { parent: None, last: hash_of(0, 0), count: 0 };
    assert_eq!(engine.on_headers(ms(10), PeerId(7), &empty), Disposition::Discard);
    assert_eq!((engine.opinions(), engine.is_idle(PeerId(7))), (1, true));
    engine
}

#[test]
fn the_answer_to_whether_a_peer_has_the_tip_is_one_whatever_it_is() {
    // The tip itself; more than that; another branch; nothing.
    for (parent, last, count) in [
        (Some(hash_of(0, 99)), hash_of(0, 100), 1),
        (Some(hash_of(0, 99)), hash_of(0, 103), 4),
        (Some(hash_of(0, 90)), hash_of(4, 101), 11),
        (None, hash_of(0, 0), 0),
    ] {
        let mut engine = at_tip(100);
        engine.ask_tip(ms(20), PeerId(7), vec![hash_of(0, 99), hash_of(0, 90), hash_of(0, 0)]);
        assert!(!engine.is_idle(PeerId(7)), "an answer is expected");
        let asked = engine.poll(ms(20), &mut |_| Vec::new());
        assert!(matches!(asked[..], [Action::Ask { peer: PEER, .. }]), "{asked:?}");
        let answer = Reply { parent, last, count };
        let disposition = engine.on_headers(ms(30), PeerId(7), &answer);
        if count <= 1 {
            assert_eq!(disposition, Disposition::Discard);
        } else {
            assert!(matches!(disposition, Disposition::Take(_)), "{disposition:?}");
        }
        assert!(engine.is_idle(PeerId(7)));
    }
}

#[test]
fn the_answer_to_whether_a_peer_has_the_tip_is_not_taken_for_that_to_another_question() {
    let mut engine = at_tip(100);
    engine.announced(PeerId(7));
    engine.ask_tip(ms(20), PeerId(7), vec![hash_of(0, 99), hash_of(0, 0)]);
    engine.poll(ms(20), &mut |_| vec![hash_of(0, 99), hash_of(0, 0)]);
    let tip = Reply { parent: Some(hash_of(0, 99)), last: hash_of(0, 100), count: 1 };
    assert_eq!(engine.on_headers(ms(30), PeerId(7), &tip), Disposition::Discard);
    assert!(!engine.is_idle(PeerId(7)), "what follows the tip has not been answered");
    let more = Reply { parent: Some(hash_of(0, 99)), last: hash_of(0, 101), count: 2 };
    assert!(matches!(engine.on_headers(ms(40), PeerId(7), &more), Disposition::Take(_)));
    assert!(engine.is_idle(PeerId(7)));
}
