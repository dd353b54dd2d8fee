//! Keeping peers beside real nodes: one that is killed is replaced within seconds, and the chain is followed on.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::regtest_chain;
use crate::support::run::Running;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
/// "Within seconds", on a machine that does other things at the same time.
const SECONDS: Duration = Duration::from_secs(10);

/// Our client among a node's peers.
fn client_of(node: &Bitcoind) -> Option<Value> {
    let peers = node.rpc("getpeerinfo", json!([]));
    let peers = peers.as_array().expect("an array of peers");
    let ours = |peer: &&Value| peer["subver"].as_str().is_some_and(|it| it.contains("lightclient"));
    peers.iter().find(ours).cloned()
}

/// Two nodes that hand each other every block.
fn two_nodes(binary: &std::path::Path) -> [Bitcoind; 2] {
    let nodes = [(); 2].map(|()| Bitcoind::start::<&str>(binary, &[]));
    nodes[0].rpc("addnode", json!([nodes[1].p2p().to_string(), "add"]));
    nodes[0].generate(20);
    poll_for("both nodes at the same height", PATIENCE, || (nodes[1].height() == 20).then_some(()));
    nodes
}

fn wait_for_tip(running: &Running, node: &Bitcoind) {
    let hash = node.generate(1).remove(0);
    running.wait_for_stdout(&hash, SECONDS);
}

#[test]
fn a_killed_node_is_replaced_by_one_that_it_announced_and_the_chain_is_still_followed() {
    let Some(binary) = or_skip_loudly("replacing a killed bitcoind") else { return };
    let [first, second] = two_nodes(&binary);
    // bitcoind tells nobody of loopback addresses, so somebody else does.
    let genesis = regtest_chain(0, 1, 600);
    let guide = Script::honest().addresses(vec![second.p2p()]).on(Ipv4Addr::new(127, 5, 0, 1));
    let guide = guide.start(&SharedChain::new(REGTEST, &genesis));
    let program = light_client(BINARY, REGTEST);
    let added = [first.p2p().to_string(), guide.connect()];
    let mut args = vec!["sync", "--no-dns", "--follow", "--json", "-v", "--peers", "2"];
    added.iter().for_each(|address| args.extend(["--add-peer", address]));
    let mut running = program.start(&args);
    running.wait_for_stderr("caught up at height 20: following", PATIENCE);
    wait_for_tip(&running, &first);
    assert!(client_of(&first).is_some() && client_of(&second).is_none(), "two were asked for");

    let killed = Instant::now();
    first.kill();
    let replaced = poll_for("the second node in place of the first", PATIENCE, || {
        client_of(&second).map(|_| killed.elapsed())
    });
    assert!(replaced < SECONDS, "{replaced:?}");
    for _ in 0..3 {
        wait_for_tip(&running, &second);
    }
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    let report = ended.json_lines().pop().expect("a report");
    assert_eq!((&report["height"], &report["reorgs"]), (&json!(24), &json!(0)));
    assert_eq!(kept(&program, REGTEST).tip.height, 24);
}

#[test]
fn a_node_that_comes_back_is_followed_again() {
    let Some(binary) = or_skip_loudly("a bitcoind that is restarted") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    node.generate(10);
    let (address, dir) = (node.p2p(), tempfile::tempdir().expect("a folder"));
    let relay = Bitcoind::start_in::<&str>(&binary, dir.path(), &[]);
    relay.rpc("addnode", json!([address.to_string(), "onetry"]));
    poll_for("the same height", PATIENCE, || (relay.height() == 10).then_some(()));
    let program = light_client(BINARY, REGTEST);
    let peers = [node.p2p().to_string(), relay.p2p().to_string()];
    let args = ["sync", "--follow", "--json", "-v", "--connect", &peers[0], "--connect", &peers[1]];
    let mut running = program.start(&args);
    running.wait_for_stderr("caught up at height 10: following", PATIENCE);
    for node in [&node, &relay] {
        poll_for("a connection", PATIENCE, || client_of(node));
    }
    // Hung up on by one of them, the client is back within seconds.
    let before = client_of(&node).expect("it is connected")["id"].clone();
    node.rpc("disconnectnode", json!(["", before]));
    poll_for("another connection", SECONDS, || {
        client_of(&node).filter(|client| client["id"] != before)
    });
    wait_for_tip(&running, &node);
    running.interrupt();
    let _ = running.wait(PATIENCE).expect_code(130);
}
