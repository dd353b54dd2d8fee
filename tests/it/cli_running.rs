//! Reading while another process has the data folder open: through its control socket, or not at all.

use crate::support::chain::{fork_chain, mainnet_start, regtest_chain};
use crate::support::run::Program;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::chain::{Hints, params};
use lightclient::primitives::{Header, Network};
use lightclient::store::SledStore;
use lightclient::testing::Clock;
use lightclient::testing::Live;
use lightclient::testing::Phase;
use lightclient::testing::{ControlListener, MAX_CLIENTS, MAX_WAITING, serve};
use lightclient::testing::{ImportOptions, Importer};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A process that has a folder open and answers, played by the test.
struct Server {
    folder: PathBuf,
    store: Arc<SledStore>,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(data_dir: &Path, network: Network, headers: &[Header]) -> Self {
        let folder = data_dir.join(network.name());
        let store = Arc::new(SledStore::open(&folder, params(network)).expect("a store"));
        add(&store, headers);
        let runtime = Runtime::new().expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            ControlListener::bind(&folder, &store).expect("a socket")
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let live = Live { phase: Phase::Following, peers: 3, ..Live::default() };
        let (_, live) = watch::channel(live);
        let served = Arc::clone(&store);
        let task = runtime.spawn(serve(listener, served, "sync", live, async {
            drop(stopped.await);
        }));
        Self { folder, store, runtime, stop, task }
    }

    /// Stops answering, and closes the folder.
    fn end(self) {
        drop(self.stop);
        self.runtime.block_on(self.task).expect("serving does not panic");
        assert!(!self.folder.join("control.sock").exists());
        assert_eq!(Arc::strong_count(&self.store), 1, "nobody reads any more");
    }
}

fn add(store: &Arc<SledStore>, headers: &[Header]) {
    let hints = Hints::default();
    let options =
        ImportOptions { params: store.params(), hints, from: 0, to: None, clock: Clock::default() };
    let mut importer = Importer::new(Arc::clone(store), options).expect("a writer");
    for header in headers {
        let _ = importer.push(*header).expect("a good header");
    }
    importer.judge().expect("good headers");
    let _ = importer.finish().expect("a store");
}

fn program_in(folder: &Path) -> Program {
    Program::at(env!("CARGO_BIN_EXE_lightclient"), folder)
}

#[test]
fn every_reading_command_gives_the_same_through_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = program_in(folder.path());
    let commands: [&[&str]; 8] = [
        &["query", "tip", "--json"],
        &["query", "32256"],
        &["query", ".."],
        &["query", "0..", "--raw"],
        &["query", "--at", "2009-06-01", "--json"],
        &["query", "00000000693067b0e6b440bc51450b9f3850561b07f6d3c021c54fbd6abb9763"],
        &["export", "-", "--format", "csv"],
        &["export", "-", "--format", "hints"],
    ];
    let read = || commands.map(|args| program.run(args).expect_success().stdout);
    let server = Server::start(folder.path(), Network::Mainnet, &mainnet_start());
    let socket = folder.path().join("mainnet/control.sock");
    let mode = fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let through = read();
    let status = program.run(&["status"]).expect_success().stdout;
    assert!(status.contains("running        sync, following, 3 peers\n"), "{status}");
    let status = program.run(&["status", "--json"]).expect_success().json();
    assert_eq!(status["running"], true);
    assert!(status["last_sync"].is_u64(), "it is at the tip: {status}");
    // Another sync cannot start while this one runs.
    for (args, code) in [
        (&["query", "32260"][..], 6),
        (&["export", "-", "--format", "bin", "--to", "32260"], 6),
        (&["status", "--max-age", "1h"], 1),
    ] {
        let told = program.run(args).expect_code(code).stderr;
        assert!(told.contains("running in this folder will fetch newer headers"), "{told}");
    }
    server.end();
    for ((args, through), local) in commands.iter().zip(through).zip(read()) {
        assert!(through == local, "{args:?}");
    }
    assert_eq!(program.run(&["status", "--json"]).expect_success().json()["running"], false);
}

#[test]
fn side_branches_are_found_through_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = program_in(folder.path()).with("--regtest");
    let chain = regtest_chain(30, 1, 600);
    let server = Server::start(folder.path(), Network::Regtest, &chain);
    let fork = fork_chain(&chain, 20, 5, 2);
    add(&server.store, &fork[21..]);
    let hash = fork.last().expect("a header").hash().to_string();
    let read = || {
        let side = program.run(&["query", &hash, "--json"]).expect_success().json();
        let status = program.run(&["status", "--json"]).expect_success().json();
        (side, status["side_branches"].clone())
    };
    let (side, sides) = read();
    assert_eq!((&side["height"], &side["confirmations"]), (&25.into(), &(-1).into()));
    assert_eq!(sides[0]["hash"], hash);
    server.end();
    assert_eq!(read(), (side, sides));
}

#[test]
fn a_deep_folder_and_a_stale_socket_do_no_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = folder.path().join("a-folder-with-a-long-name/".repeat(8));
    fs::create_dir_all(deep.join("regtest")).expect("folders");
    drop(UnixListener::bind(folder.path().join("left.sock")).expect("a socket"));
    fs::rename(folder.path().join("left.sock"), deep.join("regtest/control.sock")).expect("moved");
    let program = program_in(&deep).with("--regtest");
    let server = Server::start(&deep, Network::Regtest, &regtest_chain(5, 1, 600));
    assert_eq!(program.run(&["query", "tip", "--json"]).expect_success().json()["height"], 5);
    server.end();
    // What a process that was killed leaves behind does not keep readers from the database.
    drop(UnixListener::bind(folder.path().join("left.sock")).expect("a socket"));
    fs::rename(folder.path().join("left.sock"), deep.join("regtest/control.sock")).expect("moved");
    assert_eq!(program.run(&["query", "tip", "--json"]).expect_success().json()["height"], 5);
}

#[test]
fn a_folder_in_use_by_a_process_that_does_not_answer_is_exit_code_4() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = program_in(folder.path());
    let path = folder.path().join("mainnet");
    let store = SledStore::open(&path, params(Network::Mainnet)).expect("a store");
    // It listens, but is too busy to answer.
    let silent = UnixListener::bind(path.join("control.sock")).expect("a socket");
    let started = Instant::now();
    let unanswered = program.start(&["query", "tip"]).wait(Duration::from_secs(30)).expect_code(4);
    assert!(unanswered.stderr.contains("does not answer (no answer in time)"));
    fs::remove_file(path.join("control.sock")).expect("the socket");
    drop(silent);
    let commands = [&["status"][..], &["verify"], &["import", "-", "--format", "bin"]];
    let running = commands.map(|args| program.start(args));
    for running in running {
        let refused = running.wait(Duration::from_secs(30)).expect_code(4);
        let me = format!("is in use by process {}", std::process::id());
        assert!(refused.stderr.contains(&me), "{}", refused.stderr);
        let lines: Vec<&str> = refused.stderr.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains("waiting for it"), "{}", refused.stderr);
    }
    assert!(started.elapsed() < Duration::from_secs(25));
    // A short use is waited for.
    let waiting = program.start(&["query", "0", "--json"]);
    std::thread::sleep(Duration::from_millis(500));
    drop(store);
    let found = waiting.wait(Duration::from_secs(30)).expect_success();
    assert_eq!(found.json()["height"], 0);
}

fn exchange(stream: &UnixStream, request: &str) -> String {
    let mut reply = String::new();
    // A server without a seat may be gone before it has read anything; what it said can be read still.
    let sent = { stream }.write_all(request.as_bytes());
    let read = BufReader::new(stream).read_line(&mut reply);
    assert!(sent.is_ok() && read.is_ok() || request.is_empty() || request.contains("hello"));
    reply
}

#[test]
fn bad_requests_and_many_clients_do_not_keep_others_from_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = program_in(folder.path()).with("--regtest");
    let server = Server::start(folder.path(), Network::Regtest, &regtest_chain(5, 1, 600));
    let connect = || {
        UnixStream::connect(folder.path().join("regtest/control.sock")).expect("somebody listens")
    };
    let stream = connect();
    assert!(exchange(&stream, "nonsense\n").contains("cannot be understood"));
    assert!(exchange(&stream, "{\"ask\":\"tip\"}\n").contains("\"height\":5"));
    let run = exchange(&stream, "{\"ask\":\"run\",\"from\":4,\"count\":4294967295}\n");
    assert!(run.contains("\"first_height\":4"), "{run}");
    let past = exchange(&stream, "{\"ask\":\"run\",\"from\":4294967295,\"count\":9}\n");
    assert!(past.contains("\"headers\":\"\""), "{past}");
    let endless = connect();
    assert!(exchange(&endless, &"x".repeat(5000)).contains("failed"));
    drop((stream, endless));
    // Those who left take a moment to be noticed.
    let seat = || {
        let stream = connect();
        exchange(&stream, "{\"ask\":\"hello\"}\n").contains("regtest").then_some(stream)
    };
    let crowd: Vec<UnixStream> =
        (0..MAX_CLIENTS).map(|_| poll_for("a seat", Duration::from_secs(10), seat)).collect();
    // Every place is taken by a client that says nothing, and stays.
    let found = program.start(&["query", "tip", "--json"]).wait(PATIENCE).expect_success();
    assert_eq!((found.json()["height"].as_u64(), found.stderr.as_str()), (Some(5), ""));
    drop(crowd);
    let crowd: Vec<UnixStream> = (0..MAX_CLIENTS + MAX_WAITING).map(|_| connect()).collect();
    assert!(exchange(&connect(), "").contains("busy"));
    let waiting = program.start(&["query", "tip", "--json"]);
    drop(crowd);
    assert_eq!(waiting.wait(PATIENCE).expect_success().json()["height"], 5);
    server.end();
}

#[test]
fn control_characters_in_a_folders_name_are_escaped() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("a\x1b[2Jb");
    let server = Server::start(&folder, Network::Regtest, &regtest_chain(5, 1, 600));
    let status = program_in(&folder).with("--regtest").run(&["status"]).expect_success();
    assert!(status.stdout.contains("a\\u001b[2Jb"), "{}", status.stdout);
    assert!(!status.stdout.contains('\x1b'), "{}", status.stdout);
    server.end();
}
