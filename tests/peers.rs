//! `peers` and its crawl, over a population of 200.

mod support;

use lightclient::primitives::Network;
use serde_json::Value;
use std::collections::BTreeMap;
use support::chain::regtest_chain;
use support::population::{Kind, Plan, Population};
use support::run::Program;
use support::served::SharedChain;
use support::sync::light_client;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// 150 honest ones, 5 liars, 15 silent and 30 dead ones.
const MIXED: [usize; 4] = [150, 5, 15, 30];

fn start(plan: Plan) -> (Population, Program) {
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(10, 1, 600));
    (plan.start(&chain), light_client(BINARY, Network::Regtest))
}

fn first_honest(population: &Population) -> String {
    let found = population.members.iter().find(|member| member.kind == Kind::Honest);
    found.unwrap().address.to_string()
}

fn by_address(rows: &Value) -> BTreeMap<String, Value> {
    let rows = rows.as_array().expect("an array");
    let map: BTreeMap<String, Value> =
        rows.iter().map(|row| (row["address"].as_str().unwrap().to_owned(), row.clone())).collect();
    assert_eq!(map.len(), rows.len(), "no address twice");
    map
}

#[test]
fn a_crawl_finds_every_reachable_peer_and_counts_right() {
    let (population, program) = start(Plan::new(1, MIXED));
    let first = first_honest(&population);
    let args = ["peers", "--connect", &first, "--crawl", "100000", "--timeout", "1", "--json"];
    let ended = program.run(&args).expect_success();
    println!("{:?}", ended.elapsed);
    let rows = by_address(&ended.json());
    for member in &population.members {
        let row = &rows[&member.address.to_string()];
        assert_eq!(row["connected"], member.is_reachable(), "{member:?} {row}");
    }
}
