//! Commands that are printed as advice, pasted into a shell.

use crate::support::chain::{fixture, mainnet_start, regtest_chain};
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Program, command};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use lightclient::primitives::Network;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// The commands of this program between backquotes.
fn advised(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|part| part.starts_with("lightclient ")).map(str::to_owned).collect()
}

/// The only command that a text advises.
#[track_caller]
fn advice(text: &str) -> String {
    let mut commands = advised(text);
    assert_eq!(commands.len(), 1, "{text}");
    commands.remove(0)
}

/// Runs a command as a shell does, with the program where shells look for programs.
fn paste(line: &str) -> Output {
    let folder = Path::new(BINARY).parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell: Command = command(Path::new("sh"));
    shell.args(["-c", line]).env("PATH", path).output().expect("a shell")
}

#[track_caller]
fn assert_done(line: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

fn peer() -> ScriptedPeer {
    Script::honest().start(&SharedChain::new(Network::Regtest, &regtest_chain(300, 1, 600)))
}

/// A data folder whose name a shell would not leave alone.
fn folder_in(place: &Path) -> std::path::PathBuf {
    place.join("it's $HOME's")
}

#[test]
fn commands_that_find_nothing_stored_advise_a_sync_of_the_same_chain() {
    let (peer, txid) = (peer(), "ab".repeat(32));
    let address = peer.connect();
    for args in [
        &["query", "5"][..],
        &["status"],
        &["verify"],
        &["export", "x.bin"],
        &["block", "5", "--connect", &address],
        &["tx", &txid, "--block", "5", "--connect", &address],
        &["proof", "create", &txid, "--block", "5", "--connect", &address],
    ] {
        let place = tempfile::tempdir().expect("a folder");
        let program = Program::at(BINARY, folder_in(place.path())).with("--regtest");
        let missing = program.run(args).expect_code(6);
        let mut line = advice(&missing.stderr);
        assert!(line.starts_with("lightclient sync --regtest --data-dir '"), "{line}");
        // Advice goes to the same peers; a command that speaks to none can name none.
        if !args.contains(&"--connect") {
            line += &format!(" --connect {address}");
        }
        assert_done(&line, &paste(&line));
        let found = program.run(&["query", "5", "--json"]).expect_success();
        assert_eq!(found.json()["height"], 5, "{args:?}");
    }
}

#[test]
fn damage_advises_a_repair_and_the_repair_a_sync_of_the_same_chain() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = folder_in(place.path());
    let program = Program::at(BINARY, &folder).with("--mainnet");
    let headers = mainnet_start();
    let file = fixture("mainnet-0000000-0032259.bin");
    let file = file.to_str().expect("text");
    program.run(&["import", file, "--min-chain-work", "0"]).expect_success();
    let database = folder.join("mainnet/headers/db");
    let mut bytes = fs::read(&database).expect("the database");
    let root = headers[20_000].merkle_root.0;
    let places: Vec<usize> =
        (0..bytes.len() - 31).filter(|at| bytes[*at..][..32] == root).collect();
    assert!(!places.is_empty(), "the header is in there");
    places.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(&database, bytes).expect("a write");
    let refused = program.run(&["query", "20000"]).expect_code(5);
    let line = advice(&refused.stderr);
    assert!(line.starts_with("lightclient verify --repair --mainnet --data-dir '"), "{line}");
    let repaired = paste(&line);
    assert_done(&line, &repaired);
    let mut line = advice(&String::from_utf8_lossy(&repaired.stdout));
    let peer = Script::honest().start(&SharedChain::new(Network::Mainnet, &headers));
    line += &format!(" --min-chain-work 0 --connect {}", peer.connect());
    assert_done(&line, &paste(&line));
    assert_eq!(program.run(&["query", "tip", "--json"]).expect_success().json()["height"], 32_259);
}

#[test]
fn advice_on_an_incomplete_chain_names_the_network_from_the_environment() {
    let place = tempfile::tempdir().expect("a folder");
    let program = Program::at(BINARY, folder_in(place.path())).env("LIGHTCLIENT_NETWORK", "main");
    let file = fixture("mainnet-0000000-0032259.bin");
    let file = file.to_str().expect("text");
    let imported = program.run(&["import", file]).expect_code(1);
    let status = program.run(&["status"]).expect_success();
    let missing = program.run(&["query", "40000"]).expect_code(6);
    let stale = program.run(&["status", "--max-age", "1d"]).expect_code(1);
    for text in [&imported.stderr, &status.stdout, &missing.stderr, &stale.stderr] {
        let line = advice(text);
        assert!(line.starts_with("lightclient sync --mainnet --data-dir '"), "{line}");
        // The whole command line is understood, and the folder found: what is missing is a peer.
        let tried = paste(&format!("{line} --connect 127.0.0.1:1 --no-dns"));
        let said = String::from_utf8_lossy(&tried.stderr);
        assert_eq!(tried.status.code(), Some(3), "{line}: {said}");
    }
}

#[test]
fn advice_carries_the_challenge_of_a_signet_and_the_settings_file() {
    let place = tempfile::tempdir().expect("a folder");
    let config = place.path().join("my settings.toml");
    fs::write(&config, "signet-challenge = \"51\"\n").expect("a file");
    let config = config.to_str().expect("text");
    let program = Program::at(BINARY, place.path());
    let missing = program.run(&["status", "--config", config]).expect_code(6);
    let line = advice(&missing.stderr);
    assert!(line.starts_with("lightclient sync --signet-challenge 51 --data-dir /"), "{line}");
    assert!(line.ends_with("/my settings.toml'"), "{line}");
}
