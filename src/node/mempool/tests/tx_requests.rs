//! Tests of transaction requests with hostile and busy peers, at the default limits unless a test sets another.

use crate::node::mempool::fault::TxFault;
use crate::node::mempool::limits::MempoolLimits;
use crate::node::mempool::tx_requests::{Arrival, TxRequestTracker};
use crate::primitives::{Hash256, PeerId, Txid, Wtxid, sha256d};
use crate::wire::{Inventory, InventoryKind};
use std::ops::Range;
use std::time::Duration;

fn hash(number: u32) -> [u8; 32] {
    sha256d(&number.to_le_bytes())
}

fn announced(numbers: Range<u32>) -> Vec<Inventory> {
    numbers.map(|n| Inventory { kind: InventoryKind::Wtx, hash: Hash256(hash(n)) }).collect()
}

fn entries(requests: Vec<(PeerId, Vec<Inventory>)>) -> Vec<(PeerId, Hash256)> {
    let entries = requests.into_iter().flat_map(|(peer, list)| {
        assert!(list.len() <= 1000);
        list.into_iter().map(move |entry| (peer, entry.hash))
    });
    entries.collect()
}

#[test]
fn made_up_announcements_are_bounded_and_do_not_hinder_other_peers() {
    let mut tracker = TxRequestTracker::new(MempoolLimits::default());
    tracker.add_peer(PeerId(1), true);
    tracker.add_peer(PeerId(2), true);
    tracker.on_inv(PeerId(1), &announced(0..50_000));
    tracker.on_inv(PeerId(1), &announced(50_000..100_000));
    let sizes = tracker.sizes();
    assert_eq!((sizes.announced, sizes.wanted, sizes.queue), (5000, 5000, 5000));
    assert_eq!(tracker.counts().dropped, 95_000);
    assert_eq!(entries(tracker.requests(Duration::ZERO)).len(), 1000);

    // Peer 2 really has one of these transactions. It is asked for this transaction once peer 1 has timed out.
    tracker.on_inv(PeerId(2), &announced(500..501));
    tracker.on_inv(PeerId(2), &announced(200_000..200_001));
    let asked = entries(tracker.requests(Duration::from_secs(1)));
    assert_eq!(asked, [(PeerId(2), Hash256(hash(200_000)))]);
    assert_eq!(
        tracker.on_tx(PeerId(2), Txid(hash(200_000)), Wtxid(hash(200_000))),
        Ok(Arrival::New)
    );
    assert_eq!(tracker.expire(Duration::from_millis(9999)), []);
    let faults = tracker.expire(Duration::from_secs(10));
    assert_eq!(faults, [(PeerId(1), TxFault::Unanswered { count: 1000 })]);
    tracker.remove_peer(PeerId(1));
    let asked = entries(tracker.requests(Duration::from_secs(10)));
    assert_eq!(asked, [(PeerId(2), Hash256(hash(500)))]);
    assert_eq!(tracker.counts().lost, 4999);
    let sizes = tracker.sizes();
    assert_eq!((sizes.announced, sizes.wanted, sizes.in_flight, sizes.queue), (1, 1, 1, 0));
}

#[test]
fn transactions_that_8_peers_announce_are_requested_once() {
    let mut tracker = TxRequestTracker::new(MempoolLimits::default());
    (0..8).for_each(|peer| tracker.add_peer(PeerId(peer), true));
    let mut asked = Vec::new();
    for first in (0..100_000).step_by(1000) {
        for peer in 0..8 {
            // Each peer announces the transactions in another order.
            let middle = first + 125 * u32::try_from(peer).unwrap();
            tracker.on_inv(PeerId(peer), &announced(middle..first + 1000));
            tracker.on_inv(PeerId(peer), &announced(first..middle));
        }
        let requests = entries(tracker.requests(Duration::ZERO));
        for (peer, id) in &requests {
            assert_eq!(tracker.on_tx(*peer, Txid(id.0), Wtxid(id.0)), Ok(Arrival::New));
        }
        asked.extend(requests);
    }
    let counts = tracker.counts();
    assert_eq!((counts.announcements, counts.seen, counts.again), (800_000, 100_000, 0));
    assert_eq!((counts.dropped, counts.lost, counts.requests), (0, 0, 100_000));
    asked.sort_unstable_by_key(|(_, id)| *id);
    asked.dedup_by_key(|(_, id)| *id);
    assert_eq!(asked.len(), 100_000);
    assert_eq!((tracker.sizes().announced, tracker.sizes().wanted), (0, 0));
}

#[test]
fn other_witnesses_of_a_known_transaction_are_recognised() {
    let mut tracker = TxRequestTracker::new(MempoolLimits::default());
    tracker.add_peer(PeerId(1), true);
    tracker.add_peer(PeerId(2), false);
    let (txid, one, other) = (Txid([1; 32]), Wtxid([2; 32]), Wtxid([3; 32]));
    for (peer, kind, hash) in [
        (1, InventoryKind::Wtx, one.0),
        (1, InventoryKind::Wtx, other.0),
        (2, InventoryKind::Tx, txid.0),
    ] {
        tracker.on_inv(PeerId(peer), &[Inventory { kind, hash: Hash256(hash) }]);
    }
    assert_eq!(entries(tracker.requests(Duration::ZERO)).len(), 3);
    assert_eq!(tracker.on_tx(PeerId(1), txid, one), Ok(Arrival::New));
    assert_eq!(tracker.on_tx(PeerId(1), txid, other), Ok(Arrival::OtherWitness));
    assert_eq!(tracker.on_tx(PeerId(2), txid, other), Ok(Arrival::Duplicate));
    assert_eq!((tracker.counts().seen, tracker.counts().again), (1, 2));
    // Peer 2 has already answered the request, so a second answer is unsolicited.
    assert_eq!(tracker.on_tx(PeerId(2), txid, other), Err(TxFault::Unsolicited { asked: 0, txid }));
}

#[test]
fn a_too_heavy_transaction_is_still_requested_with_other_witnesses() {
    let mut tracker = TxRequestTracker::new(MempoolLimits::default());
    tracker.add_peer(PeerId(1), true);
    tracker.add_peer(PeerId(2), false);
    tracker.add_peer(PeerId(3), false);
    let (txid, heavy, light) = (Txid([1; 32]), Wtxid([2; 32]), Wtxid([3; 32]));
    let announce = |tracker: &mut TxRequestTracker, peer, kind, hash| {
        tracker.on_inv(peer, &[Inventory { kind, hash: Hash256(hash) }]);
    };
    announce(&mut tracker, PeerId(1), InventoryKind::Wtx, heavy.0);
    announce(&mut tracker, PeerId(2), InventoryKind::Tx, txid.0);
    assert_eq!(entries(tracker.requests(Duration::ZERO)).len(), 2);
    assert_eq!(tracker.on_too_heavy(PeerId(1), txid, heavy), Ok(()));
    announce(&mut tracker, PeerId(3), InventoryKind::Tx, txid.0);
    assert_eq!(tracker.on_too_heavy(PeerId(2), txid, heavy), Ok(()));
    // Neither peer 1 nor peer 2 is asked for the announced id again. Peer 3 is asked instead.
    announce(&mut tracker, PeerId(1), InventoryKind::Wtx, heavy.0);
    announce(&mut tracker, PeerId(2), InventoryKind::Tx, txid.0);
    let asked = entries(tracker.requests(Duration::from_secs(1)));
    assert_eq!(asked, [(PeerId(3), Hash256(txid.0))]);
    assert_eq!(tracker.on_tx(PeerId(3), txid, light), Ok(Arrival::New));
    assert_eq!((tracker.counts().seen, tracker.counts().too_heavy), (1, 2));
    assert_eq!(
        tracker.on_too_heavy(PeerId(1), txid, heavy),
        Err(TxFault::Unsolicited { asked: 0, txid }),
        "peer 1 has no open request for it"
    );
}

#[test]
fn confirmed_transactions_are_not_requested_by_txid_or_wtxid() {
    let mut tracker = TxRequestTracker::new(MempoolLimits::default());
    tracker.add_peer(PeerId(1), true);
    tracker.add_peer(PeerId(2), false);
    tracker.on_block(&[Txid([1; 32])], &[Wtxid([2; 32])]);
    tracker.on_inv(PeerId(1), &[Inventory { kind: InventoryKind::Wtx, hash: Hash256([2; 32]) }]);
    tracker.on_inv(PeerId(2), &[Inventory { kind: InventoryKind::Tx, hash: Hash256([1; 32]) }]);
    assert_eq!(tracker.requests(Duration::ZERO), []);
}

#[test]
fn a_late_transaction_is_no_fault() {
    let mut tracker = TxRequestTracker::new(MempoolLimits::default());
    tracker.add_peer(PeerId(1), true);
    tracker.on_inv(PeerId(1), &announced(0..1));
    assert_eq!(tracker.requests(Duration::ZERO).len(), 1);
    assert_eq!(tracker.expire(Duration::from_secs(60)), []);
    assert_eq!(tracker.counts().lost, 1);
    assert_eq!(tracker.on_tx(PeerId(1), Txid(hash(0)), Wtxid(hash(0))), Ok(Arrival::New));
}

#[test]
fn a_forgotten_transaction_counts_as_new_again() {
    let mut tracker =
        TxRequestTracker::new(MempoolLimits { known: 10, ..MempoolLimits::default() });
    tracker.add_peer(PeerId(1), true);
    for number in (0..20).chain(0..1) {
        tracker.on_inv(PeerId(1), &announced(number..number + 1));
        assert_eq!(tracker.requests(Duration::ZERO).len(), 1);
        assert_eq!(
            tracker.on_tx(PeerId(1), Txid(hash(number)), Wtxid(hash(number))),
            Ok(Arrival::New)
        );
        assert!(tracker.sizes().known <= 10);
    }
    assert_eq!(tracker.forgotten(), 15);
}
