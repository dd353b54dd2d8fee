//! Random operations, with the store in memory as the model.

use super::mine::{mine, regtest};
use crate::chain::{Ancestors, Branch, CheckedHeaders};
use crate::primitives::BlockHash;
use crate::store::{CandidateChange, Change, HeaderStore, MemoryStore, SledStore, verify};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::{prop_oneof, proptest};
use std::path::Path;
use tempfile::tempdir;

#[derive(Clone, Debug)]
enum Op {
    Append(u32),
    Cut {
        depth: u32,
    },
    Reorganise {
        depth: u32,
        count: u32,
    },
    /// A branch is stored beside the chain in pieces, a change to the chain's end or a new process in between; then it
    /// takes over, or does not.
    Candidate {
        depth: u32,
        counts: Vec<u32>,
        between: Option<bool>,
        activate: bool,
    },
    LastSync(u64),
    /// The end of a sync.
    LastSyncAndFinishBulkLoad(u64),
    FinishBulkLoad,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1u32..12).prop_map(Op::Append),
        3 => (100u32..700).prop_map(Op::Append),
        1 => (0u32..300).prop_map(|depth| Op::Cut { depth }),
        3 => (0u32..20, 1u32..25).prop_map(|(depth, count)| Op::Reorganise { depth, count }),
        2 => (0u32..900, 1u32..900).prop_map(|(depth, count)| Op::Reorganise { depth, count }),
        3 => (0u32..400, vec(1u32..300, 1..4), any::<Option<bool>>(), any::<bool>()).prop_map(
            |(depth, counts, between, activate)| Op::Candidate { depth, counts, between, activate }),
        1 => (0u64..2_000_000_000).prop_map(Op::LastSync),
        1 => (0u64..2_000_000_000).prop_map(Op::LastSyncAndFinishBulkLoad),
        2 => Just(Op::FinishBulkLoad),
        3 => Just(Op::Reopen),
    ];
    vec(op, 1..16)
}

/// The store under test, its model, and every hash that was ever stored.
struct Pair<'a> {
    folder: &'a Path,
    sled: Option<SledStore>,
    model: MemoryStore,
    seen: Vec<BlockHash>,
    salt: u8,
}

impl<'a> Pair<'a> {
    fn new(folder: &'a Path) -> Self {
        let model = MemoryStore::new(regtest());
        let sled = Some(SledStore::open(folder, regtest()).unwrap());
        Self { folder, sled, seen: vec![model.tip().hash], model, salt: 0 }
    }

    fn sled(&self) -> &SledStore {
        self.sled.as_ref().unwrap()
    }

    fn apply(&mut self, op: &Op) {
        let tip = self.model.tip().height;
        match *op {
            Op::Append(count) => self.change(tip, count),
            Op::Cut { depth } => self.change(tip.saturating_sub(depth), 0),
            Op::Reorganise { depth, count } => self.change(tip.saturating_sub(depth), count),
            Op::Candidate { depth, ref counts, between, activate } => {
                self.run_candidate(tip.saturating_sub(depth), counts, between, activate);
            }
            Op::LastSync(time) => {
                self.commit(&Change { last_sync: Some(time), ..Change::default() });
            }
            Op::LastSyncAndFinishBulkLoad(time) => {
                let last_sync = Some(time);
                self.commit(&Change { last_sync, finish_bulk_load: true, ..Change::default() });
                assert_eq!(self.sled().end().indexed_to, tip + 1);
            }
            Op::FinishBulkLoad => self.sled().finish_bulk_load().unwrap(),
            Op::Reopen => {
                self.sled = None;
                self.sled = Some(SledStore::open(self.folder, regtest()).unwrap());
            }
        }
    }

    fn change(&mut self, base: u32, count: u32) {
        self.salt += 1;
        let new = self.mined_on(base, count);
        self.seen.extend_from_slice(new.hashes());
        let cut_to = (base < self.model.tip().height).then_some(base);
        self.commit(&Change { cut_to, append: Some(&new), ..Change::default() });
    }

    fn run_candidate(&mut self, fork: u32, counts: &[u32], between: Option<bool>, activate: bool) {
        self.salt += 1;
        let salt = self.salt;
        let mut branch = self.branch_at(fork);
        for count in counts {
            let new = mine(&mut branch, *count, salt);
            self.seen.extend_from_slice(new.hashes());
            let candidate = Some(CandidateChange::Extend(&new));
            self.commit(&Change { candidate, ..Change::default() });
            self.compare();
        }
        match between {
            Some(true) => self.change(self.model.tip().height, 100),
            Some(false) => {
                // The candidate of a process is of no use to the next one.
                self.apply(&Op::Reopen);
                self.model.discard_candidate().unwrap();
                let gone = self.sled().commit(&Change {
                    candidate: Some(CandidateChange::Activate),
                    ..Change::default()
                });
                assert!(gone.is_err());
                return;
            }
            None => {}
        }
        if activate {
            self.commit(&Change {
                candidate: Some(CandidateChange::Activate),
                ..Change::default()
            });
            assert_eq!(self.sled().tip().hash, branch.hash());
        } else {
            self.model.discard_candidate().unwrap();
            self.sled().discard_candidate().unwrap();
        }
    }

    fn mined_on(&self, base: u32, count: u32) -> CheckedHeaders {
        mine(&mut self.branch_at(base), count, self.salt)
    }

    fn branch_at(&self, base: u32) -> Branch {
        let from = Branch::resume_from(regtest(), base);
        let ancestors = self.model.headers(from, base - from + 1).unwrap();
        let work = self.model.chainwork(base).unwrap();
        Branch::resume(regtest(), base, work, &ancestors).unwrap()
    }

    fn commit(&self, change: &Change<'_>) {
        self.model.commit(change).unwrap();
        self.sled().commit(change).unwrap();
    }

    /// Everything a caller can ask gives the same answer.
    fn compare(&self) {
        let (sled, model) = (self.sled(), &self.model);
        assert_eq!(sled.tip(), model.tip());
        assert_eq!(sled.last_sync().unwrap(), model.last_sync().unwrap());
        let whole = model.run(0, u32::MAX).unwrap();
        assert_eq!(sled.run(0, u32::MAX).unwrap(), whole);
        let tip = model.tip().height;
        for (from, count) in [(tip / 2, 200), (tip, 1), (tip + 1, 1), (tip / 3, 0), (1, 1)] {
            let (got, expected) = (sled.run(from, count).unwrap(), model.run(from, count).unwrap());
            assert_eq!(got, expected, "{count} from {from}");
            assert_eq!(sled.run_unchecked(from, count).unwrap(), expected);
        }
        for height in (0..=tip).step_by(61) {
            assert_eq!(sled.chainwork(height).unwrap(), model.chainwork(height).unwrap());
        }
        for hash in self.seen.iter().step_by(7) {
            assert_eq!(sled.height_of(hash).unwrap(), model.height_of(hash).unwrap());
        }
    }

    fn compare_all_hashes(&self) {
        for hash in &self.seen {
            assert_eq!(self.sled().height_of(hash).unwrap(), self.model.height_of(hash).unwrap());
        }
        let report = verify(self.sled(), regtest(), |_| ()).unwrap();
        assert_eq!(report.fault, None);
        assert_eq!(report.checked, self.model.tip().height + 1);
        assert_eq!(report.hash, self.model.tip().hash);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_leaves_what_the_model_has(ops in ops()) {
        let folder = tempdir().unwrap();
        let mut pair = Pair::new(folder.path());
        for op in &ops {
            pair.apply(op);
            pair.compare();
        }
        pair.compare_all_hashes();
        pair.apply(&Op::Reopen);
        pair.compare();
        pair.compare_all_hashes();
    }
}

/// A cut and an append in one change rewrite the same index bucket: found by the test above.
#[test]
fn a_reorganisation_leaves_no_index_entry_of_what_it_removed() {
    let folder = tempdir().unwrap();
    let mut pair = Pair::new(folder.path());
    for op in [Op::Append(122), Op::Reorganise { depth: 15, count: 3 }] {
        pair.apply(&op);
    }
    pair.compare_all_hashes();
}
