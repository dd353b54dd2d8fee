//! `sync` with peers that misbehave: alone, and beside an honest one.

use super::BINARY;
use super::page::{Cell, Row, Table};
use super::said::said;
use crate::support::measure::UsageWatch;
use crate::support::misbehaving::{LAST_HINT, Liar, Misbehaviour, World};
use crate::support::peer::ScriptedPeer;
use crate::support::run::Finished;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{Kept, kept, light_client};
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use lightclient::testing::count;
use std::fs;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

const REGTEST: Network = Network::Regtest;

pub(super) fn table() -> Table {
    Table {
        title: "Peers of `sync`",
        text: "Each peer alone, with `--timeout 15`: what is on standard error, how the sync ends, its exit code, and what is \
               stored then. And each before an honest peer that is 20 ms away: that sync always ends with `caught-up` and exit code 0, \
               nothing is said against the honest peer, and tip, work and headers are the same as without the other one. Only what \
               `alternates`, `old-branch`, `low-work` and `beyond-hints` sent of their valid branches may be stored beside that chain.",
        columns: &[
            "peer",
            "what it does",
            "alone: says",
            "ends",
            "stored",
            "in",
            "memory",
            "beside: in",
            "memory",
        ],
        jobs: Misbehaviour::ALL.iter().map(|&m| Box::new(move || row(m)) as _).collect(),
    }
}

fn row(misbehaviour: Misbehaviour) -> Row {
    let (alone, beside) = thread::scope(|scope| {
        let alone = scope.spawn(|| Sync::run(misbehaviour, false));
        let beside = Sync::run(misbehaviour, true);
        (alone.join().expect("a sync that ends"), beside)
    });
    let name = misbehaviour.name();
    let stopped = alone.ended.json()["stopped"].as_str().expect("a reason").to_owned();
    let code = alone.ended.code.expect("no signal");
    beside.assert_whole(misbehaviour);
    let cells = vec![
        Cell::Text(misbehaviour.does().to_owned()),
        Cell::Text(said(&alone.ended.stderr, &[(&alone.liar, "PEER")])),
        Cell::Text(format!("`{stopped}`, {code}")),
        Cell::Text(alone.stored(misbehaviour)),
        Cell::Time(alone.ended.elapsed),
        Cell::Memory(alone.peak),
        Cell::Time(beside.ended.elapsed),
        Cell::Memory(beside.peak),
    ];
    Row { name, cells }
}

/// A sync that has ended.
struct Sync {
    ended: Finished,
    peak: u64,
    kept: Kept,
    liar: String,
    honest: String,
}

impl Sync {
    fn run(misbehaviour: Misbehaviour, beside: bool) -> Self {
        let world = World::of(misbehaviour);
        let liar = Liar::start(misbehaviour);
        let honest = beside.then(|| honest(&world));
        let honest = honest.as_ref().map(ScriptedPeer::connect);
        let address = liar.address().to_string();
        let connect: Vec<&str> =
            [&address].into_iter().chain(&honest).map(String::as_str).collect();
        let (ended, peak, kept) = sync(&world, &connect);
        Self { ended, peak, kept, liar: address, honest: honest.unwrap_or_default() }
    }

    /// Returns how much of which chain a sync with the peer alone has stored.
    fn stored(&self, misbehaviour: Misbehaviour) -> String {
        let honest = World::of(misbehaviour).headers;
        let shared = self.kept.headers.iter().zip(honest).take_while(|(a, b)| a == b).count();
        let whole = self.kept.headers.len();
        if shared == whole {
            count(whole as u64 - 1)
        } else {
            format!("{}, another branch from {}", count(whole as u64 - 1), count(shared as u64))
        }
    }

    /// Checks that a sync with an honest peer has what it would have without the other one.
    fn assert_whole(&self, misbehaviour: Misbehaviour) {
        let name = misbehaviour.name();
        let told = &self.ended.stderr;
        assert_eq!(self.ended.code, Some(0), "{name}: {told}");
        assert_eq!(self.ended.json()["stopped"], "caught-up", "{name}: {told}");
        assert!(!told.contains(&self.honest), "{name}: {told}");
        let without = without(misbehaviour);
        assert_eq!(self.kept.tip, without.tip, "{name}: {told}");
        assert!(self.kept.headers == without.headers, "{name}: {told}");
        assert!(self.kept.sides.is_empty() || has_a_branch(misbehaviour), "{name}: {told}");
    }
}

/// Returns whether a peer sends a valid branch of its own, which may be stored beside the chain.
fn has_a_branch(misbehaviour: Misbehaviour) -> bool {
    use Misbehaviour as M;
    matches!(misbehaviour, M::Alternates | M::OldBranch | M::LowWork | M::BeyondHints)
}

fn honest(world: &World) -> ScriptedPeer {
    let script = Script::honest().round_trip(Duration::from_millis(20));
    script.start(&SharedChain::new(REGTEST, world.headers))
}

/// Returns what a sync with the honest peer alone stores.
fn without(misbehaviour: Misbehaviour) -> &'static Kept {
    static KEPT: [OnceLock<Kept>; 3] = [const { OnceLock::new() }; 3];
    let world = World::of(misbehaviour);
    let place = if world.has_hints { 2 } else { usize::from(world.min_work != "0") };
    KEPT[place].get_or_init(|| {
        let honest = honest(&world);
        let (ended, _, kept) = sync(&world, &[&honest.connect()]);
        ended.expect_success();
        kept.assert_is(world.headers);
        kept
    })
}

/// Syncs with these peers, and returns the peak of memory and what is stored.
fn sync(world: &World, connect: &[&str]) -> (Finished, u64, Kept) {
    let program = light_client(BINARY, REGTEST);
    let mut args = vec!["sync", "--no-dns", "--json", "--timeout", "15"];
    args.extend(["--min-chain-work", world.min_work]);
    connect.iter().for_each(|address| args.extend(["--connect", address]));
    let hints = program.data_dir().join("hints.txt");
    if world.has_hints {
        fs::create_dir_all(program.data_dir()).expect("a new folder");
        let heights = (2015..=LAST_HINT as usize).step_by(2016);
        let lines: String =
            heights.map(|at| format!("{at} {}\n", world.headers[at].hash())).collect();
        fs::write(&hints, lines).expect("a new file");
        args.extend(["--hints", hints.to_str().expect("a plain path")]);
    }
    let running = program.start(&args);
    let watch = UsageWatch::start(running.id());
    let ended = running.wait(PATIENCE);
    let (peak, _) = watch.stop();
    let kept = kept(&program, REGTEST);
    (ended, peak, kept)
}
