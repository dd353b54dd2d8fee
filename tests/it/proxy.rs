//! Tests that with a SOCKS5 proxy every connection goes through it and names are resolved by it, and tests of `--dns-server`.

use crate::support::blocks::Blocks;
use crate::support::chain::regtest_chain;
use crate::support::dns::{DnsServer, Zones};
use crate::support::peer::ScriptedPeer;
use crate::support::population::{Kind, Plan, Population};
use crate::support::run::{Finished, Program, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::socks::{Access, SocksProxy, Target};
use crate::support::strace::{addresses_in, can_trace, traced};
use crate::support::sync::light_client;
use crate::support::transactions::{announcement, transaction};
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use lightclient::wire::{Block, Transaction};
use serde_json::json;
use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// The name of regtest's DNS seed, which only the tests' own server knows.
const SEED: &str = "dummySeed.invalid";
const PORT: u16 = 18444;

/// Three honest peers at the network's own port, and a DNS server that names them.
struct World {
    population: Population,
    dns: DnsServer,
    program: Program,
}

fn world(seed: u64) -> World {
    let mut plan = Plan::new(seed, [12, 0, 2, 2]);
    let honest = (0..plan.members.len()).filter(|at| plan.members[*at].kind == Kind::Honest);
    let named: Vec<usize> = honest.take(3).collect();
    named.iter().for_each(|at| plan.move_to(*at, PORT));
    let addresses: Vec<_> = named.iter().map(|at| plan.members[*at].address.ip()).collect();
    let dns = Zones::default().with(&format!("x9.{SEED}"), addresses).serve();
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(300, 1, 600));
    let population = plan.start(&chain);
    World { population, dns, program: light_client(BINARY, Network::Regtest) }
}

impl World {
    /// The members at the network's own port.
    fn named(&self) -> Vec<SocketAddr> {
        let all = self.population.members.iter().map(|member| member.address);
        all.filter(|address| address.port() == PORT).collect()
    }

    fn dns_address(&self) -> String {
        self.dns.address().to_string()
    }

    /// A proxy that knows the seed by name, as one of the members.
    fn proxy(&self) -> SocksProxy {
        SocksProxy::start([(SEED.to_owned(), self.named()[0])])
    }

    /// Checks that all connections to members came from the proxy, and that the DNS server got no query.
    fn assert_all_went_through(&self, proxy: &SocksProxy) {
        let outgoing: HashSet<SocketAddr> = proxy.proxied().outgoing.into_iter().collect();
        let visits = self.population.all_visits();
        let came: Vec<SocketAddr> = visits.iter().flat_map(|visits| visits.from.clone()).collect();
        assert!(!came.is_empty(), "somebody was reached");
        for from in came {
            assert!(outgoing.contains(&from), "{from} is not the proxy's");
        }
        assert_eq!(self.dns.queries(), [], "names are the proxy's to resolve");
    }
}

/// Starts a peer that the proxy connects to for the seed's name. It sends the addresses of `others`.
fn seed_telling(others: &[&ScriptedPeer], chain: &SharedChain) -> ScriptedPeer {
    let addresses = others.iter().map(|peer| peer.address()).collect();
    Script::honest().on(Ipv4Addr::new(127, 1, 0, 1)).addresses(addresses).start(chain)
}

fn targets(proxy: &SocksProxy) -> Vec<Target> {
    proxy.proxied().targets
}

#[test]
fn a_dns_server_that_the_user_chose_names_the_peers() {
    let world = world(1);
    let args = ["peers", "--dns-server", &world.dns_address(), "--timeout", "2", "--json"];
    let rows = world.program.run(&args).expect_success().json();
    let asked: HashSet<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["address"].as_str().unwrap().to_owned())
        .collect();
    let named: HashSet<String> = world.named().iter().map(ToString::to_string).collect();
    assert_eq!(asked, named);
    assert!(rows.as_array().unwrap().iter().all(|row| row["connected"] == true), "{rows}");
    let names: HashSet<String> = world.dns.queries().into_iter().map(|query| query.name).collect();
    assert_eq!(names, HashSet::from([format!("x9.{}", SEED.to_lowercase())]));
}

#[test]
fn a_sync_finds_its_peers_through_the_dns_server_in_the_environment() {
    let World { population, dns, program } = world(2);
    let program = program.env("LIGHTCLIENT_DNS_SERVER", dns.address().to_string());
    let report = program.run(&["sync", "--json"]).expect_success().json();
    assert_eq!((&report["height"], &report["stopped"]), (&json!(300), &json!("caught-up")));
    assert!(!dns.queries().is_empty());
    let headers: usize = population.all_visits().iter().map(|visits| visits.headers).sum();
    assert!(headers > 0);
    // With --no-dns the peers come from the address manager, which knows them now.
    let asked = dns.queries().len();
    program.run(&["sync", "--no-dns"]).expect_success();
    assert_eq!(dns.queries().len(), asked);
}

#[test]
fn a_sync_with_a_proxy_connects_only_to_it_and_lets_it_resolve_the_seed() {
    let world = world(3);
    let proxy = world.proxy();
    let args = [
        "sync",
        "--json",
        "--proxy",
        &proxy.address().to_string(),
        "--dns-server",
        &world.dns_address(),
    ];
    let report = world.program.run(&args).expect_success().json();
    assert_eq!((&report["height"], &report["stopped"]), (&json!(300), &json!("caught-up")));
    assert_eq!(targets(&proxy)[0], Target::Name(SEED.to_owned(), PORT));
    world.assert_all_went_through(&proxy);
}

#[test]
fn a_peer_behind_a_seeds_name_is_asked_only_for_addresses() {
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(300, 1, 600));
    let peers =
        [2, 3, 4].map(|range| Script::honest().on(Ipv4Addr::new(127, range, 0, 1)).start(&chain));
    let seed = seed_telling(&[&peers[0], &peers[1], &peers[2]], &chain);
    let proxy = SocksProxy::start([(SEED.to_owned(), seed.address())]);
    let dns = Zones::default().serve();
    let program = light_client(BINARY, Network::Regtest);
    let (through, dns_server) = (proxy.address().to_string(), dns.address().to_string());
    let args =
        ["sync", "--follow", "--proxy", &through, "--dns-server", &dns_server, "--json", "-v"];
    let mut running = program.start(&args);
    peers.iter().for_each(|peer| peer.wait_ready(1, PATIENCE));
    running.wait_for_stderr("caught up at height 300: following", PATIENCE);
    seed.record().wait_for("the end of the connection", PATIENCE, |seen| {
        (!seen.connections.is_empty() && seen.open() == 0).then_some(())
    });
    running.interrupt();
    let report = running.wait(PATIENCE).expect_code(130).json_lines();
    assert_eq!(report.last().unwrap()["peers"], 3, "{report:?}");
    let seen = seed.seen();
    assert!(seen.has("getaddr"));
    assert!(!seen.has("getheaders") && !seen.has("sendheaders"), "{seen:?}");
    assert_eq!((seen.connections.len(), dns.queries().len()), (1, 0));
}

#[test]
fn every_connection_through_the_proxy_has_its_own_user_and_password() {
    let world = world(7);
    let names = [(SEED.to_owned(), world.named()[0])];
    for (proxy, authenticates) in [
        (SocksProxy::start(names.clone()), true),
        (SocksProxy::with(Access::Without, names.clone()), false),
        (SocksProxy::with(Access::RefusesLogins, names), false),
    ] {
        let more = ["--proxy", &proxy.address().to_string(), "--dns-server", &world.dns_address()];
        let crawl = ["peers", "--crawl", "1000", "--timeout", "2"];
        world.program.run(&[&crawl[..], &more].concat()).expect_success();
        let used = proxy.proxied().credentials;
        assert!(used.len() > 10, "{used:?}");
        if !authenticates {
            assert!(used.iter().all(Option::is_none), "{used:?}");
            continue;
        }
        let (users, passwords): (HashSet<String>, HashSet<String>) =
            used.iter().map(|used| used.clone().expect("both were offered")).unzip();
        assert_eq!((users.len(), passwords.len()), (used.len(), used.len()), "{used:?}");
        assert!(users.iter().chain(&passwords).all(|text| text.len() >= 16), "{used:?}");
    }
}

#[test]
fn peers_and_ping_with_a_proxy_connect_only_to_it_and_let_it_resolve_names() {
    let world = world(4);
    let proxy = world.proxy();
    let more = ["--proxy", &proxy.address().to_string(), "--dns-server", &world.dns_address()];
    let crawl = [&["peers", "--crawl", "1000", "--timeout", "2", "--json"], &more[..]].concat();
    let rows = world.program.run(&crawl).expect_success().json();
    let reached = rows.as_array().unwrap().iter().filter(|row| row["connected"] == true).count();
    // The seed is dialled by its name, and the same peer by the address that others send.
    assert_eq!(reached, world.population.reachable() + 1, "{rows}");
    assert_eq!(targets(&proxy)[0], Target::Name(SEED.to_owned(), PORT));
    world.assert_all_went_through(&proxy);

    let ping = [&["ping", SEED, "-c", "2", "-i", "0.01", "--json"], &more[..]].concat();
    let summary = world.program.run(&ping).expect_success().json();
    assert_eq!(
        (&summary["received"], &summary["address"]),
        (&json!(2), &json!(format!("{SEED}:{PORT}")))
    );
    assert_eq!(targets(&proxy).last(), Some(&Target::Name(SEED.to_owned(), PORT)));
    world.assert_all_went_through(&proxy);
    // A name that the proxy does not know is not looked up elsewhere.
    let ping = [&["ping", "elsewhere.invalid", "-c", "1"], &more[..]].concat();
    let ended = world.program.run(&ping).expect_code(3);
    assert!(ended.stderr.contains("proxy 127.0.0.1:"), "{}", ended.stderr);
    world.assert_all_went_through(&proxy);
}

#[test]
fn without_the_proxy_no_command_connects_directly() {
    let world = world(5);
    let nobody = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let member = world.named()[0].to_string();
    let more = ["--proxy", &nobody, "--dns-server", &world.dns_address()];
    for command in [
        &["ping", &member, "-c", "1"][..],
        &["peers", "--timeout", "2"],
        &["peers", "--connect", &member],
        &["sync", "--connect", &member],
        &["sync"],
    ] {
        let ended = world.program.run(&[command, &more[..]].concat()).expect_code(3);
        let said = format!("the proxy {nobody} refuses connections: is it running?\n");
        assert!(ended.stderr.ends_with(&said), "{}", ended.stderr);
        let times = ended.stderr.matches("refuses connections").count();
        assert!(times <= 2, "once as it fails, once as the end: {}", ended.stderr);
        assert!(!ended.stderr.contains("internet"), "{}", ended.stderr);
    }
    assert!(world.population.all_visits().iter().all(|visits| visits.from.is_empty()));
    assert_eq!(world.dns.queries(), []);
}

/// Three peers that have blocks and a transaction, a fourth behind the seed's name, and the program, which has stored the
/// headers through the proxy.
struct Full {
    blocks: Blocks,
    transaction: Transaction,
    peers: Vec<ScriptedPeer>,
    proxy: SocksProxy,
    dns: DnsServer,
    program: Program,
}

impl Full {
    fn synced() -> Self {
        let (blocks, transaction) = (Blocks::new(5, 3), transaction(1));
        let served: Vec<Block> = blocks.blocks.iter().flatten().cloned().collect();
        let script = || Script::honest().having(std::slice::from_ref(&transaction), &served);
        let at = |range| script().on(Ipv4Addr::new(127, range, 0, 2));
        let mut peers: Vec<ScriptedPeer> =
            [2, 3, 4].map(|range| at(range).start(&blocks.chain())).into();
        let others = peers.iter().map(ScriptedPeer::address).collect();
        let seed = at(1).addresses(others).start(&blocks.chain());
        let proxy = SocksProxy::start([(SEED.to_owned(), seed.address())]);
        peers.push(seed);
        let dns = Zones::default().with(&format!("x9.{SEED}"), []).serve();
        let program = light_client(BINARY, Network::Regtest);
        let full = Self { blocks, transaction, peers, proxy, dns, program };
        full.program.run(&full.through(&["sync", "--min-chain-work", "0"])).expect_success();
        full
    }

    fn through(&self, command: &[&str]) -> Vec<String> {
        let (proxy, dns) = (self.proxy.address().to_string(), self.dns.address().to_string());
        let more = ["--proxy", &proxy, "--dns-server", &dns];
        command.iter().chain(&more).map(|&arg| arg.to_owned()).collect()
    }

    /// Announces the transaction again and again until the program has ended.
    fn announce_to(&self, mut running: Running) -> Finished {
        let announced = announcement(std::slice::from_ref(&self.transaction));
        let started = Instant::now();
        while running.is_running() && started.elapsed() < PATIENCE {
            self.peers.iter().for_each(|peer| peer.send(&announced));
            thread::sleep(Duration::from_millis(20));
        }
        running.wait(PATIENCE)
    }

    fn assert_all_went_through(&self) {
        let outgoing: HashSet<SocketAddr> = self.proxy.proxied().outgoing.into_iter().collect();
        for connection in self.peers.iter().flat_map(|peer| peer.seen().connections) {
            assert!(outgoing.contains(&connection.from), "{} is not the proxy's", connection.from);
        }
        assert_eq!(self.dns.queries(), []);
    }
}

#[test]
fn block_tx_and_mempool_with_a_proxy_connect_only_to_it() {
    let full = Full::synced();
    let txid = full.transaction.view().txid().to_string();
    let run = |command: &[&str]| full.program.run(&full.through(command)).expect_success().json();
    assert_eq!(run(&["block", "3", "--json"])["tx"][3], full.blocks.txid(3, 3));
    full.assert_all_went_through();
    assert_eq!(run(&["tx", &txid, "--json"])["txid"], txid.as_str());
    full.assert_all_went_through();
    let mempool = full.through(&["mempool", "--count", "1", "--json"]);
    let ended = full.announce_to(full.program.start(&mempool)).expect_success();
    assert_eq!(ended.json()["txid"], txid.as_str());
    full.assert_all_went_through();
    let nobody = ["--proxy", "127.0.0.1:1", "--dns-server", "127.0.0.1:1"];
    for command in [&["block", "3"][..], &["tx", &txid], &["mempool", "--count", "1"]] {
        let ended = full.program.run(&[command, &nobody].concat()).expect_code(3);
        assert!(ended.stderr.contains("proxy 127.0.0.1:1"), "{}", ended.stderr);
    }
}

#[test]
fn system_calls_connect_only_to_the_proxy() {
    if !can_trace() {
        return;
    }
    let full = Full::synced();
    let txid = full.transaction.view().txid().to_string();
    let log = full.program.data_dir().join("strace");
    for command in [
        &["ping", SEED, "-c", "1"][..],
        &["peers", "--crawl", "100", "--timeout", "2"],
        &["sync"],
        &["block", "3"],
        &["tx", &txid],
        &["mempool", "--count", "1"],
    ] {
        let traced = traced(&full.program.command(&full.through(command)), &log);
        let running = Running::start(traced, Stdio::null());
        let ended = if command[0] == "mempool" {
            full.announce_to(running)
        } else {
            running.wait(PATIENCE)
        };
        let _ = ended.expect_success();
        let addresses = addresses_in(&fs::read_to_string(&log).unwrap());
        assert_eq!(addresses, HashSet::from([full.proxy.address().to_string()]), "{command:?}");
    }
    // Without the proxy there are other addresses, which shows that this check can fail.
    let dns = full.dns.address().to_string();
    let direct = full.program.command(&["peers", "--dns-server", &dns]);
    let _ = Running::start(traced(&direct, &log), Stdio::null()).wait(PATIENCE).expect_success();
    let addresses = addresses_in(&fs::read_to_string(&log).unwrap());
    assert!(addresses.contains(&dns), "{addresses:?}");
    assert!(addresses.contains(&full.peers[0].address().to_string()), "{addresses:?}");
}
