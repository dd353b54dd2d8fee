//! Tests which events are reported, and in which order.

use super::sim_chain::{SimChain, tip_of, work_of};
use super::world::{chain, hash_of, settings};
use crate::chain::{ChainPoint, ConnectOutcome, Hints};
use crate::primitives::{Moment, PeerId};
use crate::sync::{HeaderSync, Input, PeerSupply, Reply, Settings, SyncCommand, SyncEvent};
use std::time::Duration;

#[test]
fn a_new_tip_is_reported_once_and_after_its_reorganization() {
    let mut stored = SimChain::new(hash_of(0, 0));
    stored.connect(hash_of(0, 0), &chain(100)[1..]);
    let mut sync = HeaderSync::new(settings(Hints::default()), tip_of(stored.best), &stored);
    let now = Moment { since_start: Duration::ZERO, unix: 0 };
    let old = ChainPoint { height: 101, hash: hash_of(0, 101) };
    let new = ChainPoint { height: 102, hash: hash_of(7, 102) };
    let reorganized = ConnectOutcome::Reorganized {
        fork_height: 100,
        old_height: old.height,
        old_hash: old.hash,
        old_work: work_of(old.height),
        connected: 2,
    };
    let batches = vec![(1, ConnectOutcome::Extended(1)), (2, reorganized)];
    sync.handle(now, Input::Connected { batches, tip: tip_of(new), end: new }, &stored);
    let reported = sync.take_commands().into_iter().filter_map(|command| match command {
        SyncCommand::Report(event @ (SyncEvent::NewTip(_) | SyncEvent::Reorganization { .. })) => {
            Some(event)
        }
        _ => None,
    });
    let expected =
        [SyncEvent::Reorganization { old, new, depth: 1 }, SyncEvent::NewTip(tip_of(new))];
    assert_eq!(reported.collect::<Vec<_>>(), expected);
}

#[test]
fn peers_disagree_only_if_headers_have_two_sources_and_the_chain_is_not_followed_yet() {
    let mut stored = SimChain::new(hash_of(0, 0));
    stored.connect(hash_of(0, 0), &chain(100)[1..]);
    let following = Settings { follow: true, ..settings(Hints::default()) };
    let mut sync = HeaderSync::new(following, tip_of(stored.best), &stored);
    let now = Moment { since_start: Duration::ZERO, unix: 0 };
    let (height, hash) = (99, hash_of(7, 99));
    let side = || ConnectOutcome::SideBranch { height, hash, work: work_of(height) };
    let (tip, end) = (tip_of(stored.best), stored.best);
    let disagree = |sync: &mut HeaderSync, outcomes: Vec<ConnectOutcome>| {
        let batches = (1..).zip(outcomes).collect();
        sync.handle(now, Input::Connected { batches, tip: tip.clone(), end }, &stored);
        let is_it =
            |command: &_| matches!(command, SyncCommand::Report(SyncEvent::PeersDisagree { .. }));
        sync.take_commands().iter().any(is_it)
    };
    let header =
        Reply { parent: Some(hash), first_time: 0, last: hash, count: 1, foreign_parent: None };
    let nothing = Reply { parent: None, count: 0, ..header };
    let round_trip = Duration::from_millis(1);
    let send = |sync: &mut HeaderSync, peer| {
        sync.handle(now, Input::PeerConnected { peer, announced: 100, round_trip }, &stored);
        sync.handle(now, Input::Headers { peer, reply: header, batch: 2 }, &stored);
    };
    send(&mut sync, PeerId(1));
    assert!(disagree(&mut sync, vec![side()]), "the peer and what was stored before");
    assert!(!disagree(&mut sync, vec![ConnectOutcome::Extended(1), side()]), "one peer");
    send(&mut sync, PeerId(2));
    assert!(disagree(&mut sync, vec![side()]), "two peers");
    sync.handle(now, Input::PeerSupply(PeerSupply::NoMoreExpected), &stored);
    for peer in [PeerId(1), PeerId(2)] {
        sync.poll(now, &stored);
        sync.handle(now, Input::Headers { peer, reply: nothing, batch: 3 }, &stored);
    }
    sync.poll(now, &stored);
    assert!(sync.is_following());
    assert!(!disagree(&mut sync, vec![side()]), "while following");
}
