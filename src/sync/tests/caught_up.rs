//! Tests when a sync has caught up: after the answer of every peer that answers in time, but within bounded time.

use super::low_work::LowWork;
use super::sim_chain::SimChain;
use super::world::{SimPeer, World, chain, hash_of, hints};
use crate::chain::{ChainPoint, Hints};
use crate::primitives::{BlockHash, PeerId};
use crate::sync::answers::Disposition;
use crate::sync::download::Download;
use crate::sync::{Reply, SyncCommand};
use std::time::Duration;

const HEIGHT: u32 = 3_000;

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
fn a_sync_ends_although_peers_announce_blocks_that_they_never_send() {
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
fn a_peer_that_announces_blocks_and_sends_no_headers_loses_the_lead() {
    let wolf = SimPeer { cries_wolf: true, latency: ms(1), ..SimPeer::honest(&chain(0)) };
    let world = caught_up(vec![wolf, honest(50)], Hints::default());
    assert_eq!(world.best, tip());
    assert!(world.now < Duration::from_secs(2), "{:?}", world.now);
}

#[test]
fn quick_peers_do_not_end_the_sync_before_six_slower_ones_have_answered() {
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
fn one_slow_peer_is_waited_for_although_all_others_agree() {
    for latency in [300, 900, 1_900] {
        let peers = [vec![behind(5); 7], vec![honest(latency)]].concat();
        assert_eq!(caught_up(peers, Hints::default()).best, tip(), "{latency}");
    }
}

#[test]
fn quick_peers_that_fall_silent_do_not_delay_the_end() {
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
        // The sync does not end before the slow peer has answered, since that peer may have more.
        assert!(world.now < Duration::from_secs(7), "{place}: {:?}", world.now);
        let mut world = World::new(Hints::default(), peers);
        world.low_work =
            Some(LowWork { allowance: 2_000, proven_at: 19_000, given_up_after: None });
        assert!(world.run());
        assert_eq!(world.best.height, 20_000);
        assert!(world.now < Duration::from_secs(9), "presync {place}: {:?}", world.now);
    }
}

const PEER: PeerId = PeerId(7);

/// Returns a download whose only peer has confirmed the tip, which is at this height.
fn at_tip(height: u32) -> (Download, SimChain) {
    let mut stored = SimChain::new(hash_of(0, 0));
    stored.connect(hash_of(0, 0), &chain(height)[1..]);
    let mut download = Download::new(hash_of(0, 0), Hints::default(), None, stored.best);
    download.add_peer(PEER, height, ms(5));
    assert_eq!(requests(&mut download, ms(0), &stored), [PEER]);
    let empty = reply(None, hash_of(0, 0), 0);
    assert_eq!(download.on_headers(ms(10), PEER, &empty, 1), Disposition::Discard);
    assert_eq!((download.confirmations(), download.is_idle(PEER)), (1, true));
    (download, stored)
}

/// Returns the peers that get a request now.
fn requests(download: &mut Download, now: Duration, stored: &SimChain) -> Vec<PeerId> {
    let asked = |command| match command {
        SyncCommand::Request { peer, .. } => Some(peer),
        _ => None,
    };
    download.poll(now, false, stored.best.height, stored).into_iter().filter_map(asked).collect()
}

fn reply(parent: Option<BlockHash>, last: BlockHash, count: u32) -> Reply {
    Reply { parent, first_time: 0, last, count, foreign_parent: None }
}

#[test]
fn an_answer_of_any_kind_ends_a_tip_check() {
    // The answer is the tip itself, or has more, or is another branch, or is empty.
    for (parent, last, count) in [
        (Some(hash_of(0, 99)), hash_of(0, 100), 1),
        (Some(hash_of(0, 99)), hash_of(0, 103), 4),
        (Some(hash_of(0, 90)), hash_of(4, 101), 11),
        (None, hash_of(0, 0), 0),
    ] {
        let (mut download, stored) = at_tip(100);
        download.check_tip(ms(20), PEER, stored.best.height, &stored);
        assert!(!download.is_idle(PEER), "an answer is expected");
        assert_eq!(requests(&mut download, ms(20), &stored), [PEER]);
        let disposition = download.on_headers(ms(30), PEER, &reply(parent, last, count), 2);
        let expected = if count <= 1 { Disposition::Discard } else { Disposition::Take };
        assert_eq!(disposition, expected);
        assert!(download.is_idle(PEER));
    }
}

#[test]
fn the_answer_to_a_tip_check_does_not_answer_a_request_for_the_tail() {
    let (mut download, stored) = at_tip(100);
    download.on_announcement(PEER);
    download.check_tip(ms(20), PEER, stored.best.height, &stored);
    download.poll(ms(20), false, stored.best.height, &stored);
    let tip = reply(Some(hash_of(0, 99)), hash_of(0, 100), 1);
    assert_eq!(download.on_headers(ms(30), PEER, &tip, 2), Disposition::Discard);
    assert!(!download.is_idle(PEER), "the request for the tail is not answered");
    let more = reply(Some(hash_of(0, 99)), hash_of(0, 101), 2);
    assert_eq!(download.on_headers(ms(40), PEER, &more, 3), Disposition::Take);
    assert!(download.is_idle(PEER));
}
