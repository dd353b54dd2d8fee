//! The list of cases: what is synced, from whom, and what it is compared with.

use crate::bitcoin_node;
use crate::light_client::{Hints, Synced, query, sync};
use crate::peer_alone;
use crate::serve_p2p;
use crate::support::peer::ScriptedPeer;
use crate::support::record::Seen;
use crate::support::script::{Script, Then};
use crate::table::{Row, Sample, Table, times};
use crate::world::{Chain, World};
use std::path::PathBuf;
use std::time::Duration;

/// What the command line asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Runs of each measurement; the table has their median.
    pub(crate) runs: usize,
    /// The program to measure.
    pub(crate) binary: PathBuf,
    /// The yardstick.
    pub(crate) bitcoind: Option<PathBuf>,
    /// Measure nothing but the yardstick.
    pub(crate) only_bitcoind: bool,
}

/// A named measurement.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it is run when none is named.
    pub(crate) by_default: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The peer's own speed.
    Peer,
    /// A sync, perhaps beside bitcoind's.
    Sync(Plan),
    /// Reading from a chain that is stored already.
    Query(u32),
    /// How cost grows with the chain: sync and query for each length.
    Scale([u32; 3]),
    /// Syncs from the program itself.
    ServeP2p,
}

/// A sync.
#[derive(Clone, Copy, Debug)]
struct Plan {
    headers: u32,
    good: u8,
    bad: bool,
    line: Line,
    hints: Hints,
    yardstick: Yardstick,
    bar: &'static str,
}

/// What lies between each peer and its client.
#[derive(Clone, Copy, Debug)]
struct Line {
    round_trip_ms: u64,
    /// Bits in a second.
    rate: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Yardstick {
    None,
    Bitcoind,
    /// And once more with bitcoind's low-work protection.
    BitcoindTwice,
}

const LOOPBACK: Line = Line { round_trip_ms: 0, rate: None };
const FAR: Line = Line { round_trip_ms: 100, rate: None };
const HOME: Line = Line { round_trip_ms: 100, rate: Some(20_000_000.0) };

/// A mainnet-sized chain from one loopback peer: the others say how they differ.
const ONE: Plan = Plan {
    headers: 930_000,
    good: 1,
    bad: false,
    line: LOOPBACK,
    hints: Hints::None,
    yardstick: Yardstick::None,
    bar: "",
};

const fn case(name: &'static str, about: &'static str, kind: Kind) -> Case {
    Case { name, about, by_default: true, kind }
}

/// Every case there is.
pub(crate) static CASES: [Case; 16] = [
    case("peer", "how fast the scripted peer is by itself", Kind::Peer),
    case(
        "one-peer",
        "930,000 headers, 1 loopback peer, no hints, beside bitcoind",
        Kind::Sync(Plan { yardstick: Yardstick::Bitcoind, bar: "0.8 s", ..ONE }),
    ),
    case(
        "one-peer-hints",
        "the same with hints",
        Kind::Sync(Plan { hints: Hints::File, bar: "as without", ..ONE }),
    ),
    case(
        "two-peers",
        "the same with hints and 2 peers",
        Kind::Sync(Plan { good: 2, hints: Hints::File, bar: "as 1 peer", ..ONE }),
    ),
    case(
        "eight-peers",
        "the same with hints and 8 peers",
        Kind::Sync(Plan { good: 8, hints: Hints::File, bar: "as 1 peer", ..ONE }),
    ),
    case(
        "delay-one",
        "100,000 headers, 1 peer, 100 ms round trip, hints, beside bitcoind",
        Kind::Sync(Plan {
            headers: 100_000,
            line: FAR,
            hints: Hints::File,
            yardstick: Yardstick::BitcoindTwice,
            bar: "1.2 s",
            ..ONE
        }),
    ),
    Case {
        name: "delay-one-long",
        about: "930,000 headers, 1 peer, 100 ms round trip, hints, beside bitcoind",
        by_default: false,
        kind: Kind::Sync(Plan {
            line: FAR,
            hints: Hints::File,
            yardstick: Yardstick::Bitcoind,
            ..ONE
        }),
    },
    case(
        "delay-eight",
        "930,000 headers, 8 peers, each 100 ms round trip and 20 Mbit/s, hints",
        Kind::Sync(Plan { good: 8, line: HOME, hints: Hints::File, bar: "1.25 × line", ..ONE }),
    ),
    case(
        "beyond-one",
        "as delay-one, but the hints end 40,000 headers before the chain",
        Kind::Sync(Plan { headers: 100_000, line: FAR, hints: Hints::Short, ..ONE }),
    ),
    case(
        "beyond-eight",
        "as delay-eight, but the hints end 40,000 headers before the chain",
        Kind::Sync(Plan { good: 8, line: HOME, hints: Hints::Short, bar: "1.25 × line", ..ONE }),
    ),
    case(
        "bad-peers",
        "4 good peers alone, then with 4 bad ones (stall, trickle, bad headers, hang-ups), loopback, hints",
        Kind::Sync(Plan { good: 4, bad: true, hints: Hints::File, bar: "1.5 × good ones", ..ONE }),
    ),
    case(
        "bad-peers-home",
        "the same, each peer with 100 ms round trip and 20 Mbit/s",
        Kind::Sync(Plan {
            good: 4,
            bad: true,
            line: HOME,
            hints: Hints::File,
            bar: "1.5 × good ones",
            ..ONE
        }),
    ),
    case("query", "a header by height and by hash from 930,000 stored ones", Kind::Query(930_000)),
    case(
        "scale",
        "100,000, 1,000,000 and 5,000,000 headers, 1 loopback peer, hints; sync and query",
        Kind::Scale([100_000, 1_000_000, 5_000_000]),
    ),
    case("serve-p2p", "a fresh sync from serve --listen, beside other sources", Kind::ServeP2p),
    Case {
        name: "smoke",
        about: "20,000 headers through everything, to see that it works",
        by_default: false,
        kind: Kind::Sync(Plan {
            headers: 20_000,
            good: 4,
            bad: true,
            yardstick: Yardstick::BitcoindTwice,
            ..ONE
        }),
    },
];

impl Case {
    /// Measures it and adds its rows.
    pub(crate) fn run(&self, world: &mut World, table: &mut Table) {
        match self.kind {
            Kind::Peer | Kind::Query(_) | Kind::Scale(_) if world.options.only_bitcoind => {}
            Kind::Peer => peer_alone::run(world, table, 100_000),
            Kind::ServeP2p => serve_p2p::run(world, table),
            Kind::Sync(plan) => self.run_sync(world, table, plan),
            Kind::Query(headers) => self.run_query(world, table, headers),
            Kind::Scale(lengths) => lengths.into_iter().for_each(|headers| {
                let plan = Plan { headers, hints: Hints::File, ..ONE };
                self.run_sync(world, table, plan);
                self.run_query(world, table, headers);
            }),
        }
    }

    fn run_sync(&self, world: &mut World, table: &mut Table, plan: Plan) {
        let chain = world.chain(plan.headers);
        let peers: Vec<ScriptedPeer> =
            (0..plan.good).map(|_| plan.line.script().start(&chain.shared)).collect();
        let median = (!world.options.only_bitcoind)
            .then(|| self.push_syncs(world, table, plan, &chain, &peers));
        self.push_bitcoind(world, table, plan, &chain, &peers[0], median);
    }

    /// The sync with the good peers, then with bad ones among them; gives the median of the first.
    fn push_syncs(
        &self,
        world: &World,
        table: &mut Table,
        plan: Plan,
        chain: &Chain,
        peers: &[ScriptedPeer],
    ) -> Duration {
        let median = self.push_sync(world, table, plan, chain, peers);
        if plan.bad {
            let bad = bad_peers(chain, plan.line);
            let (mut row, syncs) = self.row_of(world, plan, chain, peers.iter().chain(&bad));
            let slower = times(row.median(), median);
            row.case += " +4 bad";
            let naming = named(&syncs, &bad);
            let told =
                format!("the one with bad headers is named in {naming} of {} runs", syncs.len());
            row.remark = format!("{slower} of the good ones; {told}");
            if naming < syncs.len() {
                table.fault(format!("{}: {told}", row.case));
            }
            table.push(row);
        }
        median
    }

    /// Syncs of these peers, and their row without a remark.
    fn row_of<'a>(
        &self,
        world: &World,
        plan: Plan,
        chain: &Chain,
        peers: impl Iterator<Item = &'a ScriptedPeer>,
    ) -> (Row, Vec<Synced>) {
        let peers: Vec<&ScriptedPeer> = peers.collect();
        let syncs = repeat(world, chain, &peers, plan.hints);
        let row = Row {
            case: self.name.to_owned(),
            who: "lightclient",
            headers: plan.headers,
            samples: syncs.iter().map(|synced| synced.sample).collect(),
            remark: String::new(),
        };
        (row, syncs)
    }

    fn push_sync(
        &self,
        world: &World,
        table: &mut Table,
        plan: Plan,
        chain: &Chain,
        peers: &[ScriptedPeer],
    ) -> Duration {
        let (mut row, _) = self.row_of(world, plan, chain, peers.iter());
        let median = row.median();
        row.remark = plan.remark(chain, median);
        if plan.line.round_trip_ms > 0 {
            let most = peers.iter().map(|peer| peer.record().look(Seen::max_in_flight)).max();
            row.remark += &format!("; up to {} requests at once to a peer", most.unwrap_or(0));
        }
        table.push(row);
        median
    }

    fn push_bitcoind(
        &self,
        world: &World,
        table: &mut Table,
        plan: Plan,
        chain: &Chain,
        peer: &ScriptedPeer,
        median: Option<Duration>,
    ) {
        let Some(binary) = &world.options.bitcoind else { return };
        let variants: &[(bool, &str)] = match plan.yardstick {
            Yardstick::None => &[],
            Yardstick::Bitcoind => &[(false, "")],
            Yardstick::BitcoindTwice => &[(false, ""), (true, ", low-work protection")],
        };
        for (protected, how) in variants {
            let sync = |_| {
                bitcoin_node::sync(binary, world.folder.path(), chain, &peer.connect(), *protected)
            };
            let runs: Vec<bitcoin_node::Run> = (0..world.options.runs).map(sync).collect();
            let in_memory: Vec<Sample> = runs.iter().map(|run| run.in_memory).collect();
            let on_disk: Vec<Sample> = runs.iter().map(|run| run.on_disk).collect();
            for (samples, what) in [(in_memory, "in memory"), (on_disk, "on disk, stopped")] {
                let row = Row {
                    case: self.name.to_owned(),
                    who: "bitcoind",
                    headers: plan.headers,
                    samples,
                    remark: String::new(),
                };
                let ratio = median.map_or(String::new(), |median| {
                    format!(": {} lightclient's time", times(row.median(), median))
                });
                table.push(Row { remark: format!("{what}{how}{ratio}"), ..row });
            }
        }
    }

    fn run_query(&self, world: &mut World, table: &mut Table, headers: u32) {
        let chain = world.chain(headers);
        let peer = Script::honest().start(&chain.shared);
        let synced = sync(world, &chain, &[peer.connect()], Hints::None);
        let height = headers / 2;
        let hash = chain.shared.now().hash(height).to_string();
        for (what, how) in [(height.to_string(), "height"), (hash, "hash")] {
            // A query takes milliseconds: more runs cost nothing and steady the median.
            let runs = world.options.runs * 10 + 1;
            let samples = (0..runs).map(|_| query(world, &synced.data, &what)).collect();
            table.push(Row {
                case: format!("{} by {how}", self.name),
                who: "lightclient",
                headers,
                samples,
                remark: "whole process; bar 0.025 s".to_owned(),
            });
        }
    }
}

impl Plan {
    fn remark(&self, chain: &Chain, median: Duration) -> String {
        let bar = if self.bar.is_empty() { String::new() } else { format!("bar {}; ", self.bar) };
        let Some(rate) = self.line.rate else {
            let rate = f64::from(self.headers) / median.as_secs_f64();
            return format!("{bar}{rate:.0} headers/s");
        };
        let bits = f64::from(u32::try_from(chain.wire_len()).expect("below 4 GB")) * 8.0;
        let ideal = Duration::from_secs_f64(bits / rate / f64::from(self.good));
        format!("{bar}{} what the lines take ({:.2} s)", times(median, ideal), ideal.as_secs_f64())
    }
}

impl Line {
    fn script(self) -> Script {
        let script = Script::honest().round_trip(Duration::from_millis(self.round_trip_ms));
        match self.rate {
            Some(bits) => script.rate(bits / 8.0),
            None => script,
        }
    }
}

fn repeat(world: &World, chain: &Chain, peers: &[&ScriptedPeer], hints: Hints) -> Vec<Synced> {
    let addresses: Vec<String> = peers.iter().map(|peer| peer.connect()).collect();
    (0..world.options.runs).map(|_| sync(world, chain, &addresses, hints)).collect()
}

/// One that stalls, one that trickles a byte a second, one with bad headers, one that hangs up after each message.
fn bad_peers(chain: &Chain, line: Line) -> Vec<ScriptedPeer> {
    let script = || line.script();
    vec![
        script().start(&chain.with_wrong_ones()),
        script().after(2, Then::Stall).start(&chain.shared),
        script().after(2, Then::Trickle(1.0)).start(&chain.shared),
        script().after(1, Then::Close).start(&chain.shared),
    ]
}

/// In how many runs the peer with bad headers, the first one, was named on standard error.
fn named(syncs: &[Synced], bad: &[ScriptedPeer]) -> usize {
    let address = bad[0].connect();
    syncs.iter().filter(|synced| synced.log.contains(&address)).count()
}
