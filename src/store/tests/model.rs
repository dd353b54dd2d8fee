//! Random operations, with the store in memory as the model.

use super::mine::{as_killed, file, mine, regtest};
use crate::chain::{Ancestors, Branch, CheckedHeaders};
use crate::fuzz::Bytes;
use crate::primitives::BlockHash;
use crate::store::{CandidateChange, Change, HeaderStore, MemoryStore, SledStore, verify};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::{prop_oneof, proptest};
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};

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
    /// Stores a candidate in pieces, and then activates or discards it. In between, the chain is extended if `between`
    /// is `Some(true)`. If it is `Some(false)`, the store is opened anew instead, and the operation ends.
    Candidate {
        depth: u32,
        counts: Vec<u32>,
        between: Option<bool>,
        activate: bool,
    },
    LastSync(u64),
    /// Stores the time of a sync and finishes its bulk load in one change, as at a sync's end.
    LastSyncAndFinishBulkLoad(u64),
    FinishBulkLoad,
    Reopen,
    /// Goes on with a copy of the open store's files, as after a kill.
    Kill,
    /// Appends headers, and cuts the power before the blocks that `lost` selects have reached the disk.
    PowerCut {
        count: u32,
        lost: Vec<u8>,
    },
}

/// How many bytes of a file reach a disk at once.
const BLOCK: usize = 4096;

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
        2 => Just(Op::Kill),
        2 => (1u32..700, vec(any::<u8>(), 0..4))
            .prop_map(|(count, lost)| Op::PowerCut { count, lost }),
    ];
    vec(op, 1..16)
}

/// The store under test, its model, and every hash that was ever stored.
struct Pair {
    sled: Option<SledStore>,
    model: MemoryStore,
    seen: Vec<BlockHash>,
    salt: u8,
    keeps_in_memory: bool,
    folder: TempDir,
}

fn open(folder: &Path, keeps_in_memory: bool) -> SledStore {
    let mut store = SledStore::open(folder, regtest()).unwrap();
    if keeps_in_memory {
        store.keep_in_memory(50_000);
    }
    store
}

impl Pair {
    fn new(keeps_in_memory: bool) -> Self {
        let (folder, model) = (tempdir().unwrap(), MemoryStore::new(regtest()));
        let sled = Some(open(folder.path(), keeps_in_memory));
        let seen = vec![model.tip().hash];
        Self { folder, keeps_in_memory, sled, seen, model, salt: 0 }
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
                self.sled = Some(open(self.folder.path(), self.keeps_in_memory));
            }
            Op::Kill => self.go_on_with(as_killed(self.sled(), self.folder.path())),
            Op::PowerCut { count, ref lost } => self.cut_power(count, lost),
        }
    }

    /// Opens the files that a process has left.
    fn go_on_with(&mut self, folder: TempDir) {
        self.sled = Some(open(folder.path(), self.keeps_in_memory));
        self.folder = folder;
        self.model.discard_candidate().unwrap();
    }

    /// Appends headers and cuts the power. Afterwards, the store has all of the change or nothing of it.
    fn cut_power(&mut self, count: u32, lost: &[u8]) {
        self.salt += 1;
        let old = self.model.tip();
        let new = self.mined_on(old.height, count);
        self.seen.extend_from_slice(new.hashes());
        let mut before = fs::read(file(self.folder.path(), "db")).unwrap();
        let change = Change { append: Some(&new), ..Change::default() };
        self.sled().commit(&change).unwrap();
        let killed = as_killed(self.sled(), self.folder.path());
        let path = file(killed.path(), "db");
        let mut after = fs::read(&path).unwrap();
        before.resize(after.len(), 0);
        let blocks = (0..after.len()).step_by(BLOCK).map(|at| at..after.len().min(at + BLOCK));
        let changed: Vec<_> = blocks.filter(|at| before[at.clone()] != after[at.clone()]).collect();
        for block in lost.iter().map(|lost| &changed[usize::from(*lost) % changed.len()]) {
            after[block.clone()].copy_from_slice(&before[block.clone()]);
        }
        fs::write(path, after).unwrap();
        self.go_on_with(killed);
        if lost.is_empty() || self.sled().tip() != old {
            self.model.commit(&change).unwrap();
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
                // A process cannot use the candidate of an earlier process.
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

    /// Checks that the store and its model give the same answers.
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
        assert_eq!(self.sled().parity_fault().unwrap(), None);
    }
}

fn run(ops: &[Op], keeps_in_memory: bool) {
    let mut pair = Pair::new(keeps_in_memory);
    for op in ops {
        pair.apply(op);
        pair.compare();
    }
    pair.compare_all_hashes();
    pair.apply(&Op::Reopen);
    pair.compare();
    pair.compare_all_hashes();
}

/// The fuzzer's target: each operation is made from a few bytes.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let keeps_in_memory = input.below(2) == 1;
    let mut ops = Vec::new();
    while !input.is_empty() && ops.len() < 10 {
        ops.push(op_of(&mut input));
    }
    run(&ops, keeps_in_memory);
}

fn op_of(input: &mut Bytes<'_>) -> Op {
    let kind = input.u8() % 16;
    let number = |input: &mut Bytes<'_>, below: u16| u32::from(input.u16() % below);
    match kind {
        0 | 1 => Op::Append(number(input, 12) + 1),
        2 | 3 => Op::Append(number(input, 700) + 1),
        4 => Op::Cut { depth: number(input, 300) },
        5 => Op::Reorganise { depth: number(input, 20), count: number(input, 24) + 1 },
        6 => Op::Reorganise { depth: number(input, 900), count: number(input, 900) + 1 },
        7 | 8 => {
            let counts = (0..=input.below(3)).map(|_| number(input, 300) + 1).collect();
            let between = [None, Some(true), Some(false)][input.below(3)];
            let activate = input.below(2) == 1;
            Op::Candidate { depth: number(input, 400), counts, between, activate }
        }
        9 => Op::LastSync(u64::from(number(input, u16::MAX))),
        10 => Op::LastSyncAndFinishBulkLoad(u64::from(number(input, u16::MAX))),
        11 => Op::FinishBulkLoad,
        12 => Op::Reopen,
        13 => Op::Kill,
        _ => {
            let lost = (0..input.below(4)).map(|_| input.u8()).collect();
            Op::PowerCut { count: number(input, 700) + 1, lost }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_leaves_what_the_model_has(ops in ops(), keeps_in_memory: bool) {
        run(&ops, keeps_in_memory);
    }
}

/// A cut and an append in one change rewrite the same index bucket: found by the test above.
#[test]
fn a_reorganization_leaves_no_index_entry_of_removed_headers() {
    let mut pair = Pair::new(false);
    for op in [Op::Append(122), Op::Reorganise { depth: 15, count: 3 }] {
        pair.apply(&op);
    }
    pair.compare_all_hashes();
}
