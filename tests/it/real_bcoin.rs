//! The program beside a real bcoin on regtest, which is silent when nothing follows a locator.

use crate::support::bcoin::{Bcoin, or_skip_loudly};
use crate::support::bitcoind;
use crate::support::run::Program;
use crate::support::sync::{kept, light_client, sync_args};
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
/// Far less than the minute after which a peer is dropped that owes an answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Syncs to the end and returns what was reported.
fn sync(program: &Program, node: &Bcoin) -> Value {
    let args = sync_args(&[node.p2p().to_string()], &["--json"]);
    let ended = program.run(&args).expect_success();
    assert!(ended.elapsed < LIMIT, "{:?}: {}", ended.elapsed, ended.stderr);
    let report = ended.json();
    assert_eq!(report["stopped"], "caught-up");
    report
}

#[test]
fn a_bcoin_is_synced_from_however_its_chain_ends() {
    let Some(binary) = or_skip_loudly("syncing from bcoin") else { return };
    let node = Bcoin::start(&binary);
    let program = light_client(BINARY, REGTEST);
    let mut height = 0;
    // Nothing but genesis; the first blocks; a full message and no header more; one header more.
    for count in [0, 1, 1_999, 1] {
        if count > 0 {
            node.generate(count);
        }
        height += count;
        // The second time the whole chain is stored.
        for added in [count, 0] {
            let report = sync(&program, &node);
            assert_eq!(
                (&report["height"], &report["headers_added"]),
                (&json!(height), &json!(added))
            );
        }
    }
    assert_eq!(
        json!(kept(&program, REGTEST).tip.hash.to_string()),
        node.rpc("getbestblockhash", json!([]))
    );
}

#[test]
fn the_blocks_of_a_bcoin_are_followed() {
    let Some(binary) = or_skip_loudly("following bcoin's blocks") else { return };
    let node = Bcoin::start(&binary);
    node.generate(10);
    let program = light_client(BINARY, REGTEST);
    let args = sync_args(&[node.p2p().to_string()], &["--follow", "--json", "-v", "--trace"]);
    let mut running = program.start(&args);
    running.wait_for_stderr("caught up at height 10: following", PATIENCE);
    for count in [1, 1, 3] {
        let tip = node.generate(count).pop().expect("a hash");
        running.wait_for_stdout(&tip, PATIENCE);
    }
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    let told = ended.stderr;
    assert!(!told.contains("dropped peer"), "{told}");
    assert_eq!(kept(&program, REGTEST).tip.height, 15);
}

#[test]
fn a_bcoin_that_is_behind_does_not_keep_a_sync_from_ending() {
    let Some(binary) = or_skip_loudly("a bcoin beside a bitcoind") else { return };
    let Some(other) = bitcoind::or_skip_loudly("a bitcoind beside a bcoin") else { return };
    let node = Bcoin::start(&binary);
    let ahead = bitcoind::Bitcoind::start::<&str>(&other, &[]);
    ahead.generate(30);
    let program = light_client(BINARY, REGTEST);
    let addresses = [node.p2p(), ahead.p2p()].map(|address| address.to_string());
    for _ in 0..2 {
        let ended = program.run(&sync_args(&addresses, &[])).expect_success();
        assert!(ended.elapsed < LIMIT, "{:?}: {}", ended.elapsed, ended.stderr);
        assert_eq!(kept(&program, REGTEST).tip.height, 30);
    }
}
