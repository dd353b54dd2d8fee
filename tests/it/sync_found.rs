//! Syncs that find their peers: from a peer that the user added, from what that one tells, from the address manager.

use crate::support::chain::{extend_chain, regtest_chain};
use crate::support::dns::{DnsServer, Zones};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::population::{Kind, Plan, Population};
use crate::support::run::Program;
use crate::support::script::{Script, Then};
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use crate::support::wait::{PATIENCE, poll_every, poll_for};
use lightclient::chain::params;
use lightclient::primitives::{Header, Network};
use lightclient::testing::PeerAddress;
use lightclient::testing::{AddrMan, FILE_NAME, NetGroup, Scope, load};
use lightclient::wire::ServiceFlags;
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
/// A lost peer is to be replaced within this.
const SOON: Duration = Duration::from_secs(15);

/// The arguments of a `sync` that is told of these peers, and may find others through them only.
fn sync_adding(added: &[&ScriptedPeer], more: &[&str]) -> Vec<String> {
    let mut args = ["sync", "--no-dns", "--min-chain-work", "0"].map(str::to_owned).to_vec();
    for peer in added {
        args.extend(["--add-peer".to_owned(), peer.connect()]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// A chain, and peers that serve it: each in a range of its own.
struct Lan {
    headers: Vec<Header>,
    chain: SharedChain,
}

impl Lan {
    fn new() -> Self {
        let headers = regtest_chain(300, 1, 600);
        Self { chain: SharedChain::new(REGTEST, &headers), headers }
    }

    fn peer(&self, range: u8, script: Script) -> ScriptedPeer {
        script.on(Ipv4Addr::new(127, range, 0, 1)).start(&self.chain)
    }

    fn honest(&self, range: u8) -> ScriptedPeer {
        self.peer(range, Script::honest())
    }

    /// A peer that tells of others.
    fn guide(&self, range: u8, others: &[&ScriptedPeer]) -> ScriptedPeer {
        let addresses = others.iter().map(|peer| peer.address()).collect();
        self.peer(range, Script::honest().addresses(addresses))
    }

    fn grow(&mut self, through: &ScriptedPeer) -> String {
        let before = self.headers.len();
        self.headers = extend_chain(&self.headers, 1, 77, 600);
        through.extend(&self.headers[before..], Announce::AsAsked);
        self.headers.last().expect("a chain").hash().to_string()
    }
}

fn addrman_file(program: &Program) -> PathBuf {
    program.data_dir().join("regtest").join(FILE_NAME)
}

fn addrman(program: &Program) -> Option<AddrMan> {
    let folder = program.data_dir().join("regtest");
    load(&folder, params(REGTEST).magic, Scope::Local).expect("a whole address manager at any time")
}

fn knows(addrman: &AddrMan, peer: &ScriptedPeer) -> bool {
    addrman.get(&peer.address().into()).is_some_and(|known| known.successes > 0)
}

#[test]
fn a_peer_learnt_from_another_takes_over_when_that_one_dies() {
    let mut network = Lan::new();
    let other = network.honest(2);
    let guide = network.guide(1, &[&other]);
    let program = light_client(BINARY, REGTEST);
    let mut running =
        program.start(&sync_adding(&[&guide], &["--follow", "--json", "-v", "--peers", "1"]));
    running.wait_for_stderr("caught up at height 300: following", PATIENCE);
    poll_for("the other's address", PATIENCE, || {
        addrman(&program)?.get(&other.address().into()).map(|_| ())
    });
    assert_eq!(other.seen().connections.len(), 0, "one peer was asked for");
    let died = Instant::now();
    drop(guide);
    other.wait_ready(1, SOON);
    let tip = network.grow(&other);
    running.wait_for_stdout(&tip, SOON);
    assert!(died.elapsed() < SOON, "{:?}", died.elapsed());
    running.terminate();
    let _ = running.wait(PATIENCE).expect_code(143);
    kept(&program, REGTEST).assert_is(&network.headers);
}

#[test]
fn the_address_manager_survives_kill_9_and_is_all_that_the_next_start_needs() {
    let network = Lan::new();
    let others = [2, 3, 4].map(|range| network.honest(range));
    let guide = network.guide(1, &[&others[0], &others[1], &others[2]]);
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_adding(&[&guide], &["--follow"]));
    poll_for("an address manager with all who answered", PATIENCE, || {
        let addrman = addrman(&program)?;
        others.iter().all(|peer| knows(&addrman, peer)).then_some(())
    });
    running.kill();
    drop(running);
    // Again and again, at any moment of the first second.
    for round in 0..6u64 {
        let before: Vec<usize> = others.iter().map(|peer| peer.seen().connections.len()).collect();
        let mut running = program.start(&sync_adding(&[], &["--follow"]));
        for (peer, before) in others.iter().zip(before) {
            peer.wait_ready(before + 1, PATIENCE);
        }
        std::thread::sleep(Duration::from_millis(round * 40));
        running.kill();
        drop(running);
        let addrman = addrman(&program).expect("an address manager");
        assert!(others.iter().all(|peer| knows(&addrman, peer)), "round {round}");
    }
    let ended = program.run(&sync_adding(&[], &["--json"])).expect_success();
    assert_eq!(ended.json()["height"], 300);
    kept(&program, REGTEST).assert_is(&network.headers);
}

#[test]
fn a_damaged_address_manager_file_is_reported_and_kept_and_the_sync_succeeds() {
    let network = Lan::new();
    let other = network.honest(2);
    let guide = network.guide(1, &[&other]);
    let program = light_client(BINARY, REGTEST);
    let file = addrman_file(&program);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    for damage in [&b"LCADDRS\n and then some rubbish"[..], b""] {
        fs::write(&file, damage).unwrap();
        let before = other.seen().connections.len();
        let mut running = program.start(&sync_adding(&[&guide], &["--follow", "-v"]));
        running.wait_for_stderr("caught up at height 300: following", PATIENCE);
        // Whom the guide told is known then.
        other.wait_ready(before + 1, PATIENCE);
        running.interrupt();
        let ended = running.wait(PATIENCE).expect_code(130);
        let told = ended.stderr.lines().find(|line| line.contains("address manager"));
        assert!(told.is_some_and(|told| told.contains(FILE_NAME)), "{}", ended.stderr);
        let aside = file.with_file_name("addresses.dat.damaged");
        assert_eq!(fs::read(aside).unwrap(), damage);
        assert!(addrman(&program).is_some(), "a new one");
    }
    kept(&program, REGTEST).assert_is(&network.headers);
}

#[test]
fn no_more_than_two_found_peers_are_in_one_range() {
    let mut network = Lan::new();
    let crowd: Vec<ScriptedPeer> = (1..=6)
        .map(|host| Script::honest().on(Ipv4Addr::new(127, 9, host, 1)).start(&network.chain))
        .collect();
    let others = [2, 3, 4].map(|range| network.honest(range));
    let told: Vec<&ScriptedPeer> = crowd.iter().chain(&others).collect();
    let guide = network.guide(1, &told);
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_adding(&[&guide], &["--follow", "-v"]));
    running.wait_for_stderr("caught up at height 300: following", PATIENCE);
    others.iter().for_each(|peer| peer.wait_ready(1, PATIENCE));
    let open = || crowd.iter().map(|peer| peer.seen().open()).sum::<usize>();
    poll_for("two of the crowd", PATIENCE, || (open() == 2).then_some(()));
    let tip = network.grow(&guide);
    running.wait_for_stdout(&tip, PATIENCE);
    assert_eq!(open(), 2);
    assert_eq!(crowd.iter().map(|peer| peer.seen().connections.len()).sum::<usize>(), 2);
    running.interrupt();
    let _ = running.wait(PATIENCE).expect_code(130);
}

#[test]
fn a_found_peer_that_misbehaves_is_not_dialled_again_not_even_by_the_next_run() {
    let network = Lan::new();
    let bad = network.peer(2, Script::honest().after(0, Then::Garbage));
    let guide = network.guide(1, &[&bad]);
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_adding(&[&guide], &["--follow"]));
    running.wait_for_stderr("broken message", PATIENCE);
    running.interrupt();
    let _ = running.wait(PATIENCE).expect_code(130);
    let dialled = bad.seen().connections.len();
    let witness = network.honest(3);
    let guide = network.guide(4, &[&bad, &witness]);
    let mut running = program.start(&sync_adding(&[&guide], &["--follow"]));
    // What was told after it is dialled; it is not.
    witness.wait_ready(1, PATIENCE);
    running.interrupt();
    let _ = running.wait(PATIENCE).expect_code(130);
    assert_eq!((dialled, bad.seen().connections.len()), (1, 1));
}

#[test]
fn a_misbehaving_named_peer_is_dialled_once_and_a_follower_without_peers_ends() {
    let network = Lan::new();
    let bad = network.peer(2, Script::honest().after(0, Then::Garbage));
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_with(&[&bad], &["--follow"])).expect_code(3);
    assert!(ended.stderr.contains(&bad.connect()), "{}", ended.stderr);
    assert_eq!(bad.seen().connections.len(), 1);
}

#[test]
fn the_same_address_twice_is_one_peer() {
    let network = Lan::new();
    let peer = network.honest(1);
    let program = light_client(BINARY, REGTEST);
    let report = program.run(&sync_with(&[&peer, &peer], &["--json"])).expect_success().json();
    assert_eq!((&report["peers"], peer.seen().connections.len()), (&1.into(), 1));
}

#[test]
fn without_any_address_the_error_comes_at_once_with_the_reason() {
    let program = light_client(BINARY, REGTEST);
    let ended = program.run(&sync_adding(&[], &[])).expect_code(3);
    assert!(ended.stderr.contains("no address was found"), "{}", ended.stderr);
    assert!(ended.elapsed < SOON, "{:?}", ended.elapsed);
    let both = ["sync", "--connect", "127.0.0.1", "--add-peer", "127.0.0.1"];
    program.run(&both).expect_code(2);
}

/// Addresses of the good peers that are connected and used: those that have the whole chain. What one of them says of other
/// addresses makes it no worse a source of headers.
fn good_peers(population: &Population) -> Vec<SocketAddr> {
    let members = population.members.iter().zip(population.all_visits());
    let used = members.filter(|(member, visits)| {
        let has_chain = matches!(member.kind, Kind::Honest | Kind::Liar);
        let good = has_chain && member.services.has(ServiceFlags::NETWORK);
        good && visits.open > 0 && visits.headers > 0
    });
    used.map(|(member, _)| member.address).collect()
}

/// Two hundred peers, most of them dead, and a DNS server that knows every fifth, at the network's own port.
fn two_hundred(chain: &SharedChain) -> (Population, DnsServer) {
    let mut plan = Plan::new(11, [66, 6, 18, 110]);
    let named: Vec<usize> = (0..plan.members.len()).step_by(5).collect();
    let regtest = params(REGTEST);
    named.iter().for_each(|at| plan.move_to(*at, regtest.port));
    let addresses: Vec<_> = named.iter().map(|at| plan.members[*at].address.ip()).collect();
    let seed = format!("x9.{}", regtest.dns_seeds[0]);
    (plan.start(chain), Zones::default().with(&seed, addresses).serve())
}

#[test]
fn of_two_hundred_peers_most_of_them_dead_eight_good_ones_are_found_in_seconds() {
    let headers = regtest_chain(300, 1, 600);
    let (population, dns) = two_hundred(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let dns_server = dns.address().to_string();
    let started = Instant::now();
    let args = ["sync", "--follow", "--json", "-v", "--dns-server", &dns_server];
    let mut running = program.start(&args);
    let good = poll_for("eight good peers", PATIENCE, || {
        let good = good_peers(&population);
        (good.len() >= 8).then_some(good)
    });
    let took = started.elapsed();
    println!("{took:?} to {} good peers of 200", good.len());
    assert!(took < Duration::from_secs(30), "{took:?}");
    let mut groups: BTreeMap<NetGroup, usize> = BTreeMap::new();
    for address in &good {
        *groups.entry(NetGroup::of(&PeerAddress::from(*address))).or_default() += 1;
    }
    assert!(groups.len() >= 4 && groups.values().all(|count| *count <= 2), "{groups:?}");
    running.wait_for_stderr("caught up at height 300: following", PATIENCE);
    // So it says itself.
    poll_every(Duration::from_millis(100), "a status with eight peers", PATIENCE, || {
        let status = program.run(&["status"]).expect_success().stdout;
        status.contains("following, 8 peers").then_some(())
    });
    running.interrupt();
    let report = running.wait(PATIENCE).expect_code(130).json_lines().pop().expect("a report");
    assert_eq!((&report["height"], &report["stopped"]), (&300.into(), &"interrupted".into()));
    assert!(report["peers"].as_u64() >= Some(8), "{report}");
    kept(&program, REGTEST).assert_is(&headers);
}
