//! Hostile and busy peers, at the limits that the program has.

use crate::node::mempool::fault::TxFault;
use crate::node::mempool::limits::Limits;
use crate::node::mempool::watch::{Arrival, Watch};
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
fn of_100_000_made_up_ids_5_000_are_kept_and_a_second_peer_is_not_hindered() {
    let mut watch = Watch::new(Limits::default());
    watch.add_peer(PeerId(1), true);
    watch.add_peer(PeerId(2), true);
    watch.on_inv(PeerId(1), &announced(0..50_000));
    watch.on_inv(PeerId(1), &announced(50_000..100_000));
    let [kept, wanted, _, queue, ..] = watch.kept();
    assert_eq!((kept, wanted, queue), (5000, 5000, 5000));
    assert_eq!(watch.counts().dropped, 95_000);
    assert_eq!(entries(watch.requests(Duration::ZERO)).len(), 1000);

    // Among them is one that the other peer really has: it is asked when the first has had its time.
    watch.on_inv(PeerId(2), &announced(500..501));
    watch.on_inv(PeerId(2), &announced(200_000..200_001));
    let asked = entries(watch.requests(Duration::from_secs(1)));
    assert_eq!(asked, [(PeerId(2), Hash256(hash(200_000)))]);
    assert_eq!(watch.on_tx(PeerId(2), Txid(hash(200_000)), Wtxid(hash(200_000))), Ok(Arrival::New));
    assert_eq!(watch.expire(Duration::from_millis(9999)), []);
    let faults = watch.expire(Duration::from_secs(10));
    assert_eq!(faults, [(PeerId(1), TxFault::Unanswered { count: 1000 })]);
    watch.remove_peer(PeerId(1));
    let asked = entries(watch.requests(Duration::from_secs(10)));
    assert_eq!(asked, [(PeerId(2), Hash256(hash(500)))]);
    assert_eq!(watch.counts().lost, 4999);
    assert_eq!(watch.kept()[..4], [1, 1, 1, 0]);
}

#[test]
fn announced_by_8_peers_each_is_asked_for_and_seen_once() {
    let mut watch = Watch::new(Limits::default());
    (0..8).for_each(|peer| watch.add_peer(PeerId(peer), true));
    let mut asked = Vec::new();
    for first in (0..100_000).step_by(1000) {
        for peer in 0..8 {
            // Each begins elsewhere, as peers do.
            let middle = first + 125 * u32::try_from(peer).unwrap();
            watch.on_inv(PeerId(peer), &announced(middle..first + 1000));
            watch.on_inv(PeerId(peer), &announced(first..middle));
        }
        let requests = entries(watch.requests(Duration::ZERO));
        for (peer, id) in &requests {
            assert_eq!(watch.on_tx(*peer, Txid(id.0), Wtxid(id.0)), Ok(Arrival::New));
        }
        asked.extend(requests);
    }
    let counts = watch.counts();
    assert_eq!((counts.announcements, counts.seen, counts.again), (800_000, 100_000, 0));
    assert_eq!((counts.dropped, counts.lost, counts.requests), (0, 0, 100_000));
    asked.sort_unstable_by_key(|(_, id)| *id);
    asked.dedup_by_key(|(_, id)| *id);
    assert_eq!(asked.len(), 100_000);
    assert_eq!(watch.kept()[..2], [0, 0]);
}

#[test]
fn with_other_witnesses_it_is_the_same_transaction_and_that_is_said() {
    let mut watch = Watch::new(Limits::default());
    watch.add_peer(PeerId(1), true);
    watch.add_peer(PeerId(2), false);
    let (txid, one, other) = (Txid([1; 32]), Wtxid([2; 32]), Wtxid([3; 32]));
    for (peer, kind, hash) in [
        (1, InventoryKind::Wtx, one.0),
        (1, InventoryKind::Wtx, other.0),
        (2, InventoryKind::Tx, txid.0),
    ] {
        watch.on_inv(PeerId(peer), &[Inventory { kind, hash: Hash256(hash) }]);
    }
    assert_eq!(entries(watch.requests(Duration::ZERO)).len(), 3);
    assert_eq!(watch.on_tx(PeerId(1), txid, one), Ok(Arrival::New));
    assert_eq!(watch.on_tx(PeerId(1), txid, other), Ok(Arrival::OtherWitness));
    assert_eq!(watch.on_tx(PeerId(2), txid, other), Ok(Arrival::Again));
    assert_eq!((watch.counts().seen, watch.counts().again), (1, 2));
    // Once more nobody asked.
    assert_eq!(watch.on_tx(PeerId(2), txid, other), Err(TxFault::Unasked { asked: 0, txid }));
}

#[test]
fn one_that_is_too_heavy_hides_nothing_of_it_with_other_witnesses() {
    let mut watch = Watch::new(Limits::default());
    watch.add_peer(PeerId(1), true);
    watch.add_peer(PeerId(2), false);
    watch.add_peer(PeerId(3), false);
    let (txid, heavy, light) = (Txid([1; 32]), Wtxid([2; 32]), Wtxid([3; 32]));
    let tell = |watch: &mut Watch, peer, kind, hash| {
        watch.on_inv(peer, &[Inventory { kind, hash: Hash256(hash) }]);
    };
    tell(&mut watch, PeerId(1), InventoryKind::Wtx, heavy.0);
    tell(&mut watch, PeerId(2), InventoryKind::Tx, txid.0);
    assert_eq!(entries(watch.requests(Duration::ZERO)).len(), 2);
    assert_eq!(watch.on_too_heavy(PeerId(1), txid, heavy), Ok(()));
    tell(&mut watch, PeerId(3), InventoryKind::Tx, txid.0);
    assert_eq!(watch.on_too_heavy(PeerId(2), txid, heavy), Ok(()));
    // The one is not asked for it by that wtxid again, the other not again, the third in its place.
    tell(&mut watch, PeerId(1), InventoryKind::Wtx, heavy.0);
    tell(&mut watch, PeerId(2), InventoryKind::Tx, txid.0);
    let asked = entries(watch.requests(Duration::from_secs(1)));
    assert_eq!(asked, [(PeerId(3), Hash256(txid.0))]);
    assert_eq!(watch.on_tx(PeerId(3), txid, light), Ok(Arrival::New));
    assert_eq!((watch.counts().seen, watch.counts().too_heavy), (1, 2));
    assert_eq!(
        watch.on_too_heavy(PeerId(1), txid, heavy),
        Err(TxFault::Unasked { asked: 0, txid }),
        "nobody asked"
    );
}

#[test]
fn what_a_block_has_is_not_asked_for_by_either_of_its_ids() {
    let mut watch = Watch::new(Limits::default());
    watch.add_peer(PeerId(1), true);
    watch.add_peer(PeerId(2), false);
    watch.confirmed(&[Txid([1; 32])], &[Wtxid([2; 32])]);
    watch.on_inv(PeerId(1), &[Inventory { kind: InventoryKind::Wtx, hash: Hash256([2; 32]) }]);
    watch.on_inv(PeerId(2), &[Inventory { kind: InventoryKind::Tx, hash: Hash256([1; 32]) }]);
    assert_eq!(watch.requests(Duration::ZERO), []);
}

#[test]
fn what_comes_after_its_time_is_no_fault() {
    let mut watch = Watch::new(Limits::default());
    watch.add_peer(PeerId(1), true);
    watch.on_inv(PeerId(1), &announced(0..1));
    assert_eq!(watch.requests(Duration::ZERO).len(), 1);
    assert_eq!(watch.expire(Duration::from_secs(60)), []);
    assert_eq!(watch.counts().lost, 1);
    assert_eq!(watch.on_tx(PeerId(1), Txid(hash(0)), Wtxid(hash(0))), Ok(Arrival::New));
}

#[test]
fn a_tiny_memory_forgets_and_sees_again() {
    let mut watch = Watch::new(Limits { known: 10, ..Limits::default() });
    watch.add_peer(PeerId(1), true);
    for number in (0..20).chain(0..1) {
        watch.on_inv(PeerId(1), &announced(number..number + 1));
        assert_eq!(watch.requests(Duration::ZERO).len(), 1);
        assert_eq!(
            watch.on_tx(PeerId(1), Txid(hash(number)), Wtxid(hash(number))),
            Ok(Arrival::New)
        );
        assert!(watch.kept()[5] <= 10);
    }
    assert_eq!(watch.forgotten(), 15);
}
