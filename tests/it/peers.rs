//! Tests of `peers` and its crawl, with a population of 200 peers.

use crate::support::chain::regtest_chain;
use crate::support::population::{Kind, Member, Plan, Population};
use crate::support::run::Program;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// A population of 150 honest peers, 5 liars, 15 silent peers and 30 dead addresses.
const MIXED: [usize; 4] = [150, 5, 15, 30];

/// Each liar sends a thousand addresses of its own.
const KNOWN: usize = 200 + 5 * 1000;

fn start(plan: Plan) -> (Population, Program) {
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(10, 1, 600));
    (plan.start(&chain), light_client(BINARY, Network::Regtest))
}

fn first_honest(population: &Population) -> &Member {
    population.members.iter().find(|member| member.kind == Kind::Honest).expect("one")
}

/// Returns the arguments of a crawl that starts with one honest member.
fn crawl<'a>(first: &'a str, asks: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["peers", "--connect", first, "--crawl", asks, "--timeout", "1"], more].concat()
}

fn by_address(rows: &Value) -> BTreeMap<String, Value> {
    let rows = rows.as_array().expect("an array");
    let map: BTreeMap<String, Value> = rows
        .iter()
        .map(|row| (row["address"].as_str().expect("an address").to_owned(), row.clone()))
        .collect();
    assert_eq!(map.len(), rows.len(), "no address twice");
    map
}

/// Checks the program's row of a member.
fn assert_row(row: &Value, member: &Member) {
    let error = row["error"].as_str().unwrap_or_default();
    if !member.is_reachable() {
        let told =
            if member.kind == Kind::Dead { "cannot connect" } else { "no complete handshake" };
        assert!(error.contains(told), "{member:?} {row}");
        let keys = ["version", "user_agent", "height", "latency_ms", "addresses"];
        assert!(keys.iter().all(|key| row[key].is_null()), "{row}");
        return;
    }
    assert_eq!(error, "", "{member:?} {row}");
    assert_eq!(row["version"], member.version);
    assert_eq!(row["services"], json!(member.services.names()));
    assert_eq!(row["height"], member.height);
    let agent = row["user_agent"].as_str().expect("a text");
    assert_eq!(agent, member.user_agent, "whole: JSON escapes what a terminal would obey");
    let ms = row["latency_ms"].as_f64().expect("a number");
    assert!(ms >= member.latency.as_secs_f64() * 1000.0, "{member:?} {row}");
    let told = (member.knows.len() + usize::from(member.announces_itself)).min(1000);
    assert_eq!(row["addresses"], told, "{member:?} {row}");
}

#[test]
fn a_crawl_finds_every_reachable_peer_and_asks_each_once() {
    let (population, program) = start(Plan::new(1, MIXED));
    let first = first_honest(&population).address.to_string();
    let jsonl = program.data_dir().join("peers.jsonl");
    let more = ["--json", "--out", jsonl.to_str().unwrap()];
    fs::create_dir_all(program.data_dir()).unwrap();
    let ended = program.run(&crawl(&first, "100000", &more)).expect_success();
    let rows = by_address(&ended.json());
    assert_eq!(rows.len(), KNOWN);
    for (member, visits) in population.members.iter().zip(population.all_visits()) {
        let row = &rows[&member.address.to_string()];
        assert_eq!(row["connected"], member.is_reachable(), "{member:?} {row}");
        assert_row(row, member);
        assert_eq!(visits.asked, usize::from(member.is_reachable()), "{member:?}");
        assert_eq!(visits.from.len(), usize::from(member.kind != Kind::Dead), "{member:?}");
    }
    let reachable = rows.values().filter(|row| row["connected"] == true).count();
    assert_eq!(reachable, population.reachable());
    let saved = fs::read_to_string(jsonl).unwrap();
    let saved: Vec<Value> = saved.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(by_address(&json!(saved)), rows);
    assert!(
        !program.data_dir().join("regtest/crawl.jsonl").exists(),
        "nothing is left to go on with"
    );
}

#[test]
fn count_prints_only_the_figures() {
    let (population, program) = start(Plan::new(2, MIXED));
    let first = first_honest(&population).address.to_string();
    let counts = program.run(&crawl(&first, "100000", &["--count", "--json"])).expect_success();
    let reachable = population.reachable();
    assert_eq!(counts.json(), json!({"known": KNOWN, "reachable": reachable, "asked": KNOWN}));
}

#[test]
fn an_interrupted_crawl_continues_and_asks_nobody_twice() {
    let mut plan = Plan::new(3, [160, 0, 5, 35]);
    plan.members.iter_mut().for_each(|member| member.latency += Duration::from_millis(60));
    let (population, program) = start(plan);
    let first = first_honest(&population).address.to_string();
    let args = crawl(&first, "100000", &["--json"]);
    let asked = |count: usize| {
        population.wait_for("peers to be asked", PATIENCE, |visits| {
            let asked: usize = visits.iter().map(|visits| visits.asked).sum();
            (asked >= count).then_some(())
        });
    };
    let mut seen = 0;
    for count in [20, 90] {
        let mut running = program.start(&args);
        asked(count);
        // A second crawl cannot run at the same time.
        let second = program.run(&args).expect_code(4);
        assert!(second.stderr.contains("another crawl is running"), "{}", second.stderr);
        running.interrupt();
        let rows = by_address(&running.wait(PATIENCE).expect_code(130).json());
        assert!(rows.len() > seen && rows.len() < 200, "{} after {seen}", rows.len());
        seen = rows.len();
    }
    let rows = by_address(&program.run(&args).expect_success().json());
    assert_eq!(rows.len(), 200);
    for (member, visits) in population.members.iter().zip(population.all_visits()) {
        assert_eq!(rows[&member.address.to_string()]["connected"], member.is_reachable());
        assert_eq!(visits.asked, usize::from(member.is_reachable()), "{member:?}");
    }
}

#[test]
fn a_killed_crawl_keeps_the_peers_that_it_has_asked() {
    let mut plan = Plan::new(4, [180, 0, 0, 20]);
    plan.members.iter_mut().for_each(|member| member.latency += Duration::from_millis(60));
    let (population, program) = start(plan);
    let first = first_honest(&population).address.to_string();
    let args = crawl(&first, "100000", &["--json"]);
    let mut running = program.start(&args);
    population.wait_for("peers to be asked", PATIENCE, |visits| {
        let asked: usize = visits.iter().map(|visits| visits.asked).sum();
        (asked >= 60).then_some(())
    });
    running.kill();
    running.wait(PATIENCE);
    let journal = fs::read_to_string(program.data_dir().join("regtest/crawl.jsonl")).unwrap();
    let kept: BTreeSet<String> = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| Some(line["asked"]["row"]["address"].as_str()?.to_owned()))
        .collect();
    assert!(kept.len() > 5, "{}", kept.len());
    let rows = by_address(&program.run(&args).expect_success().json());
    assert_eq!(rows.len(), 200);
    for (member, visits) in population.members.iter().zip(population.all_visits()) {
        let address = member.address.to_string();
        assert_eq!(rows[&address]["connected"], member.is_reachable());
        let most = if kept.contains(&address) { 1 } else { 2 };
        assert!((1..=most).contains(&visits.asked) || !member.is_reachable(), "{member:?}");
    }
}

#[test]
fn a_crawl_ends_at_its_limit_and_restart_forgets_an_interrupted_one() {
    let (population, program) = start(Plan::new(5, MIXED));
    let first = first_honest(&population).address.to_string();
    let args = crawl(&first, "25", &["--count", "--json"]);
    for restart in [&[][..], &["--restart"]] {
        let counts = program.run(&[&args[..], restart].concat()).expect_success().json();
        assert_eq!(counts["asked"], 25, "{counts}");
        let (reachable, known) = (counts["reachable"].as_u64(), counts["known"].as_u64());
        assert!(reachable > Some(5) && reachable <= Some(25) && known > Some(25), "{counts}");
    }
    // The journal cannot be read. The error says so, and --restart helps.
    let folder = program.data_dir().join("regtest");
    fs::write(folder.join("crawl.jsonl"), "{\"crawl\":{\"version\":99,\"network\":\"regtest\"}}\n")
        .unwrap();
    let ended = program.run(&args).expect_code(1);
    assert!(ended.stderr.contains("--restart"), "{}", ended.stderr);
    program.run(&[&args[..], &["--restart"]].concat()).expect_success();
}

#[test]
fn a_named_peer_is_the_only_one_asked_and_its_addresses_are_listed() {
    let (population, program) = start(Plan::new(6, MIXED));
    let first = first_honest(&population);
    let address = first.address.to_string();
    let ended = program.run(&["peers", "--connect", &address, "--json"]).expect_success();
    let rows = by_address(&ended.json());
    let mut expected: BTreeSet<String> = first.knows.iter().map(ToString::to_string).collect();
    expected.insert(address.clone());
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert_row(&rows[&address], first);
    for (told, row) in rows.iter().filter(|(told, _)| **told != address) {
        assert_eq!((&row["connected"], &row["error"]), (&json!(false), &Value::Null), "{told}");
        assert_eq!(row["services"], json!(first.services.names()), "{told}");
    }
    let visited: usize = population.all_visits().iter().map(|visits| visits.from.len()).sum();
    assert_eq!(visited, 1, "nobody else was dialled");

    let text = program.run(&["peers", "--connect", &address]).expect_success().stdout;
    let header: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["address", "services", "user", "agent", "height", "latency"]);
    let line = text.lines().nth(1).unwrap();
    assert!(line.starts_with(&address) && line.ends_with(" ms"), "{line}");
    assert!(line.contains(&first.services.names().join("|")), "{line}");
    let last = format!("1 of 1 peer reachable, {} addresses known", expected.len());
    assert_eq!(text.lines().last(), Some(last.as_str()));
    assert_eq!(text.lines().count(), expected.len() + 2);
}

#[test]
fn the_table_is_saved_as_csv() {
    let (population, program) = start(Plan::new(7, [20, 0, 0, 5]));
    let first = first_honest(&population).address.to_string();
    fs::create_dir_all(program.data_dir()).unwrap();
    let csv = program.data_dir().join("peers.csv");
    program.run(&crawl(&first, "1000", &["--out", csv.to_str().unwrap()])).expect_success();
    let mut reader = csv::Reader::from_path(csv).unwrap();
    let names = "address,version,services,user_agent,height,latency_ms,addresses,connected,error";
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), names);
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 25);
    for member in &population.members {
        let address = member.address.to_string();
        let record = records.iter().find(|record| record[0] == address).unwrap();
        assert_eq!(&record[7], if member.is_reachable() { "true" } else { "false" });
        let height = if member.is_reachable() { member.height.to_string() } else { String::new() };
        assert_eq!(record[4], height);
        if member.is_reachable() {
            assert_eq!(record[3], member.user_agent.replace('\x1b', "\\u001b"));
        }
    }
}

#[test]
fn all_named_peers_are_asked_even_if_they_share_a_host() {
    let free: Vec<TcpListener> =
        (0..12).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let named: HashSet<String> =
        free.iter().map(|port| port.local_addr().expect("an address").to_string()).collect();
    drop(free);
    let connect = named.iter().flat_map(|address| ["--connect", address]);
    let args: Vec<&str> = ["peers", "--json"].into_iter().chain(connect).collect();
    let ended = light_client(BINARY, Network::Regtest).run(&args).expect_code(3);
    let rows = ended.json();
    let listed = rows.as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap());
    assert_eq!(listed.map(str::to_owned).collect::<HashSet<_>>(), named);
    assert!(ended.stderr.contains("12 refused the connection"), "{}", ended.stderr);
}

#[test]
fn without_any_peer_the_reasons_are_given() {
    let (population, program) = start(Plan::new(8, [1, 0, 1, 2]));
    let unreachable = population.members.iter().filter(|member| !member.is_reachable());
    let mut args = vec!["peers".to_owned(), "--timeout".to_owned(), "1".to_owned()];
    args.extend(unreachable.flat_map(|at| ["--connect".to_owned(), at.address.to_string()]));
    let ended = program.run(&args).expect_code(3);
    assert_eq!(ended.stdout, "0 of 3 peers reachable, 3 addresses known\n");
    assert!(ended.stderr.contains("no peer could be reached: 127."), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot connect"), "{}", ended.stderr);
    // Regtest has seeds only if the user names a DNS server.
    let ended = program.run(&["peers"]).expect_code(3);
    assert!(ended.stderr.contains("no address was found"), "{}", ended.stderr);
}

#[test]
fn wrong_arguments_are_reported_before_anybody_is_dialled() {
    let (population, program) = start(Plan::new(9, [1, 0, 0, 0]));
    let first = first_honest(&population).address.to_string();
    for more in
        [&["--out", "peers.xlsx"][..], &["--crawl", "0"], &["--restart"], &["--timeout", "0"]]
    {
        let ended = program.run(&[&["peers", "--connect", &first], more].concat()).expect_code(2);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    assert_eq!(population.visits(0).from.len(), 0);
}
