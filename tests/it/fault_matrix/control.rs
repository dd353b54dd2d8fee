//! The control socket: clients of a running sync, and servers that a reading command meets.

use super::BINARY;
use super::page::{Cell, Job, Row, Table};
use super::said::said;
use crate::support::chain::{now, regtest_chain_until};
use crate::support::measure::{UsageWatch, peak_memory};
use crate::support::run::Program;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{light_client, sync_with};
use crate::support::wait::PATIENCE;
use lightclient::chain::params;
use lightclient::primitives::Network;
use lightclient::store::SledStore;
use lightclient::testing::{MAX_CLIENTS, MAX_WAITING};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const REGTEST: Network = Network::Regtest;
const SOCKET: &str = "regtest/control.sock";

/// A name, a description, and what a client sends over each of so many connections, which stay open.
type Client = (&'static str, &'static str, u32, fn() -> Vec<u8>);

const CLIENTS: [Client; 6] = [
    ("silent", "Takes every place, and sends nothing.", MAX_CLIENTS, Vec::new),
    ("crowd", "Opens more connections than may wait.", MAX_CLIENTS + MAX_WAITING + 10, Vec::new),
    ("nonsense", "Sends a line that is no request.", 1, || b"nonsense\n".to_vec()),
    ("endless-line", "Sends 1 MB without the end of a line.", 1, || vec![b'x'; 1_000_000]),
    ("deep-json", "Sends 2,000 arrays in one another.", 1, || [&[b'['; 2_000][..], b"\n"].concat()),
    (
        "reads-nothing",
        "Requests 2,000 headers 1,000 times on each of 15 connections, and reads nothing.",
        MAX_CLIENTS - 1,
        || b"{\"ask\":\"run\",\"from\":0,\"count\":4294967295}\n".repeat(1_000),
    ),
];

pub(super) fn clients() -> Table {
    Table {
        title: "Clients of the control socket",
        text: "Clients of the socket of a `sync --follow`: what the client is answered, and in what time `query tip` has its \
               answer while the client's connections are still open; then how long the sync takes to end.",
        columns: &["client", "what it does", "is answered", "`query tip` in", "memory", "ends in"],
        jobs: CLIENTS.into_iter().map(|one| Box::new(move || client(one)) as Job).collect(),
    }
}

fn client((name, does, count, sends): Client) -> Row {
    let headers = regtest_chain_until(2_500, 1, 600, now() - 900);
    let peer = Script::honest().start(&SharedChain::new(REGTEST, &headers));
    let program = light_client(BINARY, REGTEST);
    let mut running = program.start(&sync_with(&[&peer], &["--follow", "-v"]));
    running.wait_for_stderr("caught up at height 2,500: following", PATIENCE);
    let socket = program.data_dir().join(SOCKET);
    let held: Vec<UnixStream> = (0..count).map(|_| send(&socket, &sends())).collect();
    let answer = if count == 1 { answer(&held[0]) } else { String::new() };
    let query = program.run(&["query", "tip", "--json"]).expect_success();
    assert_eq!(query.json()["height"], 2_500, "{name}");
    let peak = peak_memory(running.id()).expect("it runs");
    let asked = Instant::now();
    running.interrupt();
    running.wait(PATIENCE).expect_code(130);
    let ends = Cell::Time(asked.elapsed());
    drop(held);
    let cells = vec![
        Cell::Text(does.to_owned()),
        Cell::Text(answer),
        Cell::Time(query.elapsed),
        Cell::Memory(peak),
        ends,
    ];
    Row { name, cells }
}

fn send(socket: &Path, bytes: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("somebody listens");
    stream.set_nonblocking(true).expect("a socket");
    // It may take no more, or be closed.
    stream.write_all(bytes).ok();
    stream.set_nonblocking(false).expect("a socket");
    stream
}

fn answer(stream: &UnixStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
    let mut reply = String::new();
    match BufReader::new(stream).read_line(&mut reply) {
        Ok(1..) => reply.trim().to_owned(),
        _ => "closes the connection".to_owned(),
    }
}

/// A name, a description, and what a server says to each client before it closes the connection, if it says anything.
type Server = (&'static str, &'static str, Option<fn() -> Vec<u8>>);

const SERVERS: [Server; 5] = [
    ("silent", "Never answers.", None),
    ("closes", "Closes the connection.", Some(Vec::new)),
    ("nonsense", "Answers a line that is no reply.", Some(|| b"nonsense\n".to_vec())),
    ("endless-line", "Answers 100 MB without the end of a line.", Some(|| vec![b'x'; 100_000_000])),
    (
        "other-network",
        "Has another network's chain.",
        Some(|| b"{\"reply\":\"hello\",\"protocol\":1,\"network\":\"mainnet\"}\n".to_vec()),
    ),
];

pub(super) fn servers() -> Table {
    Table {
        title: "Servers of the control socket",
        text: "`query tip` where a process has the folder open and answers so.",
        columns: &["server", "what it does", "says", "exit code", "in", "memory"],
        jobs: SERVERS.into_iter().map(|one| Box::new(move || server(one)) as Job).collect(),
    }
}

fn server((name, does, says): Server) -> Row {
    let program = light_client(BINARY, REGTEST);
    let folder = program.data_dir().join(REGTEST.name());
    let _store = SledStore::open(&folder, params(REGTEST)).expect("a store");
    let listener = UnixListener::bind(program.data_dir().join(SOCKET)).expect("a socket");
    if let Some(says) = says {
        thread::spawn(move || {
            for client in listener.incoming() {
                // The client may leave at any time.
                client.and_then(|client| greet(client, &says())).ok();
            }
        });
        return asked(&program, name, does);
    }
    let row = asked(&program, name, does);
    drop(listener);
    row
}

/// Reads a client's first request, and answers with these bytes.
fn greet(mut client: UnixStream, says: &[u8]) -> io::Result<()> {
    BufReader::new(&client).read_line(&mut String::new())?;
    client.write_all(says)
}

fn asked(program: &Program, name: &'static str, does: &str) -> Row {
    let running = program.start(&["query", "tip"]);
    let watch = UsageWatch::start(running.id());
    let ended = running.wait(PATIENCE);
    let peak = watch.stop().0;
    let folder = program.data_dir().display().to_string();
    let me = std::process::id().to_string();
    let cells = vec![
        Cell::Text(does.to_owned()),
        Cell::Text(said(&ended.stderr, &[(&folder, "FOLDER"), (&me, "PROCESS")])),
        Cell::Text(ended.code.expect("no signal").to_string()),
        Cell::Time(ended.elapsed),
        Cell::Memory(peak),
    ];
    Row { name, cells }
}
