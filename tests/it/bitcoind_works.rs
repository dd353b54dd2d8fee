//! The bitcoind harness, and the scripted peer in the eyes of a real bitcoind.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::{extend_chain, regtest_chain};
use crate::support::measure::{cpu_time, disk_usage, peak_memory};
use crate::support::peer::Announce;
use crate::support::rpc::RpcError;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn a_bitcoind_starts_mines_answers_and_stops() {
    let Some(binary) = or_skip_loudly("the bitcoind harness") else { return };
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let hashes = node.generate(3);
    assert_eq!((hashes.len(), node.height()), (3, 3));
    assert_eq!(node.rpc("getblockhash", json!([3])), json!(hashes[2]));
    let refused = node.try_rpc("getblockhash", json!([4]));
    assert!(matches!(refused, Err(RpcError::Refused { code: -8, .. })), "{refused:?}");
    assert!(peak_memory(node.id()).unwrap() > 1 << 20);
    assert!(cpu_time(node.id()).unwrap() > Duration::ZERO);
    assert!(disk_usage(node.dir()) > 1000);
    let dir = node.dir().to_owned();
    node.stop(PATIENCE);
    assert!(!dir.exists());
}

#[test]
fn a_bitcoind_takes_the_scripted_peer_for_a_node() {
    let Some(binary) = or_skip_loudly("a bitcoind syncing from the scripted peer") else { return };
    let headers = regtest_chain(5000, 7, 600);
    let chain = SharedChain::new(Network::Regtest, &headers);
    let peer = Script::honest().start(&chain);
    let node = Bitcoind::start(
        &binary,
        &[format!("-connect={}", peer.connect()), "-v2transport=0".to_owned()],
    );
    let headers_at = |height: u32| {
        poll_for("bitcoind's headers", PATIENCE, || {
            let info = node.rpc("getblockchaininfo", json!([]));
            (info["headers"] == json!(height)).then_some(())
        });
    };
    headers_at(5000);
    let longer = extend_chain(&headers, 3, 9, 600);
    peer.extend(&longer[5001..], Announce::Headers);
    headers_at(5003);
    assert!(peer.seen().has("getdata"), "it asks for the blocks too, and never gets one");
}

#[test]
fn a_stopped_bitcoind_has_its_headers_on_disk() {
    let Some(binary) = or_skip_loudly("a bitcoind that keeps headers") else { return };
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(3000, 7, 600));
    let peer = Script::honest().start(&chain);
    let dir = TempDir::new().unwrap();
    let headers = |node: &Bitcoind| node.rpc("getblockchaininfo", json!([]))["headers"].clone();
    let connect = [format!("-connect={}", peer.connect()), "-v2transport=0".to_owned()];
    let node = Bitcoind::start_in(&binary, dir.path(), &connect);
    poll_for("all headers", PATIENCE, || (headers(&node) == json!(3000)).then_some(()));
    node.stop(PATIENCE);
    drop(peer);
    let node = Bitcoind::start_in(&binary, dir.path(), &["-connect=0"]);
    assert_eq!(headers(&node), json!(3000));
}
