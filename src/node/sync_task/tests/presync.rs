//! Tests of branches that have to show their work before they are kept.

use crate::chain::{ConnectOutcome, LinkedBatch, link_batch, params};
use crate::chainstate::ChainWriter;
use crate::chainstate::Clock;
use crate::node::sync_task::connector::Connector;
use crate::node::sync_task::tasks::{ConnectJob, ConnectTask, Verdict};
use crate::primitives::{Header, MerkleRoot, Network, PeerId, Work};
use crate::store::MemoryStore;
use crate::sync::Limits;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tokio::sync::mpsc::unbounded_channel;

/// How many headers a full message has.
pub(super) const FULL_ANSWER: usize = 2000;

pub(super) fn mine(parent: &Header, seed: u64, count: usize) -> Vec<Header> {
    let mut run: Vec<Header> = Vec::with_capacity(count);
    for _ in 0..count {
        let parent = run.last().unwrap_or(parent);
        let mut root = [7; 32];
        root[..8].copy_from_slice(&seed.to_be_bytes());
        let (prev, time) = (parent.hash(), parent.time + 600);
        let mut next =
            Header { version: 4, prev, merkle_root: MerkleRoot(root), time, nonce: 0, ..*parent };
        while next.hash().0[31] >= 0x7f {
            next.nonce += 1;
        }
        run.push(next);
    }
    run
}

pub(super) fn linked(headers: &[Header]) -> LinkedBatch {
    let (batch, fault) = link_batch(params(Network::Regtest), headers.to_vec());
    assert_eq!(fault, None);
    batch
}

pub(super) fn genesis() -> Header {
    params(Network::Regtest).genesis
}

fn text_of(outcome: &ConnectOutcome) -> String {
    match outcome {
        ConnectOutcome::PresyncAdvanced { height, .. } => format!("unproven at {height}"),
        ConnectOutcome::LowWork { height, .. } => format!("low work at {height}"),
        ConnectOutcome::Extended(count) => format!("{count} more"),
        other => format!("{other:?}"),
    }
}

/// Lets the connect thread connect a chain of 9,000 headers, and then sends the thread `batches`, each with the number
/// of its peer. A branch has to show the work of a million headers. If `gone` is `(index, peer)`, this peer disconnects
/// before the batch with this index. Returns the verdicts as text.
fn work(batches: &[(u64, &[Header])], gone: Option<(usize, u64)>) -> Vec<String> {
    let regtest = params(Network::Regtest);
    let store = Arc::new(MemoryStore::new(regtest));
    let writer = ChainWriter::new(store, regtest).unwrap();
    let limits = Limits {
        stop_height: u32::MAX,
        min_chain_work: Work::of_bits(genesis().bits).times(1_000_000),
        hint_backed_height: 0,
    };
    let (verdicts, mut reports) = unbounded_channel();
    let (tasks, inbox) = channel();
    let own = mine(&genesis(), 0, 9_000);
    let own: Vec<(u64, &[Header])> = own.chunks(FULL_ANSWER).map(|batch| (99, batch)).collect();
    for (at, (peer, headers)) in own.iter().chain(batches).enumerate() {
        if let Some((_, peer)) = gone.filter(|(before, _)| before + own.len() == at) {
            tasks.send(ConnectTask::Forget(PeerId(peer))).unwrap();
        }
        let (id, peer, batch) = (u64::try_from(at).unwrap(), PeerId(*peer), linked(headers));
        let job = ConnectJob { id, peer, hinted: false, unsolicited: false, epoch: 0, batch };
        tasks.send(ConnectTask::Connect(job)).unwrap();
    }
    drop(tasks);
    Connector::new(writer, limits, Clock::default(), verdicts).run(&inbox);
    let mut became = Vec::new();
    while let Ok(verdict) = reports.try_recv() {
        match verdict {
            Verdict::Connected { outcomes, .. } => {
                became.extend(outcomes.iter().map(|(_, outcome)| text_of(outcome)));
            }
            Verdict::Orphan { again, .. } => became.push(format!("orphan, again: {again}")),
            other => became.push(format!("{other:?}")),
        }
    }
    assert_eq!(became[..5], ["2000 more", "2000 more", "2000 more", "2000 more", "1000 more"]);
    became.split_off(5)
}

#[test]
fn a_presync_continues_with_its_peers_next_message_and_ends_with_one_that_is_not_full() {
    let branch = mine(&genesis(), 1, 4_100);
    let batches =
        [&branch[..FULL_ANSWER], &branch[FULL_ANSWER..2 * FULL_ANSWER], &branch[2 * FULL_ANSWER..]];
    let became = work(&batches.map(|batch| (1, batch)), None);
    assert_eq!(became, ["unproven at 2000", "unproven at 4000", "low work at 4100"]);
}

#[test]
fn of_too_many_presyncs_the_one_with_least_work_is_evicted_and_may_start_over() {
    // Of the first 16 peers, all but peer 5 have sent two messages.
    let branches: Vec<Vec<Header>> =
        (0..17).map(|peer| mine(&genesis(), 10 + peer, 2 * FULL_ANSWER)).collect();
    let mut batches: Vec<(u64, &[Header])> = Vec::new();
    for (peer, branch) in (0..).zip(&branches[..16]) {
        batches.push((peer, &branch[..FULL_ANSWER]));
        if peer != 5 {
            batches.push((peer, &branch[FULL_ANSWER..2 * FULL_ANSWER]));
        }
    }
    batches.push((16, &branches[16][..FULL_ANSWER]));
    // Peer 5's next message is an orphan now. The other presyncs continue, the newest one too.
    batches.push((5, &branches[5][FULL_ANSWER..]));
    batches.push((16, &branches[16][FULL_ANSWER..]));
    let became = work(&batches, None);
    let (before, after) = became.split_at(became.len() - 3);
    assert!(before.iter().all(|one| one.starts_with("unproven")), "{before:?}");
    assert_eq!(after, ["unproven at 2000", "orphan, again: true", "unproven at 4000"]);
}

#[test]
fn a_presync_is_forgotten_with_its_peer() {
    let branch = mine(&genesis(), 3, 2 * FULL_ANSWER);
    let batches = [(1, &branch[..FULL_ANSWER]), (1, &branch[FULL_ANSWER..])];
    assert_eq!(work(&batches, None), ["unproven at 2000", "unproven at 4000"]);
    let gone = Some((1, 1));
    assert_eq!(work(&batches, gone), ["unproven at 2000", "orphan, again: false"]);
}

#[test]
fn a_message_of_another_branch_ends_the_peers_first_presync() {
    let (first, second) =
        (mine(&genesis(), 4, 2 * FULL_ANSWER), mine(&genesis(), 5, 2 * FULL_ANSWER));
    let batches = [
        &first[..FULL_ANSWER],
        &second[..FULL_ANSWER],
        &second[FULL_ANSWER..],
        &first[FULL_ANSWER..],
    ]
    .map(|batch| (1, batch));
    let became = work(&batches, None);
    assert_eq!(became[..3], ["unproven at 2000", "unproven at 2000", "unproven at 4000"]);
    assert_eq!(became[3], "orphan, again: false");
}
