//! Tests what the pool does when peers stay behind, and when our tip is stale.

use super::bench::{Bench, FULL_NODE, at, secs, with_work};
use super::cases::following;
use crate::net::pool::{Action, DisconnectReason, PeerAdmission, PoolSettings, Search};
use crate::primitives::PeerId;

#[test]
fn a_peer_that_stays_behind_is_asked_and_then_disconnected() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"];
    let mut bench = Bench::with_addresses(following(2), &known);
    let ids: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).take(2).collect();
    ids.iter().for_each(|id| drop(bench.connect(*id, FULL_NODE)));
    bench.pool.follow(bench.now);
    bench.pool.record_tip(ids[0], at(100), bench.now);
    let mut asked = None;
    for second in 0..3600u64 {
        if second % 600 == 0 {
            let height = 101 + u32::try_from(second / 600).unwrap();
            bench.pool.set_tip(at(height), bench.now.unix, bench.now);
            bench.pool.record_tip(ids[0], at(height), bench.now);
        }
        for action in bench.poll() {
            match action {
                Action::AskTip { id } => {
                    assert_eq!(id, ids[1]);
                    asked = Some(second);
                }
                Action::Disconnect { id, reason: DisconnectReason::Lagging { .. }, .. } => {
                    assert_eq!((id, second - asked.unwrap()), (ids[1], 120));
                    assert!(asked.unwrap() >= 1200);
                    return;
                }
                _ => {}
            }
        }
        bench.wait(secs(1));
    }
    panic!("the peer was never disconnected");
}

#[test]
fn peers_are_behind_by_work_and_not_by_height() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333", "12.1.1.1:8333"];
    let mut bench = Bench::with_addresses(following(4), &known);
    let ids: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).take(4).collect();
    ids.iter().for_each(|id| drop(bench.connect(*id, FULL_NODE)));
    bench.pool.follow(bench.now);
    // A shorter chain with more work has become the best. The first peer has its tip, and the second another tip with
    // the same work: the pool protects these two. The third has a tip with the same work too. The fourth is higher,
    // but on the old chain with less work.
    bench.pool.set_tip(with_work(90, 200), bench.now.unix, bench.now);
    bench.pool.record_tip(ids[0], with_work(90, 200), bench.now);
    bench.pool.record_tip(ids[1], with_work(95, 200), bench.now);
    bench.pool.record_tip(ids[2], with_work(89, 200), bench.now);
    bench.pool.record_tip(ids[3], with_work(100, 100), bench.now);
    let mut gone = Vec::new();
    for _ in 0..1500 {
        for action in bench.poll() {
            if let Action::Disconnect { id, reason: DisconnectReason::Lagging { .. }, .. } = action
            {
                gone.push(id);
            }
        }
        bench.wait(secs(1));
    }
    assert_eq!(gone, [ids[3]]);
}

#[test]
fn a_stale_tip_brings_an_extra_peer_and_the_next_block_evicts_the_least_useful() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"];
    let settings = PoolSettings { stale_after: Some(secs(1800)), ..following(2) };
    let mut bench = Bench::with_addresses(settings, &known);
    let first: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).take(2).collect();
    first.iter().for_each(|id| drop(bench.connect(*id, FULL_NODE)));
    bench.pool.follow(bench.now);
    first.iter().for_each(|id| bench.pool.record_tip(*id, at(100), bench.now));
    // Meanwhile a feeler tests the address that has never answered, and is closed.
    let tried = bench.dials(1700);
    assert_eq!(tried.len(), 1);
    assert_eq!(
        bench.connect(tried[0].0, FULL_NODE),
        PeerAdmission::Disconnect(DisconnectReason::Feeler)
    );
    let more = bench.dials(200);
    assert_eq!(more.len(), 1);
    assert_eq!(bench.connect(more[0].0, FULL_NODE), PeerAdmission::Keep);
    assert_eq!(bench.pool.connected_count(), 3);
    bench.pool.set_tip(at(101), bench.now.unix, bench.now);
    first.iter().for_each(|id| bench.pool.record_tip(*id, at(101), bench.now));
    bench.dials(100);
    let mut left: Vec<PeerId> = bench.pool.peers().map(|peer| peer.id).collect();
    left.sort_unstable();
    assert_eq!(left, first, "the peer without news is evicted");
}

#[test]
fn addresses_are_sought_for_the_extra_peer_of_a_stale_tip() {
    let settings = PoolSettings { stale_after: Some(secs(1800)), dns: true, ..following(2) };
    let mut bench = Bench::with_addresses(settings, &["8.8.8.8:8333", "9.9.9.9:8333"]);
    let ids: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).collect();
    bench.pool.search_ended(Search::Dns, &[], bench.now);
    bench.pool.search_ended(Search::FixedSeeds, &[], bench.now);
    ids.iter().for_each(|id| drop(bench.connect(*id, FULL_NODE)));
    bench.pool.follow(bench.now);
    ids.iter().for_each(|id| bench.pool.record_tip(*id, at(100), bench.now));
    let searched = |bench: &mut Bench, seconds: u64| {
        (0..seconds * 10).any(|_| {
            bench.wait_tenth();
            bench.poll().contains(&Action::Search(Search::Dns))
        })
    };
    assert!(!searched(&mut bench, 1790), "enough peers are connected");
    assert!(searched(&mut bench, 200), "the address manager has no other address");
}
