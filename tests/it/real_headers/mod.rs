//! The verdict on each of thousands of headers, beside a real bitcoind's: the same reject reason, the same tips, the same work.
//!
//! Random trees of headers, some of them broken in one way each, are given to one bitcoind by `submitheader`, to another one by
//! P2P, to the library, and to the program by `import` and by peers. `LIGHTCLIENT_TRIALS=long` gives 100,000 headers instead of
//! 2,000 to each; `LIGHTCLIENT_SEED` repeats a run, and `LIGHTCLIENT_TRIALS_BINARY` names another build of the program.
//!
//! What is not compared, since the two promise different things:
//! - Bitcoin Core keeps every branch. The program keeps 64 beside the chain, and of peers only those that reach within 144 headers
//!   of its tip. The trees stay within the first bound, and peers serve what is within the second.
//! - Bitcoin Core drops a `headers` message as a whole if one header has too little work. The program keeps what is good before it.
//! - `import` keeps a header that comes before its parent until the file ends. Bitcoin Core drops it.
//! - The program may leave out the height of a header without work, or without a parent, in its message. One that it tells is right.
//! - Once the best chain is confirmed, a sync waits for no other peer for long: it is repeated until it has every branch.
//! - Of two branches with equal work that come from different peers, either may be the first.

mod flaw;
mod forest;
mod judge;
mod nodes;
mod program;

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::next_header;
use crate::support::faketime::library;
use crate::support::run::Program;
use flaw::Flaw;
use forest::{Forest, Round};
use judge::{Judge, Verdict, regtest_with};
use lightclient::chain::{Branch, Params, params};
use lightclient::primitives::{BlockHash, Header, Network, Work};
use nodes::Sender;
use program::{Peers, import, program_at, stored_tips};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

/// How many headers a tree has, and how many of them are made and given at once.
const TREE: usize = 2_000;
const ROUND: usize = 200;

/// Clocks: soon after genesis, in 2020, as the times of headers get a 32nd bit, and as they end.
const CLOCKS: [u32; 4] = [1_300_000_000, 1_600_000_000, (1 << 31) - 3_600, u32::MAX - 3_600];

/// Most syncs from the same peers: once the best chain is confirmed, a sync waits for no peer for long, and the next one asks it
/// again.
const MOST_SYNCS: u32 = 8;

/// Counts what was compared.
#[derive(Debug, Default)]
struct Tally {
    trees: usize,
    headers: usize,
    known: usize,
    reasons: BTreeMap<String, usize>,
    flaws: BTreeMap<Flaw, usize>,
    tips: usize,
    imports: usize,
    peers: (usize, usize),
    syncs: u32,
    /// Syncs that ended before the peer with the most work had sent all of it.
    syncs_below_best: u32,
}

impl Tally {
    fn count(&mut self, round: &Round, verdicts: &[Verdict]) {
        self.headers += verdicts.len();
        self.known += verdicts.iter().filter(|verdict| **verdict == Verdict::Known).count();
        for reason in verdicts.iter().filter_map(Verdict::reason) {
            *self.reasons.entry(reason).or_default() += 1;
        }
        for chain in &round.broken {
            *self.flaws.entry(chain.flaw).or_default() += 1;
        }
    }
}

/// Two bitcoinds with all headers that were made so far: one has them by RPC, the other from a peer.
struct Nodes {
    by_rpc: Bitcoind,
    by_peer: Bitcoind,
    sender: Sender,
}

impl Nodes {
    fn start(binary: &Path, now: u32, more: &[String]) -> Self {
        let [by_rpc, by_peer] = [(); 2].map(|()| nodes::start(binary, now, more));
        let sender = Sender::new(&by_peer);
        Self { by_rpc, by_peer, sender }
    }

    /// Gives headers to both, and compares their verdicts and their trees with the library's.
    fn compare(&mut self, round: &Round, verdicts: &[Verdict], judge: &Judge, random: &mut StdRng) {
        let expected: Vec<Option<String>> = verdicts.iter().map(Verdict::reason).collect();
        let submitted = nodes::submit(&self.by_rpc, &round.deliveries);
        let sent = self.sender.send(&round.deliveries, verdicts, random);
        for (at, header) in round.deliveries.iter().enumerate() {
            assert_eq!(submitted[at], expected[at], "by RPC: {header:?}");
            assert_eq!(sent[at], expected[at], "by P2P: {header:?}");
        }
        let stranger = Header { prev: BlockHash(random.random()), ..judge.params().genesis };
        let orphan = next_header(&[stranger], stranger.time + 1, random.random());
        for node in [&self.by_rpc, &self.by_peer] {
            assert_eq!(nodes::tips_of(node), judge.tips());
            assert_eq!(nodes::best_of(node, orphan), judge.best().hash());
        }
    }
}

/// Two data folders of the program: one has all headers from files, the other from peers.
struct Programs {
    by_file: Program,
    by_peer: Program,
    served: BTreeMap<BlockHash, (Header, Work)>,
}

impl Programs {
    fn new(now: u32, library: &OsString) -> Self {
        let [by_file, by_peer] = [(); 2].map(|()| program_at(now, library));
        Self { by_file, by_peer, served: BTreeMap::new() }
    }

    /// Gives headers to both, and compares their verdicts and what they have stored with the library's.
    fn compare(&mut self, round: &Round, verdicts: &[Verdict], judge: &Judge, tally: &mut Tally) {
        tally.imports += import(&self.by_file, &round.deliveries, verdicts, judge);
        assert_eq!(stored_tips(&self.by_file), (judge.tips(), judge.best().hash()));
        let peers = Peers::start(round, judge.best().height());
        let work = judge.best().chainwork();
        for _ in 0..MOST_SYNCS {
            let all_dropped = peers.sync(&self.by_peer, judge, &mut self.served);
            let (tips, best) = stored_tips(&self.by_peer);
            let has_best = judge.branch(&best).map(Branch::chainwork) == Some(work);
            tally.syncs += 1;
            tally.syncs_below_best += u32::from(!has_best);
            let served = self.served.values().map(|(header, work)| (header, work.clone()));
            let expected = judge::tips(served);
            assert!(tips.len() <= expected.len(), "nothing but what was served");
            if all_dropped && has_best && tips == expected {
                let (good, broken) = peers.count();
                tally.peers = (tally.peers.0 + good, tally.peers.1 + broken);
                return;
            }
        }
        panic!("after {MOST_SYNCS} syncs, the tips are still not those that the peers have");
    }
}

/// Makes a tree round by round, and gives each round to the nodes and to the program, if there is one.
fn compare_tree(
    params: &'static Params,
    now: u32,
    seed: u64,
    (mut nodes, mut programs): (Nodes, Option<Programs>),
    tally: &mut Tally,
) {
    let (mut forest, mut judge) = (Forest::new(params, now, seed), Judge::new(params, now));
    let mut random = StdRng::seed_from_u64(!seed);
    for _ in 0..TREE / ROUND {
        let round = forest.round(ROUND);
        let verdicts: Vec<Verdict> =
            round.deliveries.iter().map(|header| judge.judge(header)).collect();
        nodes.compare(&round, &verdicts, &judge, &mut random);
        if let Some(programs) = &mut programs {
            programs.compare(&round, &verdicts, &judge, tally);
        }
        tally.count(&round, &verdicts);
    }
    tally.trees += 1;
    tally.tips += judge.tips().len();
    if is_long() {
        say(&format!("tree {seed}, clock {now}, so far: {tally:?}"));
    }
}

/// Returns the seeds of the trees: of one, or where it is asked for of 50. Each is printed.
fn seeds() -> impl Iterator<Item = u64> {
    let named = env::var("LIGHTCLIENT_SEED");
    let named = named.map(|seed| seed.parse().expect("LIGHTCLIENT_SEED is a number"));
    let first: u64 = named.unwrap_or_else(|_| rand::random_range(0..1_000_000));
    (first..)
        .take(if is_long() { 50 } else { 1 })
        .inspect(|seed| say(&format!("LIGHTCLIENT_SEED={seed}")))
}

fn say(what: &str) {
    // Past the test harness, which keeps what `println` says in tests that pass to itself.
    writeln!(io::stderr(), "{what}").ok();
}

fn is_long() -> bool {
    env::var("LIGHTCLIENT_TRIALS").is_ok_and(|value| value == "long")
}

#[test]
fn each_header_gets_bitcoinds_verdict_from_files_and_from_peers() {
    let Some(binary) = or_skip_loudly("comparing verdicts on headers with bitcoind's") else {
        return;
    };
    let Some(library) = library("comparing verdicts on headers at bitcoind's clock") else {
        return;
    };
    let mut tally = Tally::default();
    for seed in seeds() {
        let now = CLOCKS[usize::try_from(seed % 4).expect("below 4")];
        let sides = (Nodes::start(&binary, now, &[]), Some(Programs::new(now, &library)));
        compare_tree(params(Network::Regtest), now, seed, sides, &mut tally);
    }
}

#[test]
fn each_header_gets_bitcoinds_verdict_at_other_activation_heights_and_with_bip94() {
    let Some(binary) = or_skip_loudly("comparing verdicts at activation heights") else { return };
    let mut tally = Tally::default();
    for seed in seeds() {
        let now = CLOCKS[usize::try_from(seed % 4).expect("below 4")];
        let heights =
            StdRng::seed_from_u64(seed).random::<[u32; 3]>().map(|height| 1 + height % 120);
        let names = ["bip34", "dersig", "cltv"].iter().zip(heights);
        let mut args: Vec<String> =
            names.map(|(name, height)| format!("-testactivationheight={name}@{height}")).collect();
        args.push("-test=bip94".to_owned());
        let sides = (Nodes::start(&binary, now, &args), None);
        compare_tree(regtest_with(heights), now, seed, sides, &mut tally);
    }
}
