//! Tests of candidates: branches that have shown their work, and are stored beside the chain until they replace its
//! end.

use super::presync::{FULL_ANSWER, genesis, linked, mine};
use crate::chain::{ConnectOutcome, params};
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

/// How a batch arrives.
#[derive(Clone, Copy, PartialEq)]
enum BatchKind {
    Answer,
    Hinted,
    Unsolicited,
    /// An answer without hints, requested after the branch was proven.
    Later,
}

fn text_of(outcome: &ConnectOutcome) -> String {
    match outcome {
        ConnectOutcome::Extended(count) => format!("{count} more"),
        ConnectOutcome::PresyncAdvanced { height, .. } => format!("unproven at {height}"),
        ConnectOutcome::Reorganized { fork_height, connected, .. } => {
            format!("{connected} instead above {fork_height}")
        }
        other => format!("{other:?}"),
    }
}

/// Sends batches to the connect thread. Returns its verdicts as text, and the store.
fn work(batches: &[(BatchKind, &[Header])]) -> (Vec<String>, Arc<MemoryStore>) {
    let regtest = params(Network::Regtest);
    let store = Arc::new(MemoryStore::new(regtest));
    let writer = ChainWriter::new(Arc::clone(&store), regtest).unwrap();
    let min_chain_work = Work::of_bits(genesis().bits);
    let limits = Limits { stop_height: u32::MAX, min_chain_work, hint_backed_height: 0 };
    let (verdicts, mut reports) = unbounded_channel();
    let (tasks, inbox) = channel();
    for (id, (how, headers)) in (0..).zip(batches) {
        let (hinted, unsolicited) = (*how == BatchKind::Hinted, *how == BatchKind::Unsolicited);
        let epoch = u64::from(*how != BatchKind::Answer);
        let batch = linked(headers);
        tasks
            .send(ConnectTask::Connect(ConnectJob {
                id,
                peer: PeerId(1),
                hinted,
                unsolicited,
                epoch,
                batch,
            }))
            .unwrap();
    }
    drop(tasks);
    Connector::new(writer, limits, Clock::default(), verdicts).run(&inbox);
    let mut became = Vec::new();
    while let Ok(verdict) = reports.try_recv() {
        match verdict {
            Verdict::Connected { outcomes, end, .. } => {
                became.extend(outcomes.into_iter().map(|(_, outcome)| text_of(&outcome)));
                became.push(format!("at {}", end.height));
            }
            Verdict::Proven { proven, .. } => {
                let end = proven.points.last().unwrap().height;
                became.push(format!("proven from {} to {end}", proven.fork.height));
            }
            Verdict::CandidateDiscarded(tip) => became.push(format!("discarded at {}", tip.height)),
            other => became.push(format!("{other:?}")),
        }
    }
    (became, store)
}

/// Returns the batches of a chain, and of a branch beside the chain that has to show its work.
fn shown(own: &[Header], branch: &[Header]) -> Vec<(BatchKind, Vec<Header>)> {
    let own = own.chunks(FULL_ANSWER).map(|part| (BatchKind::Answer, part.to_vec()));
    own.chain(branch.chunks(FULL_ANSWER).map(|part| (BatchKind::Answer, part.to_vec()))).collect()
}

/// Connects a chain of 9,000 headers, and a branch of 10,000 headers that shows its work, and then the batches `more`.
/// Returns the verdicts on `more` as text, the store, the chain and the branch.
fn run(
    more: &[(BatchKind, &[Header])],
) -> (Vec<String>, Arc<MemoryStore>, Vec<Header>, Vec<Header>) {
    let (own, branch) = (mine(&genesis(), 0, 9_000), mine(&genesis(), 1, 10_000));
    let before = shown(&own, &branch);
    let mut batches: Vec<(BatchKind, &[Header])> =
        before.iter().map(|(how, part)| (*how, part.as_slice())).collect();
    batches.extend_from_slice(more);
    let (became, store) = work(&batches);
    let at = became
        .iter()
        .position(|one| one == "proven from 0 to 10000")
        .expect("the branch shows its work");
    (became[at + 1..].to_vec(), store, own, branch)
}

#[test]
fn a_proven_branch_is_kept_beside_the_chain_until_it_has_more_work() {
    let branch = mine(&genesis(), 1, 10_000);
    let parts: Vec<(BatchKind, &[Header])> =
        branch.chunks(FULL_ANSWER).map(|part| (BatchKind::Hinted, part)).collect();
    // Without the last part the chain stays as it was.
    let (became, store, own, _) = run(&parts[..4]);
    assert_eq!(became.last().unwrap(), "at 8000");
    assert!(
        became.iter().all(|one| one.starts_with("CandidateExtended") || one.starts_with("at ")),
        "{became:?}"
    );
    assert_eq!(store.tip().hash, own[8_999].hash());
    let (became, store, own, _) = run(&parts);
    assert_eq!(became[became.len() - 2..], ["10000 instead above 0", "at 10000"]);
    assert_eq!(store.tip().hash, branch[9_999].hash());
    let sides = store.sides().unwrap();
    assert!(sides.len() == 1 && sides[0].headers == own, "the old chain is a side branch now");
}

#[test]
fn a_candidate_is_discarded_if_the_chain_has_more_work_meanwhile() {
    let (own, branch) = (mine(&genesis(), 0, 9_000), mine(&genesis(), 1, 10_000));
    let grown = mine(&own[8_999], 2, 1_500);
    let mut parts: Vec<(BatchKind, &[Header])> =
        branch.chunks(FULL_ANSWER).map(|part| (BatchKind::Hinted, part)).collect();
    parts.insert(2, (BatchKind::Unsolicited, &grown));
    let (became, store, ..) = run(&parts);
    assert_eq!(became.last().unwrap(), "discarded at 10500");
    assert!(became.contains(&"1500 more".to_owned()), "{became:?}");
    assert_eq!(store.tip().hash, grown[1_499].hash());
}

#[test]
fn a_candidate_is_discarded_if_the_download_gives_up_its_hints() {
    let branch = mine(&genesis(), 1, 10_000);
    let other = mine(&genesis(), 3, 10);
    let (became, store, own, _) =
        run(&[(BatchKind::Hinted, &branch[..FULL_ANSWER]), (BatchKind::Later, &other)]);
    assert_eq!(became.last().unwrap(), "discarded at 9000");
    assert_eq!(store.tip().hash, own[8_999].hash());
}
