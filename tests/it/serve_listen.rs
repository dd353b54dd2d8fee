//! `serve --listen`: peers that connect are served headers, and what they do harms nobody.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::{extend_chain, fork_chain, regtest_chain};
use crate::support::client::RawClient;
use crate::support::measure::peak_memory;
use crate::support::other;
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::Running;
use crate::support::script::Script;
use crate::support::serve as http;
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_args};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::chain::params;
use lightclient::primitives::{BlockHash, Hash256, Header, Network};
use lightclient::wire::{Inventory, InventoryKind, Message, ServiceFlags};
use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

/// A program that serves what a scripted peer has.
struct Serving {
    http: http::Serving,
    address: SocketAddr,
    peer: ScriptedPeer,
    headers: Vec<Header>,
}

impl Serving {
    fn start(count: u32, more: &[&str]) -> Self {
        let headers = regtest_chain(count, 1, 600);
        let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
        let listen = ["--listen", "127.0.0.1:0"];
        let http = http::Serving::start(BINARY, peer.address(), &[&listen[..], more].concat());
        http.running.wait_for_stderr(": following", PATIENCE);
        peer.record()
            .wait_for("sendheaders", PATIENCE, |seen| seen.has("sendheaders").then_some(()));
        let said = http.running.wait_for_stdout("listening for peers on ", PATIENCE);
        let (_, rest) = said.split_once("listening for peers on ").expect("it was waited for");
        let address = rest.split_whitespace().next().expect("an address follows");
        let address = address.parse().expect("an address follows");
        Self { http, address, peer, headers }
    }

    fn grow(&mut self, count: u32) {
        let before = self.headers.len();
        self.headers =
            extend_chain(&self.headers, count, before.try_into().expect("a length"), 600);
        self.peer.extend(&self.headers[before..], Announce::AsAsked);
    }

    /// Replaces the last `depth` headers by `count` others.
    fn reorganise(&mut self, depth: u32, count: u32) {
        let height = u32::try_from(self.headers.len() - 1).expect("a height");
        self.headers = fork_chain(&self.headers, height - depth, count, u64::from(count));
        self.peer.chain().replace(&self.headers);
        self.peer.announce(1, Announce::Inv);
    }

    fn tip(&self) -> String {
        self.headers.last().expect("a chain").hash().to_string()
    }

    fn end(mut self) {
        let started = Instant::now();
        self.http.running.terminate();
        self.http.running.wait(PATIENCE * 2).expect_code(143);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert!(kept(&self.http.program, REGTEST).headers == self.headers);
    }
}

fn serve_args(peer: &ScriptedPeer, more: &[&str]) -> Vec<String> {
    let mut args = sync_args(&[peer.connect()], &["--rpc-port", "0", "-v"]);
    args[0] = "serve".to_owned();
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

#[test]
fn our_own_sync_downloads_the_chain_from_it_and_follows_it() {
    let mut serving = Serving::start(5000, &[]);
    let client = light_client(BINARY, REGTEST);
    let address = [serving.address.to_string()];
    client.run(&sync_args(&address, &[])).expect_success();
    kept(&client, REGTEST).assert_is(&serving.headers);
    let mut follower = client.start(&sync_args(&address, &["--follow", "-v"]));
    follower.wait_for_stderr("caught up at height 5,000: following", PATIENCE);
    serving.grow(1);
    follower.wait_for_stdout(&serving.tip(), PATIENCE);
    serving.grow(3);
    follower.wait_for_stdout(&serving.tip(), PATIENCE);
    serving.reorganise(2, 4);
    follower.wait_for_stdout(&serving.tip(), PATIENCE);
    serving.reorganise(20, 30);
    follower.wait_for_stdout(&serving.tip(), PATIENCE);
    follower.interrupt();
    follower.wait(PATIENCE * 2).expect_code(130);
    assert!(kept(&client, REGTEST).headers == serving.headers);
    serving.end();
}

/// Without services a bitcoind asks only since we announce our tip. It also tries the encrypted transport first, and comes
/// back at once when that is refused.
#[test]
fn a_bitcoind_reaches_our_height_and_follows_whatever_services_we_claim() {
    let Some(binary) = or_skip_loudly("a bitcoind that syncs headers from us") else { return };
    for (services, names) in [("0", json!([])), ("9", json!(["NETWORK", "WITNESS"]))] {
        let mut serving = Serving::start(5000, &["--listen-services", services]);
        let connect = format!("-connect={}", serving.address);
        let node = Bitcoind::start(&binary, &[connect.as_str()]);
        wait_for_headers(&node, 5000);
        serving.grow(1);
        wait_for_headers(&node, 5001);
        serving.reorganise(3, 5);
        wait_for_headers(&node, 5003);
        let tips = node.rpc("getchaintips", json!([]));
        assert_eq!(tips[0]["hash"], serving.tip().as_str(), "{tips}");
        let peers = node.rpc("getpeerinfo", json!([]));
        assert_eq!((&peers[0]["servicesnames"], &peers[0]["relaytxes"]), (&names, &json!(false)));
        assert_eq!(peers.as_array().map(Vec::len), Some(1), "{peers}");
        drop(node);
        serving.end();
    }
}

fn wait_for_headers(node: &Bitcoind, height: u64) {
    poll_for("bitcoind's headers", PATIENCE, || {
        let info = node.rpc("getblockchaininfo", json!([]));
        (info["headers"] == json!(height)).then_some(())
    });
}

/// nakamoto insists on peers that claim the whole chain.
#[test]
fn a_nakamoto_syncs_from_us_and_follows_through_a_reorganisation() {
    let variable = "NAKAMOTO_HEADERS";
    let what = "nakamoto that syncs headers from us";
    let Some(binary) = other::or_skip_loudly(variable, "nakamoto-headers", what) else { return };
    let mut serving = Serving::start(5000, &["--listen-services", "9"]);
    let home = TempDir::with_prefix("nakamoto-").expect("a folder for temporary files");
    let mut command = Command::new(binary);
    command.arg(serving.address.to_string()).arg(home.path()).env("HOME", home.path());
    let client = Running::start(command, Stdio::null());
    client.wait_for_stdout(&format!("5000 {}", serving.tip()), PATIENCE);
    serving.grow(1);
    client.wait_for_stdout(&format!("5001 {}", serving.tip()), PATIENCE);
    serving.reorganise(2, 3);
    client.wait_for_stdout(&format!("5002 {}", serving.tip()), PATIENCE);
    serving.end();
}

#[test]
fn a_client_is_told_the_truth_about_what_we_have() {
    let serving = Serving::start(100, &[]);
    let (mut client, version) = RawClient::shake_hands(serving.address, REGTEST);
    assert_eq!((version.services, version.start_height), (ServiceFlags::NONE, 100));
    assert!(!version.relay);
    assert!(client.download(params(REGTEST).genesis) == serving.headers);
    let hash = Hash256(serving.headers[50].hash().0);
    let wanted = vec![Inventory { kind: InventoryKind::WitnessBlock, hash }];
    client.send(&Message::GetData(wanted.clone()));
    let missing = client.wait_for(|message| match message {
        Message::NotFound(list) => Some(list),
        _ => None,
    });
    assert_eq!(missing, wanted);
    serving.end();
}

#[test]
fn who_is_connected_is_told_by_the_methods_about_the_network() {
    let serving = Serving::start(100, &["--listen-services", "9"]);
    let call = |method: &str, params| serving.http.call(method, params);
    assert_eq!(
        call("getnetworkinfo", json!([]))["localservicesnames"],
        json!(["NETWORK", "WITNESS"])
    );
    let (mut client, _) = RawClient::shake_hands(serving.address, REGTEST);
    assert!(client.download(params(REGTEST).genesis) == serving.headers);
    let info = call("getnetworkinfo", json!([]));
    assert_eq!((&info["connections_in"], &info["connections_out"]), (&json!(1), &json!(1)));
    let peers = call("getpeerinfo", json!([]));
    let peer = &peers[1];
    assert_eq!((&peer["inbound"], &peer["connection_type"]), (&json!(true), &json!("inbound")));
    assert_eq!((&peer["subver"], &peers[0]["inbound"]), (&json!("/raw/"), &json!(false)));
    let own = client.stream.local_addr().expect("it is connected").to_string();
    assert_eq!(
        (&peer["addr"], &peer["addrbind"]),
        (&json!(own), &json!(serving.address.to_string()))
    );
    let sent = peer["bytessent_per_msg"]["headers"].as_u64().expect("a number");
    assert!(sent > 8100, "{peer}");
    assert!(call("getnettotals", json!([]))["totalbytessent"].as_u64() > Some(sent));
    let (_, metrics) = serving.http.rpc.get("/metrics").expect("it answers");
    let metric = |name: &str| -> Option<u64> {
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    assert_eq!(metric("lightclient_inbound_peers"), Some(1), "{metrics}");
    assert!(metric("lightclient_inbound_sent_bytes_total") > Some(sent), "{metrics}");
    assert!(metric("lightclient_inbound_received_bytes_total") > Some(0), "{metrics}");
    call("disconnectnode", json!(["", peer["id"]]));
    wait_for_count(&serving, 1);
    let _again = RawClient::shake_hands(serving.address, REGTEST);
    wait_for_count(&serving, 2);
    call("setnetworkactive", json!([false]));
    wait_for_count(&serving, 0);
    serving.end();
}

fn wait_for_count(serving: &Serving, count: usize) {
    poll_for("the number of connections", PATIENCE, || {
        (serving.http.call("getconnectioncount", json!([])) == json!(count)).then_some(())
    });
}

#[test]
fn it_ends_in_time_with_a_thousand_connections_open() {
    let serving = Serving::start(2500, &[]);
    let crowd: Vec<TcpStream> =
        (0..1000).filter_map(|_| TcpStream::connect(serving.address).ok()).collect();
    assert!(crowd.len() > 900, "{}", crowd.len());
    serving.end();
    drop(crowd);
}

#[test]
fn garbage_floods_and_slow_readers_do_not_keep_others_from_their_headers() {
    let serving = Serving::start(4000, &[]);
    let mut garbage = TcpStream::connect(serving.address).expect("it listens");
    garbage.write_all(&[0xa5; 4096]).expect("it is taken");
    let mut slow: Vec<RawClient> =
        (0..5).map(|_| RawClient::shake_hands(serving.address, REGTEST).0).collect();
    let genesis = serving.headers[0].hash();
    for client in &mut slow {
        // 32 MB of answers that nobody reads.
        (0..200).for_each(|_| client.ask(genesis, BlockHash::ZERO));
    }
    let (mut client, _) = RawClient::shake_hands(serving.address, REGTEST);
    assert!(client.download(params(REGTEST).genesis) == serving.headers);
    let peak = peak_memory(serving.http.running.id()).expect("it runs");
    assert!(peak < 96 << 20, "{} MiB", peak >> 20);
    serving.end();
}

#[test]
fn an_address_in_use_and_services_without_an_address_are_said_at_once() {
    let headers = regtest_chain(10, 1, 600);
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let refused = program.run(&serve_args(&peer, &["--listen", &address])).expect_code(1);
    let expected = format!("cannot listen for peers on {address}: ");
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    let wrong = program.run(&serve_args(&peer, &["--listen-services", "9"])).expect_code(2);
    assert!(wrong.stderr.contains("--listen-services needs --listen"), "{}", wrong.stderr);
    let wrong = program.run(&serve_args(&peer, &["--listen", "--listen-services", "all"]));
    assert!(wrong.expect_code(2).stderr.contains("service bits in hex"));
}
