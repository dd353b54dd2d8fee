//! Who answers where a peer was expected, and what is said of it.

use crate::support::dns::Zones;
use crate::support::run::Program;
use crate::support::script::{Opening, Script};
use crate::support::sync::{light_client, sync_args, sync_with};
use crate::support::transactions::any_chain;
use crate::support::wait::PATIENCE;
use lightclient::primitives::Network;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

fn program() -> Program {
    light_client(BINARY, Network::Regtest)
}

/// Where somebody listens, hears the first words, says this, and hangs up.
fn somebody_who_says(words: &'static [u8]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut first = [0; 24];
            stream.read_exact(&mut first).expect("a frame's head");
            stream.write_all(words).expect("a reader");
        }
    });
    address
}

#[test]
fn a_peer_that_hangs_up_at_once_may_be_on_another_network() {
    let address = somebody_who_says(b"");
    let connect = ["--connect", address.as_str()];
    let tried = format!("{address} (hung up during the handshake); ");
    let advice =
        "check the address, and that it belongs to a regtest peer, or leave --connect out\n";
    let sync = program().run(&sync_args(&[&address], &[])).expect_code(3);
    let told = format!("error: no peer could be used: {tried}{advice}");
    assert!(sync.stderr.ends_with(&told), "{}", sync.stderr);
    let peers = program().run(&[&["peers"][..], &connect].concat()).expect_code(3);
    let told = format!("error: no peer could be reached: {tried}{advice}");
    assert!(peers.stderr.ends_with(&told), "{}", peers.stderr);
    let mempool = program().run(&[&["mempool"][..], &connect].concat()).expect_code(3);
    assert!(mempool.stderr.ends_with(&format!("could be used: {tried}{advice}")));
    let tx = "a".repeat(64);
    let tx = program().run(&[&["tx", &tx][..], &connect].concat()).expect_code(3);
    assert!(tx.stderr.ends_with(&format!("could be used: {tried}{advice}")), "{}", tx.stderr);
    let ping = program().run(&["ping", &address]).expect_code(3);
    let tried = format!("{address}: hung up during the handshake: ");
    let advice = "check the address, and that it belongs to a regtest peer\n";
    assert_eq!(ping.stderr, format!("error: {tried}{advice}"));
}

#[test]
fn every_command_with_add_peer_dials_that_peer() {
    let address = somebody_who_says(b"");
    let txid = "a".repeat(64);
    for command in [&["sync"][..], &["tx", &txid], &["mempool", "--timeout", "20"]] {
        let ended = program().run(&[command, &["--add-peer", &address]].concat()).expect_code(3);
        let tried = format!("{address} (hung up during the handshake)");
        assert!(ended.stderr.contains(&tried), "{command:?}: {}", ended.stderr);
    }
}

#[test]
fn a_web_server_is_recognised() {
    let address = somebody_who_says(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let ended = program().run(&["ping", &address]).expect_code(3);
    let told = "answers HTTP, not Bitcoin's protocol";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn a_login_page_does_not_spoil_the_addresses_for_the_next_run() {
    const PEERS: u8 = 6;
    let addresses: Vec<IpAddr> =
        (1..=PEERS).map(|at| Ipv4Addr::new(127, 77, at, 9).into()).collect();
    let dialled = Arc::new(AtomicUsize::new(0));
    for address in &addresses {
        let listener = TcpListener::bind((*address, 18444)).expect("a free address");
        let dialled = Arc::clone(&dialled);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                dialled.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n").ok();
                // Until the client hangs up: what is unread would reset the connection.
                io::copy(&mut stream, &mut io::sink()).ok();
            }
        });
    }
    let dns = Zones::default().with("x9.dummySeed.invalid", addresses).serve();
    let program = program().env("LIGHTCLIENT_DNS_SERVER", dns.address().to_string());
    for run in 1..=2 {
        let started = Instant::now();
        let ended = program.run(&["sync"]).expect_code(3);
        let told = "error: no peer could be used: 6 answered HTTP: a login page or a proxy?; ";
        assert!(ended.stderr.contains(told), "run {run}: {}", ended.stderr);
        assert_eq!(dialled.load(Ordering::SeqCst), run * usize::from(PEERS), "run {run}");
        println!("run {run}: {:?}", started.elapsed());
    }
}

#[test]
fn an_interrupted_sync_blames_no_peer() {
    let mute = Script::honest().opening(Opening::Mute).start(&any_chain());
    // Its folder lives as long as it does.
    let program = program();
    let mut running = program.start(&sync_with(&[&mute], &[]));
    // Before it connects, it may not catch the signal yet.
    mute.record()
        .wait_for("a connection", PATIENCE, |seen| (seen.connections.len() == 1).then_some(()));
    // As long as it takes to be called late by who does not interrupt.
    thread::sleep(Duration::from_millis(1200));
    running.interrupt();
    let ended = running.wait(PATIENCE).expect_code(130);
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout.contains("no peer used, interrupted"), "{}", ended.stdout);
}
