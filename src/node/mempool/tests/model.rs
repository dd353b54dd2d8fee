//! The state machine of transactions against a model without queues or counters: a list of who announced what, looked
//! through from end to end for every question.

use crate::node::mempool::fault::TxFault;
use crate::node::mempool::limits::Limits;
use crate::node::mempool::watch::{Arrival, Watch};
use crate::primitives::{Hash256, PeerId, Txid, Wtxid};
use crate::wire::{Inventory, InventoryKind};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LIMITS: Limits = Limits {
    announced: 6,
    in_flight: 3,
    batch: 2,
    patience: Duration::from_secs(10),
    unanswered: 4,
    known: 1000,
    pending: 1000,
    spends: 100,
};

/// Transactions there are; every third has no witness, and so a single id. The last three are the three before them
/// with other witnesses.
const TXS: u8 = 12;
const OTHERS: u8 = 9;
const PEERS: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Announce { peer: PeerId, txs: Vec<u8>, right_kind: bool },
    Send { peer: PeerId, tx: u8, heavy: bool },
    Lack { peer: PeerId, tx: u8 },
    Pass(u64),
    Leave(PeerId),
    Mine(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (peer, tx) = ((0..PEERS).prop_map(PeerId), 0..TXS);
    let announce = (peer.clone(), vec(tx.clone(), 1..9), proptest::bool::weighted(0.9));
    let step = prop_oneof![
        4 => announce.prop_map(|(peer, txs, right_kind)| Step::Announce { peer, txs, right_kind }),
        6 => (peer.clone(), tx.clone(), proptest::bool::weighted(0.1))
            .prop_map(|(peer, tx, heavy)| Step::Send { peer, tx, heavy }),
        2 => (peer.clone(), tx.clone()).prop_map(|(peer, tx)| Step::Lack { peer, tx }),
        3 => (1..12_u64).prop_map(Step::Pass),
        1 => peer.prop_map(Step::Leave),
        1 => tx.prop_map(Step::Mine),
        1 => Just(Step::Pass(0)),
    ];
    vec(step, 1..120)
}

fn txid(tx: u8) -> Txid {
    Txid([if tx < OTHERS { tx + 1 } else { tx - 2 }; 32])
}

fn wtxid(tx: u8) -> Wtxid {
    if tx.is_multiple_of(3) && tx < OTHERS { Wtxid(txid(tx).0) } else { Wtxid([tx + 101; 32]) }
}

fn wtxid_relay(peer: PeerId) -> bool {
    peer.0.is_multiple_of(2)
}

fn id(peer: PeerId, tx: u8) -> Hash256 {
    Hash256(if wtxid_relay(peer) { wtxid(tx).0 } else { txid(tx).0 })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Told,
    Asked,
    Vain,
}

#[derive(Debug, Default)]
struct Model {
    told: Vec<(PeerId, Hash256, State)>,
    flights: BTreeMap<(PeerId, Hash256), Duration>,
    late: BTreeSet<(PeerId, Hash256)>,
    known: BTreeSet<Hash256>,
    unanswered: BTreeMap<PeerId, usize>,
    dropped: u64,
    seen: u64,
    lost: u64,
}

impl Model {
    fn announce(&mut self, peer: PeerId, id: Hash256) {
        let told = self.told.iter().any(|(p, i, _)| (*p, *i) == (peer, id));
        if self.known.contains(&id) || told {
            return;
        }
        if self.told.iter().filter(|(p, ..)| *p == peer).count() >= LIMITS.announced {
            self.dropped += 1;
        } else {
            self.told.push((peer, id, State::Told));
        }
    }

    /// Whether it was asked for.
    fn answer(&mut self, peer: PeerId, tx: u8) -> Option<()> {
        let own = (peer, id(peer, tx));
        if self.flights.remove(&own).is_none() && !self.late.remove(&own) {
            return None;
        }
        self.unanswered.insert(peer, 0);
        Some(())
    }

    fn send(&mut self, peer: PeerId, tx: u8) -> Option<Arrival> {
        self.answer(peer, tx)?;
        let knows = |id: [u8; 32]| self.known.contains(&Hash256(id));
        let arrival = match (knows(txid(tx).0), knows(wtxid(tx).0)) {
            (true, true) => Arrival::Again,
            (true, false) => Arrival::OtherWitness,
            (false, _) => Arrival::New,
        };
        self.seen += u64::from(arrival == Arrival::New);
        self.mark_known(Hash256(txid(tx).0));
        self.mark_known(Hash256(wtxid(tx).0));
        Some(arrival)
    }

    fn send_heavy(&mut self, peer: PeerId, tx: u8) -> Option<()> {
        self.answer(peer, tx)?;
        let own = id(peer, tx);
        if own.0 == wtxid(tx).0 {
            self.mark_known(own)
        } else {
            self.vain(peer, own)
        }
        Some(())
    }

    fn mark_known(&mut self, id: Hash256) {
        self.known.insert(id);
        self.told.retain(|(_, told, _)| *told != id);
    }

    fn vain(&mut self, peer: PeerId, id: Hash256) {
        for told in &mut self.told {
            if *told == (peer, id, State::Asked) {
                told.2 = State::Vain;
            }
        }
        self.bury();
    }

    /// Ids that nobody is left for.
    fn bury(&mut self) {
        let ids: BTreeSet<Hash256> = self.told.iter().map(|(_, id, _)| *id).collect();
        for id in ids {
            if self.told.iter().all(|(_, told, state)| *told != id || *state == State::Vain) {
                self.told.retain(|(_, told, _)| *told != id);
                self.lost += 1;
            }
        }
    }

    fn expire(&mut self, now: Duration) -> Vec<(PeerId, usize)> {
        let flights = self.flights.iter();
        let over: Vec<_> = flights.filter(|(_, at)| **at <= now).map(|(own, _)| *own).collect();
        for own in over {
            self.flights.remove(&own);
            self.late.insert(own);
            *self.unanswered.entry(own.0).or_default() += 1;
            self.vain(own.0, own.1);
        }
        let faults = self.unanswered.iter().filter(|(_, count)| **count >= LIMITS.unanswered);
        faults.map(|(peer, count)| (*peer, *count)).collect()
    }

    fn leave(&mut self, peer: PeerId) {
        let alone: BTreeSet<Hash256> =
            self.told.iter().filter(|(p, ..)| *p == peer).map(|(_, id, _)| *id).collect();
        self.told.retain(|(p, ..)| *p != peer);
        self.flights.retain(|(p, _), _| *p != peer);
        self.late.retain(|(p, _)| *p != peer);
        self.unanswered.remove(&peer);
        let gone = alone.iter().filter(|id| self.told.iter().all(|(_, told, _)| told != *id));
        self.lost += u64::try_from(gone.count()).unwrap();
        self.bury();
    }

    /// Whether that peer may be asked for that now.
    fn may_ask(&self, peer: PeerId, id: Hash256) -> bool {
        self.told.contains(&(peer, id, State::Told))
            && !self.told.iter().any(|(_, told, state)| *told == id && *state == State::Asked)
            && self.flights.keys().filter(|(p, _)| *p == peer).count() < LIMITS.in_flight
    }

    fn ask(&mut self, peer: PeerId, id: Hash256, deadline: Duration) {
        for told in &mut self.told {
            if *told == (peer, id, State::Told) {
                told.2 = State::Asked;
            }
        }
        self.flights.insert((peer, id), deadline);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn watch_does_what_a_naive_model_does(steps in steps(), again in any::<bool>()) {
        let (mut watch, mut model) = (Watch::new(LIMITS), Model::default());
        (0..PEERS).map(PeerId).for_each(|peer| watch.add_peer(peer, wtxid_relay(peer)));
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Announce { peer, txs, right_kind } => {
                    let by_wtxid = wtxid_relay(peer) == right_kind;
                    let kind = if by_wtxid { InventoryKind::Wtx } else { InventoryKind::Tx };
                    let entry = |tx: &u8| Inventory { kind, hash: id(peer, *tx) };
                    watch.on_inv(peer, &txs.iter().map(entry).collect::<Vec<_>>());
                    if right_kind {
                        txs.iter().for_each(|tx| model.announce(peer, id(peer, *tx)));
                    }
                }
                Step::Send { peer, tx, heavy } => {
                    let asked = model.flights.keys().filter(|(p, _)| *p == peer).count();
                    let fault = TxFault::Unasked { asked, txid: txid(tx) };
                    if heavy {
                        let expected = model.send_heavy(peer, tx).ok_or(fault);
                        prop_assert_eq!(watch.on_too_heavy(peer, txid(tx), wtxid(tx)), expected);
                    } else {
                        let expected = model.send(peer, tx).ok_or(fault);
                        prop_assert_eq!(watch.on_tx(peer, txid(tx), wtxid(tx)), expected);
                    }
                }
                Step::Lack { peer, tx } => {
                    let entry = Inventory { kind: InventoryKind::Wtx, hash: id(peer, tx) };
                    watch.on_not_found(peer, &[entry]);
                    if model.flights.remove(&(peer, entry.hash)).is_some() {
                        model.unanswered.insert(peer, 0);
                        model.vain(peer, entry.hash);
                    }
                }
                Step::Pass(seconds) => now += Duration::from_secs(seconds),
                Step::Leave(peer) => {
                    watch.remove_peer(peer);
                    model.leave(peer);
                    watch.add_peer(peer, wtxid_relay(peer));
                }
                Step::Mine(tx) => {
                    watch.confirmed(&[txid(tx)], &[wtxid(tx)]);
                    model.mark_known(Hash256(txid(tx).0));
                    model.mark_known(Hash256(wtxid(tx).0));
                }
            }
            if again {
                // Asking twice is asking once.
                mark_known(&mut watch, &mut model, now)?;
            }
            mark_known(&mut watch, &mut model, now)?;
        }
    }
}

/// Lets deadlines pass and requests go out, and compares everything that can be.
fn mark_known(
    watch: &mut Watch,
    model: &mut Model,
    now: Duration,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let faults = model.expire(now).into_iter();
    let faults: Vec<_> =
        faults.map(|(peer, count)| (peer, TxFault::Unanswered { count })).collect();
    prop_assert_eq!(watch.expire(now), faults.clone());
    for (peer, _) in faults {
        watch.remove_peer(peer);
        model.leave(peer);
        watch.add_peer(peer, wtxid_relay(peer));
    }
    for (peer, entries) in watch.requests(now) {
        prop_assert!((1..=LIMITS.batch).contains(&entries.len()));
        for entry in entries {
            prop_assert!(model.may_ask(peer, entry.hash), "{peer} {entry:?}\n{model:?}");
            let kind =
                if wtxid_relay(peer) { InventoryKind::Wtx } else { InventoryKind::WitnessTx };
            prop_assert_eq!(entry.kind, kind);
            model.ask(peer, entry.hash, now + LIMITS.patience);
        }
    }
    let forgone = model.told.iter().find(|(peer, id, _)| model.may_ask(*peer, *id));
    prop_assert_eq!(forgone, None, "could have been asked");
    let counts = watch.counts();
    prop_assert_eq!(
        (counts.seen, counts.dropped, counts.lost),
        (model.seen, model.dropped, model.lost)
    );
    let next = model.flights.values().min().copied();
    // It may wake for one that has been answered, never too late for one that has not.
    prop_assert!(next.is_none_or(|next| watch.next_deadline().is_some_and(|at| at <= next)));
    let wanted: BTreeSet<Hash256> = model.told.iter().map(|(_, id, _)| *id).collect();
    let [announced, ids, in_flight, queue, asked, _] = watch.kept();
    prop_assert_eq!((announced, ids), (model.told.len(), wanted.len()));
    prop_assert!(in_flight <= LIMITS.in_flight && queue <= 2 * LIMITS.announced);
    prop_assert!(asked <= 2 * LIMITS.in_flight);
    Ok(())
}
