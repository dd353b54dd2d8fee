//! Tests of headers that are ahead of our clock.

use super::presync::{genesis, linked, mine};
use crate::chain::{ConnectOutcome, TooNew, params};
use crate::chainstate::ChainWriter;
use crate::chainstate::Clock;
use crate::node::sync_task::connector::Connector;
use crate::node::sync_task::tasks::{ConnectJob, ConnectTask, Verdict};
use crate::primitives::{Header, Network, PeerId, Work};
use crate::store::{HeaderStore, MemoryStore};
use crate::sync::Limits;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tokio::sync::mpsc::unbounded_channel;

/// Sends a batch to a new connect thread on this store. Returns the thread's verdict.
fn work(store: &Arc<MemoryStore>, headers: &[Header], clock: &Clock) -> Verdict {
    let writer = ChainWriter::new(Arc::clone(store), params(Network::Regtest)).unwrap();
    let min_chain_work = Work::of_bits(genesis().bits);
    let limits = Limits { stop_height: u32::MAX, min_chain_work, hint_backed_height: 0 };
    let (verdicts, mut reports) = unbounded_channel();
    let (tasks, inbox) = channel();
    let (id, peer, batch) = (1, PeerId(1), linked(headers));
    let job = ConnectJob { id, peer, hinted: false, unsolicited: false, epoch: 0, batch };
    tasks.send(ConnectTask::Connect(job)).unwrap();
    drop(tasks);
    Connector::new(writer, limits, clock.clone(), verdicts).run(&inbox);
    let verdict = reports.try_recv().unwrap();
    assert!(reports.try_recv().is_err(), "one verdict");
    verdict
}

#[test]
fn headers_before_a_too_new_header_are_kept_and_that_header_once_it_is_valid() {
    let (store, headers) =
        (Arc::new(MemoryStore::new(params(Network::Regtest))), mine(&genesis(), 0, 100));
    // The header at height 61 is two hours and one second ahead of the clock.
    let clock = Clock::mock(u64::from(headers[60].time) - 7201);
    let Verdict::Refused { outcome, rejection, tip, .. } = work(&store, &headers, &clock) else {
        panic!("the header is too new");
    };
    assert_eq!((outcome, tip.height), (ConnectOutcome::Extended(60), 60));
    let early = TooNew::of(&rejection).expect("it breaks no other rule");
    assert_eq!((early.height, early.hash), (61, headers[60].hash()));
    assert_eq!(early.valid_in(), 1);
    clock.set(clock.unix_secs() + 1);
    assert!(early.is_valid_at(clock.unix_secs()));
    let Verdict::Refused { tip, .. } = work(&store, &headers[60..], &clock) else {
        panic!("the next one is too new");
    };
    assert_eq!(tip.height, 61);
    clock.set(u64::from(headers[99].time));
    assert!(matches!(work(&store, &headers[61..], &clock), Verdict::Connected { .. }));
    assert_eq!(store.tip().hash, headers[99].hash());
}

#[test]
fn a_stored_side_branch_survives_a_clock_of_1970() {
    let store = Arc::new(MemoryStore::new(params(Network::Regtest)));
    let clock = Clock::mock(2_000_000_000);
    let (own, side) = (mine(&genesis(), 0, 50), mine(&genesis(), 1, 40));
    work(&store, &own, &clock);
    work(&store, &side, &clock);
    assert_eq!(store.sides().unwrap().len(), 1);
    clock.set(0);
    let next = mine(&own[49], 2, 1);
    assert!(matches!(work(&store, &next, &clock), Verdict::Refused { .. }));
    let writer = ChainWriter::new(Arc::clone(&store), params(Network::Regtest)).unwrap();
    assert_eq!(writer.tree().sides().len(), 1);
    assert_eq!(writer.tree().active().hash(), own[49].hash());
}
