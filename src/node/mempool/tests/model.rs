//! Compares the transaction requests with a naive model: a list of announcements without queues, which is searched from
//! end to end for every question.

use crate::node::mempool::fault::TxFault;
use crate::node::mempool::limits::MempoolLimits;
use crate::node::mempool::tx_requests::{Arrival, TxRequestTracker};
use crate::primitives::{Hash256, PeerId, Txid, Wtxid};
use crate::wire::{Inventory, InventoryKind};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LIMITS: MempoolLimits = MempoolLimits {
    announced: 6,
    in_flight: 3,
    batch: 2,
    timeout: Duration::from_secs(10),
    unanswered: 4,
    known: 1000,
    pending: 1000,
    spends: 100,
};

/// How many transactions there are. Transactions 9 to 11 are transactions 6 to 8 with other witnesses. Every third of
/// the first nine has no witness, so its txid and wtxid are the same.
const TXS: u8 = 12;
const FIRST_MALLEATED: u8 = 9;
const PEERS: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Announce { peer: PeerId, txs: Vec<u8>, right_kind: bool },
    Send { peer: PeerId, tx: u8, heavy: bool },
    NotFound { peer: PeerId, tx: u8 },
    PassSeconds(u64),
    Disconnect(PeerId),
    Mine(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (peer, tx) = ((0..PEERS).prop_map(PeerId), 0..TXS);
    let announce = (peer.clone(), vec(tx.clone(), 1..9), proptest::bool::weighted(0.9));
    let step = prop_oneof![
        4 => announce.prop_map(|(peer, txs, right_kind)| Step::Announce { peer, txs, right_kind }),
        6 => (peer.clone(), tx.clone(), proptest::bool::weighted(0.1))
            .prop_map(|(peer, tx, heavy)| Step::Send { peer, tx, heavy }),
        2 => (peer.clone(), tx.clone()).prop_map(|(peer, tx)| Step::NotFound { peer, tx }),
        3 => (1..12_u64).prop_map(Step::PassSeconds),
        1 => peer.prop_map(Step::Disconnect),
        1 => tx.prop_map(Step::Mine),
        1 => Just(Step::PassSeconds(0)),
    ];
    vec(step, 1..120)
}

fn txid(tx: u8) -> Txid {
    Txid([if tx < FIRST_MALLEATED { tx + 1 } else { tx - 2 }; 32])
}

fn wtxid(tx: u8) -> Wtxid {
    if tx.is_multiple_of(3) && tx < FIRST_MALLEATED {
        Wtxid(txid(tx).0)
    } else {
        Wtxid([tx + 101; 32])
    }
}

fn wtxid_relay(peer: PeerId) -> bool {
    peer.0.is_multiple_of(2)
}

fn id(peer: PeerId, tx: u8) -> Hash256 {
    Hash256(if wtxid_relay(peer) { wtxid(tx).0 } else { txid(tx).0 })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Candidate,
    Requested,
    Completed,
}

#[derive(Debug, Default)]
struct Model {
    announcements: Vec<(PeerId, Hash256, State)>,
    in_flight: BTreeMap<(PeerId, Hash256), Duration>,
    timed_out: BTreeSet<(PeerId, Hash256)>,
    known: BTreeSet<Hash256>,
    unanswered: BTreeMap<PeerId, usize>,
    dropped: u64,
    seen: u64,
    lost: u64,
}

impl Model {
    fn announce(&mut self, peer: PeerId, id: Hash256) {
        let is_listed = self.announcements.iter().any(|(p, i, _)| (*p, *i) == (peer, id));
        if self.known.contains(&id) || is_listed {
            return;
        }
        if self.announcements.iter().filter(|(p, ..)| *p == peer).count() >= LIMITS.announced {
            self.dropped += 1;
        } else {
            self.announcements.push((peer, id, State::Candidate));
        }
    }

    /// Removes the request that a transaction answers. Returns `None` if there is no such request.
    fn take_request(&mut self, peer: PeerId, tx: u8) -> Option<()> {
        let own = (peer, id(peer, tx));
        if self.in_flight.remove(&own).is_none() && !self.timed_out.remove(&own) {
            return None;
        }
        self.unanswered.insert(peer, 0);
        Some(())
    }

    fn send(&mut self, peer: PeerId, tx: u8) -> Option<Arrival> {
        self.take_request(peer, tx)?;
        let knows = |id: [u8; 32]| self.known.contains(&Hash256(id));
        let arrival = match (knows(txid(tx).0), knows(wtxid(tx).0)) {
            (true, true) => Arrival::Duplicate,
            (true, false) => Arrival::OtherWitness,
            (false, _) => Arrival::New,
        };
        self.seen += u64::from(arrival == Arrival::New);
        self.mark_known(Hash256(txid(tx).0));
        self.mark_known(Hash256(wtxid(tx).0));
        Some(arrival)
    }

    fn send_heavy(&mut self, peer: PeerId, tx: u8) -> Option<()> {
        self.take_request(peer, tx)?;
        let own = id(peer, tx);
        if own.0 == wtxid(tx).0 {
            self.mark_known(own)
        } else {
            self.complete(peer, own)
        }
        Some(())
    }

    fn mark_known(&mut self, id: Hash256) {
        self.known.insert(id);
        self.announcements.retain(|(_, other, _)| *other != id);
    }

    fn complete(&mut self, peer: PeerId, id: Hash256) {
        for announcement in &mut self.announcements {
            if *announcement == (peer, id, State::Requested) {
                announcement.2 = State::Completed;
            }
        }
        self.remove_lost();
    }

    /// Removes the ids whose announcers have all been asked and have not sent the transaction.
    fn remove_lost(&mut self) {
        let ids: BTreeSet<Hash256> = self.announcements.iter().map(|(_, id, _)| *id).collect();
        for id in ids {
            if self
                .announcements
                .iter()
                .all(|(_, other, state)| *other != id || *state == State::Completed)
            {
                self.announcements.retain(|(_, other, _)| *other != id);
                self.lost += 1;
            }
        }
    }

    fn expire(&mut self, now: Duration) -> Vec<(PeerId, usize)> {
        let in_flight = self.in_flight.iter();
        let timed_out: Vec<_> =
            in_flight.filter(|(_, at)| **at <= now).map(|(own, _)| *own).collect();
        for own in timed_out {
            self.in_flight.remove(&own);
            self.timed_out.insert(own);
            *self.unanswered.entry(own.0).or_default() += 1;
            self.complete(own.0, own.1);
        }
        let faults = self.unanswered.iter().filter(|(_, count)| **count >= LIMITS.unanswered);
        faults.map(|(peer, count)| (*peer, *count)).collect()
    }

    fn remove_peer(&mut self, peer: PeerId) {
        let alone: BTreeSet<Hash256> =
            self.announcements.iter().filter(|(p, ..)| *p == peer).map(|(_, id, _)| *id).collect();
        self.announcements.retain(|(p, ..)| *p != peer);
        self.in_flight.retain(|(p, _), _| *p != peer);
        self.timed_out.retain(|(p, _)| *p != peer);
        self.unanswered.remove(&peer);
        let gone =
            alone.iter().filter(|id| self.announcements.iter().all(|(_, other, _)| other != *id));
        self.lost += u64::try_from(gone.count()).unwrap();
        self.remove_lost();
    }

    /// Returns whether the peer may be asked for the id now.
    fn may_ask(&self, peer: PeerId, id: Hash256) -> bool {
        self.announcements.contains(&(peer, id, State::Candidate))
            && !self
                .announcements
                .iter()
                .any(|(_, other, state)| *other == id && *state == State::Requested)
            && self.in_flight.keys().filter(|(p, _)| *p == peer).count() < LIMITS.in_flight
    }

    fn mark_requested(&mut self, peer: PeerId, id: Hash256, deadline: Duration) {
        for announcement in &mut self.announcements {
            if *announcement == (peer, id, State::Candidate) {
                announcement.2 = State::Requested;
            }
        }
        self.in_flight.insert((peer, id), deadline);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_tracker_behaves_as_the_naive_model(steps in steps(), again in any::<bool>()) {
        let (mut tracker, mut model) = (TxRequestTracker::new(LIMITS), Model::default());
        (0..PEERS).map(PeerId).for_each(|peer| tracker.add_peer(peer, wtxid_relay(peer)));
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Announce { peer, txs, right_kind } => {
                    let by_wtxid = wtxid_relay(peer) == right_kind;
                    let kind = if by_wtxid { InventoryKind::Wtx } else { InventoryKind::Tx };
                    let entry = |tx: &u8| Inventory { kind, hash: id(peer, *tx) };
                    tracker.on_inv(peer, &txs.iter().map(entry).collect::<Vec<_>>());
                    if right_kind {
                        txs.iter().for_each(|tx| model.announce(peer, id(peer, *tx)));
                    }
                }
                Step::Send { peer, tx, heavy } => {
                    let asked = model.in_flight.keys().filter(|(p, _)| *p == peer).count();
                    let fault = TxFault::Unsolicited { asked, txid: txid(tx) };
                    if heavy {
                        let expected = model.send_heavy(peer, tx).ok_or(fault);
                        prop_assert_eq!(tracker.on_too_heavy(peer, txid(tx), wtxid(tx)), expected);
                    } else {
                        let expected = model.send(peer, tx).ok_or(fault);
                        prop_assert_eq!(tracker.on_tx(peer, txid(tx), wtxid(tx)), expected);
                    }
                }
                Step::NotFound { peer, tx } => {
                    let entry = Inventory { kind: InventoryKind::Wtx, hash: id(peer, tx) };
                    tracker.on_not_found(peer, &[entry]);
                    if model.in_flight.remove(&(peer, entry.hash)).is_some() {
                        model.unanswered.insert(peer, 0);
                        model.complete(peer, entry.hash);
                    }
                }
                Step::PassSeconds(seconds) => now += Duration::from_secs(seconds),
                Step::Disconnect(peer) => {
                    tracker.remove_peer(peer);
                    model.remove_peer(peer);
                    tracker.add_peer(peer, wtxid_relay(peer));
                }
                Step::Mine(tx) => {
                    tracker.on_block(&[txid(tx)], &[wtxid(tx)]);
                    model.mark_known(Hash256(txid(tx).0));
                    model.mark_known(Hash256(wtxid(tx).0));
                }
            }
            if again {
                // A second call at the same time must not request anything new.
                compare(&mut tracker, &mut model, now)?;
            }
            compare(&mut tracker, &mut model, now)?;
        }
    }
}

/// Lets the tracker and the model expire requests and send new ones, and compares all that both know.
fn compare(
    tracker: &mut TxRequestTracker,
    model: &mut Model,
    now: Duration,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let faults = model.expire(now).into_iter();
    let faults: Vec<_> =
        faults.map(|(peer, count)| (peer, TxFault::Unanswered { count })).collect();
    prop_assert_eq!(tracker.expire(now), faults.clone());
    for (peer, _) in faults {
        tracker.remove_peer(peer);
        model.remove_peer(peer);
        tracker.add_peer(peer, wtxid_relay(peer));
    }
    for (peer, entries) in tracker.requests(now) {
        prop_assert!((1..=LIMITS.batch).contains(&entries.len()));
        for entry in entries {
            prop_assert!(model.may_ask(peer, entry.hash), "{peer} {entry:?}\n{model:?}");
            let kind =
                if wtxid_relay(peer) { InventoryKind::Wtx } else { InventoryKind::WitnessTx };
            prop_assert_eq!(entry.kind, kind);
            model.mark_requested(peer, entry.hash, now + LIMITS.timeout);
        }
    }
    let missed = model.announcements.iter().find(|(peer, id, _)| model.may_ask(*peer, *id));
    prop_assert_eq!(missed, None, "a request is missing");
    let counts = tracker.counts();
    prop_assert_eq!(
        (counts.seen, counts.dropped, counts.lost),
        (model.seen, model.dropped, model.lost)
    );
    let next = model.in_flight.values().min().copied();
    // The tracker may name the deadline of an answered request, but never a time after the first open request's
    // deadline.
    prop_assert!(next.is_none_or(|next| tracker.next_deadline().is_some_and(|at| at <= next)));
    let wanted: BTreeSet<Hash256> = model.announcements.iter().map(|(_, id, _)| *id).collect();
    let sizes = tracker.sizes();
    prop_assert_eq!((sizes.announced, sizes.wanted), (model.announcements.len(), wanted.len()));
    prop_assert!(sizes.in_flight <= LIMITS.in_flight && sizes.queue <= 2 * LIMITS.announced);
    prop_assert!(sizes.deadlines <= 2 * LIMITS.in_flight);
    Ok(())
}
