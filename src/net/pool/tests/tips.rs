//! Peers whose tips stay behind, and a tip of our own that has become stale.

use super::bench::{Bench, FULL, at, secs, with_work};
use super::cases::following;
use crate::net::pool::{Action, Admission, DisconnectReason, Search, Settings};
use crate::primitives::PeerId;

#[test]
fn a_peer_that_stays_behind_is_asked_and_then_replaced() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"];
    let mut bench = Bench::knowing(following(2), &known);
    let ids: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).take(2).collect();
    ids.iter().for_each(|id| drop(bench.connect(*id, FULL)));
    bench.pool.follow(bench.now);
    bench.pool.has_tip(ids[0], at(100), bench.now);
    let mut asked = None;
    for second in 0..3600u64 {
        if second % 600 == 0 {
            let height = 101 + u32::try_from(second / 600).unwrap();
            bench.pool.set_tip(at(height), bench.now.unix, bench.now);
            bench.pool.has_tip(ids[0], at(height), bench.now);
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
    panic!("it was never replaced");
}

#[test]
fn peers_are_behind_by_work_and_not_by_height() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333", "12.1.1.1:8333"];
    let mut bench = Bench::knowing(following(4), &known);
    let ids: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).take(4).collect();
    ids.iter().for_each(|id| drop(bench.connect(*id, FULL)));
    bench.pool.follow(bench.now);
    // A shorter chain with more work has taken over. Two of four peers are protected: one has it, one another with as
    // much. Of the others, one has it too, and one is higher on the old chain.
    bench.pool.set_tip(with_work(90, 200), bench.now.unix, bench.now);
    bench.pool.has_tip(ids[0], with_work(90, 200), bench.now);
    bench.pool.has_tip(ids[1], with_work(95, 200), bench.now);
    bench.pool.has_tip(ids[2], with_work(89, 200), bench.now);
    bench.pool.has_tip(ids[3], with_work(100, 100), bench.now);
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
fn a_stale_tip_brings_one_more_peer_and_the_next_block_sends_the_least_useful_away() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"];
    let settings = Settings { stale_after: Some(secs(1800)), ..following(2) };
    let mut bench = Bench::knowing(settings, &known);
    let first: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).take(2).collect();
    first.iter().for_each(|id| drop(bench.connect(*id, FULL)));
    bench.pool.follow(bench.now);
    first.iter().for_each(|id| bench.pool.has_tip(*id, at(100), bench.now));
    // Meanwhile the address that never answered is tried: it does, and is let go.
    let tried = bench.dials(1700);
    assert_eq!(tried.len(), 1);
    assert_eq!(bench.connect(tried[0].0, FULL), Admission::Disconnect(DisconnectReason::Feeler));
    let more = bench.dials(200);
    assert_eq!(more.len(), 1);
    assert_eq!(bench.connect(more[0].0, FULL), Admission::Keep);
    assert_eq!(bench.pool.connected_count(), 3);
    bench.pool.set_tip(at(101), bench.now.unix, bench.now);
    first.iter().for_each(|id| bench.pool.has_tip(*id, at(101), bench.now));
    bench.dials(100);
    let mut left: Vec<PeerId> = bench.pool.peers().map(|peer| peer.id).collect();
    left.sort_unstable();
    assert_eq!(left, first, "who brought nothing goes");
}

#[test]
fn the_peer_that_a_stale_tip_calls_for_is_searched_for_too() {
    let settings = Settings { stale_after: Some(secs(1800)), dns: true, ..following(2) };
    let mut bench = Bench::knowing(settings, &["8.8.8.8:8333", "9.9.9.9:8333"]);
    let ids: Vec<PeerId> = bench.dials(1).into_iter().map(|(id, _)| id).collect();
    bench.pool.found(Search::Dns, &[], bench.now);
    ids.iter().for_each(|id| drop(bench.connect(*id, FULL)));
    bench.pool.follow(bench.now);
    ids.iter().for_each(|id| bench.pool.has_tip(*id, at(100), bench.now));
    let searched = |bench: &mut Bench, seconds: u64| {
        (0..seconds * 10).any(|_| {
            bench.wait_tenth();
            bench.poll().contains(&Action::Search(Search::Dns))
        })
    };
    assert!(!searched(&mut bench, 1790), "there are as many as are wanted");
    assert!(searched(&mut bench, 200), "the address manager has nobody else");
}
