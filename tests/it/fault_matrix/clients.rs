//! `serve` with clients that misbehave: over HTTP, and as peers.

use super::BINARY;
use super::page::{Cell, Row, Table};
use crate::support::chain::{now, regtest_chain_until};
use crate::support::client::RawClient;
use crate::support::measure::peak_memory;
use crate::support::peer::ScriptedPeer;
use crate::support::script::Script;
use crate::support::serve::Serving;
use crate::support::served::SharedChain;
use crate::support::wait::PATIENCE;
use crate::support::web_clients::WebClient;
use lightclient::chain::params;
use lightclient::primitives::{BlockHash, Header, Network};
use serde_json::json;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const REGTEST: Network = Network::Regtest;
const HEIGHT: u32 = 2_500;

/// A server that has caught up with a peer.
struct Server {
    serving: Serving,
    headers: Vec<Header>,
    _peer: ScriptedPeer,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let headers = regtest_chain_until(HEIGHT, 1, 600, now() - 900);
        let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
        let serving = Serving::start(BINARY, peer.address(), more);
        serving.running.wait_for_stderr("caught up at height 2,500: following", PATIENCE);
        Self { serving, headers, _peer: peer }
    }

    fn peak(&self) -> Cell {
        Cell::Memory(peak_memory(self.serving.running.id()).expect("it runs"))
    }

    /// Ends the server, and returns how long that took.
    fn end(mut self) -> Cell {
        let asked = Instant::now();
        self.serving.running.terminate();
        self.serving.running.wait(PATIENCE).expect_code(143);
        Cell::Time(asked.elapsed())
    }
}

pub(super) fn over_http() -> Table {
    Table {
        title: "Clients of `serve`",
        text: "What a client is answered, and in what time the next client is answered while the connections of the first one \
               are still open; then how long the server takes to end.",
        columns: &[
            "client",
            "what it does",
            "is answered",
            "the next client in",
            "memory",
            "ends in",
        ],
        jobs: WebClient::ALL.iter().map(|client| Box::new(|| web(client)) as _).collect(),
    }
}

fn web(client: &WebClient) -> Row {
    let server = Server::start(&[]);
    let acted = client.act(&server.serving.rpc);
    let began = Instant::now();
    let height = server.serving.call("getblockcount", json!([]));
    let others = began.elapsed();
    assert_eq!(height, HEIGHT, "{}", client.name);
    let peak = server.peak();
    let ends = server.end();
    drop(acted.held);
    let (does, answer) = (Cell::Text(client.does.to_owned()), Cell::Text(acted.answer));
    Row { name: client.name, cells: vec![does, answer, Cell::Time(others), peak, ends] }
}

/// A name, a description, and what a peer does; the connections stay open.
type Inbound = (&'static str, &'static str, fn(SocketAddr, &[Header]) -> Vec<TcpStream>);

const INBOUND: [Inbound; 6] = [
    ("idle", "Opens 1,000 connections, and sends nothing.", |address, _| {
        (0..1_000).filter_map(|_| TcpStream::connect(address).ok()).collect()
    }),
    ("garbage", "Sends 4 KiB that are no message.", |address, _| said(address, &[0xa5; 4096])),
    ("http", "Sends a request of HTTP.", |address, _| said(address, b"GET / HTTP/1.1\r\n\r\n")),
    ("oversized", "Begins a `version` of 4 GiB.", |address, _| {
        let magic = params(REGTEST).magic;
        said(address, &[&magic, &b"version\0\0\0\0\0"[..], &[0xff; 4], &[0; 4]].concat())
    }),
    ("other-network", "Sends a message of mainnet.", |address, _| {
        let magic = params(Network::Mainnet).magic;
        said(
            address,
            &[&magic, &b"verack\0\0\0\0\0\0"[..], &[0; 4], &[0x5d, 0xf6, 0xe0, 0xe2]].concat(),
        )
    }),
    (
        "reads-nothing",
        "Requests 2,000 headers 200 times on each of 5 connections, and reads no answer.",
        |address, headers| {
            let mut clients: Vec<RawClient> =
                (0..5).map(|_| RawClient::shake_hands(address, REGTEST).0).collect();
            for client in &mut clients {
                (0..200).for_each(|_| client.ask(headers[0].hash(), BlockHash::ZERO));
            }
            clients.into_iter().map(RawClient::into_stream).collect()
        },
    ),
];

fn said(address: SocketAddr, bytes: &[u8]) -> Vec<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(bytes).expect("it is taken");
    vec![stream]
}

pub(super) fn inbound() -> Table {
    Table {
        title: "Peers that connect to `serve --listen`",
        text: "In what time another peer, from another address, downloads all headers while the connections of the first one are still open.",
        columns: &["peer", "what it does", "another has all headers in", "memory", "ends in"],
        jobs: INBOUND.into_iter().map(|peer| Box::new(move || as_peer(peer)) as _).collect(),
    }
}

fn as_peer((name, does, act): Inbound) -> Row {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let said = server.serving.running.wait_for_stdout("listening for peers on ", PATIENCE);
    let (_, rest) = said.split_once("listening for peers on ").expect("it was waited for");
    let address = rest.split_whitespace().next().expect("an address follows");
    let address = address.parse().expect("an address follows");
    let held = act(address, &server.headers);
    let began = Instant::now();
    // One address gets a quarter of the places.
    let elsewhere = Ipv4Addr::new(127, 91, 0, 1);
    let mut client = RawClient::shake_hands_from(elsewhere, address, REGTEST);
    client.set_patience(Duration::from_secs(60));
    assert!(client.download(params(REGTEST).genesis) == server.headers, "{name}");
    let took = Cell::Time(began.elapsed());
    let peak = server.peak();
    let ends = server.end();
    drop(held);
    Row { name, cells: vec![Cell::Text(does.to_owned()), took, peak, ends] }
}
