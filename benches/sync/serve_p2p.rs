//! A fresh sync from `serve --listen`, beside one from the scripted peer; how fast it answers, beside a bitcoind.

use crate::light_client::{Hints, Synced, sync, sync_chain};
use crate::peer_alone::count_bytes;
use crate::support::bitcoind::Bitcoind;
use crate::support::client::RawClient;
use crate::support::measure::peak_memory;
use crate::support::run::{Program, Running};
use crate::support::script::Script;
use crate::table::{Row, Sample, Table, times};
use crate::world::World;
use lightclient::chain::params;
use lightclient::primitives::Network;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const CASE: &str = "serve-p2p";

/// A mainnet-sized chain.
const HEADERS: u32 = 930_000;

/// Blocks of the chain that bitcoind serves: it serves headers of blocks that it has.
const BLOCKS: u32 = 2200;
/// How many of them it makes in one call.
const BATCH: u32 = 100;

/// How often both are asked for the same 2000 headers.
const ANSWERS: usize = 2000;

const PATIENCE: Duration = Duration::from_secs(600);

/// A `serve --listen` on a folder that holds a chain.
struct Serving {
    running: Running,
    address: String,
}

impl Serving {
    fn start(binary: &Path, data: &TempDir, source: &str) -> Self {
        let program = Program::at(binary, data.path()).with("--regtest");
        let args = ["serve", "-v", "--no-dns", "--rpc-port", "0", "--connect", source];
        let running = program.start(&[&args[..], &["--listen", "127.0.0.1:0"]].concat());
        running.wait_for_stderr(": following", PATIENCE);
        let said = running.wait_for_stdout("listening for peers on ", PATIENCE);
        let (_, rest) = said.split_once("listening for peers on ").expect("it was waited for");
        let address = rest.split_whitespace().next().expect("an address follows").to_owned();
        Self { running, address }
    }

    fn peak(&self) -> String {
        let peak = peak_memory(self.running.id()).unwrap_or_default();
        format!("the server's peak is {} MiB", peak >> 20)
    }
}

/// Measures it and adds its rows.
pub(crate) fn run(world: &mut World, table: &mut Table) {
    if !world.options.only_bitcoind {
        beside_scripted_peer(world, table);
    }
    if let Some(binary) = world.options.bitcoind.clone() {
        beside_bitcoind(world, table, &binary);
    }
}

fn beside_scripted_peer(world: &mut World, table: &mut Table) {
    let chain = world.chain(HEADERS);
    let peer = Script::honest().start(&chain.shared);
    let stored = sync(world, &chain, &[peer.connect()], Hints::None);
    let serving = Serving::start(&world.options.binary, &stored.data, &peer.connect());
    for (hints, how) in [(Hints::None, ""), (Hints::File, ", hints")] {
        let repeat = |address: &str| -> Vec<Synced> {
            let run = |_| sync(world, &chain, &[address.to_owned()], hints);
            (0..world.options.runs).map(run).collect()
        };
        let scripted =
            row(HEADERS, repeat(&peer.connect()), format!("from the scripted peer{how}"));
        let mut ours = row(HEADERS, repeat(&serving.address), String::new());
        let slower = times(ours.median(), scripted.median());
        ours.remark = format!(
            "from serve --listen{how}: {slower} the scripted peer's time, bar 1.3 ×; {}",
            serving.peak()
        );
        table.push(scripted);
        table.push(ours);
    }
}

/// How fast each answers a client that only counts the bytes. A chain of a million blocks would take bitcoind an hour to make.
fn beside_bitcoind(world: &World, table: &mut Table, binary: &Path) {
    let node = Bitcoind::start::<&str>(binary, &[]);
    (0..BLOCKS / BATCH).for_each(|_| drop(node.generate(BATCH)));
    let tip = node.rpc("getbestblockhash", json!([]));
    let source = node.p2p().to_string();
    let stored = sync_chain(world, tip.as_str().expect("a hash"), &[source], &["--hints", "none"]);
    let serving = Serving::start(&world.options.binary, &stored.data, &node.p2p().to_string());
    let genesis = params(Network::Regtest).genesis.hash();
    let drain = |address: SocketAddr, ahead: usize| -> Vec<Sample> {
        let run = |_| {
            let (client, _) = RawClient::shake_hands(address, Network::Regtest);
            let (_, elapsed) = count_bytes(client, genesis, ANSWERS, ahead);
            Sample { elapsed, cpu: Duration::ZERO, peak: 0, disk: 0 }
        };
        (0..world.options.runs).map(run).collect()
    };
    for (ahead, how) in [(1, "one after the other"), (4, "four requests ahead")] {
        let row = |who, samples| {
            let remark =
                format!("{ANSWERS} messages of 2000 headers to a client that only counts, {how}");
            Row { case: CASE.to_owned(), who, headers: BLOCKS, samples, remark }
        };
        let theirs = row("bitcoind", drain(node.p2p(), ahead));
        let address = serving.address.parse().expect("an address");
        let mut ours = row("lightclient", drain(address, ahead));
        let longer = times(theirs.median(), ours.median());
        ours.remark += &format!(": bitcoind takes {longer} as long");
        table.push(theirs);
        table.push(ours);
    }
}

fn row(headers: u32, syncs: Vec<Synced>, remark: String) -> Row {
    let samples: Vec<Sample> = syncs.iter().map(|synced| synced.sample).collect();
    Row { case: CASE.to_owned(), who: "lightclient", headers, samples, remark }
}
