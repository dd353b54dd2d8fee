//! `serve` and programs of others that are made for Bitcoin Core.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::other;
use crate::support::serve::Serving;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::hex;
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// A bitcoind, and a server that has caught up with it.
fn both(what: &str, blocks: u32) -> Option<(Bitcoind, Serving, PathBuf)> {
    let binary = or_skip_loudly(what)?;
    let node = Bitcoind::start::<&str>(&binary, &[]);
    let blocks = node.generate(blocks);
    let serving = Serving::start(BINARY, node.p2p(), &[]);
    serving.wait_for_tip(blocks.last().unwrap());
    Some((node, serving, binary))
}

/// The folder with the programs of `.ci/install-python-clients`.
fn python_clients() -> Option<PathBuf> {
    let ots = other::or_skip_loudly("OTS", "ots", "Python programs against serve")?;
    Some(ots.parent().unwrap().to_owned())
}

fn run<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn bitcoin_cli_works() {
    let Some((node, serving, binary)) = both("bitcoin-cli against serve", 30) else { return };
    let cli = binary.with_file_name("bitcoin-cli");
    let cookie = serving.program.data_dir().join("regtest/.cookie");
    let port = serving.rpc.address.port();
    let common = [
        "-regtest".to_owned(),
        format!("-datadir={}", node.dir().display()),
        format!("-rpcport={port}"),
        format!("-rpccookiefile={}", cookie.display()),
    ];
    let ask = |args: &[&str]| {
        let args: Vec<&str> =
            common.iter().map(String::as_str).chain(args.iter().copied()).collect();
        run(&cli, &args)
    };
    assert_eq!(succeeded(&ask(&["getblockcount"])).trim(), "30");
    assert_eq!(succeeded(&ask(&["-rpcwait", "getblockcount"])).trim(), "30");
    let hash = succeeded(&ask(&["-named", "getblockhash", "height=7"]));
    assert_eq!(hash.trim(), node.rpc("getblockhash", json!([7])));
    let header = succeeded(&ask(&["getblockheader", hash.trim(), "false"]));
    assert_eq!(header.trim().len(), 160);
    let out_of_range = ask(&["getblockhash", "31"]);
    assert_eq!(out_of_range.status.code(), Some(8));
    let wallet = ask(&["getbalance"]);
    assert_eq!(wallet.status.code(), Some(89), "the exit code is -32601 modulo 256");
    assert!(String::from_utf8_lossy(&wallet.stderr).contains("needs a wallet"));
}

#[test]
fn a_timestamp_of_opentimestamps_verifies_against_serve_alone() {
    let Some(bin) = python_clients() else { return };
    let Some((node, serving, _)) = both("ots against serve", 12) else { return };
    let block = node.rpc("getblock", json!([node.rpc("getblockhash", json!([9])), 2]));
    let coinbase = block["tx"][0]["hex"].as_str().unwrap();
    let coinbase: bitcoin::Transaction =
        bitcoin::consensus::deserialize(&hex::decode(coinbase).unwrap()).unwrap();
    // A txid leaves the witness out.
    let mut stripped = coinbase;
    stripped.input.iter_mut().for_each(|input| input.witness.clear());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coinbase");
    fs::write(&file, bitcoin::consensus::serialize(&stripped)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/make_ots.py");
    succeeded(&run(&bin.join("python"), &[script.as_os_str(), file.as_os_str(), OsStr::new("9")]));
    // The server alone has to do.
    drop(node);
    let url = format!("http://{}@{}", serving.rpc.credentials, serving.rpc.address);
    let stamp = folder.path().join("coinbase.ots");
    let verify = || {
        let args = ["--btc-regtest", "--no-default-whitelist", "--bitcoin-node", &url, "verify"];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).chain([stamp.as_os_str()]).collect();
        run(&bin.join("ots"), &args)
    };
    let verified = verify();
    let said = succeeded(&verified);
    assert!(said.contains("Success! Bitcoin block 9 attests"), "{said}");
    fs::write(&file, "something else").unwrap();
    let changed = verify();
    assert!(!changed.status.success());
}

#[test]
fn python_bitcoinlib_works() {
    let Some(bin) = python_clients() else { return };
    let Some((_node, serving, _)) = both("python-bitcoinlib against serve", 12) else { return };
    let url = format!("http://{}@{}", serving.rpc.credentials, serving.rpc.address);
    let script = format!(
        "import bitcoin, bitcoin.rpc\n\
         bitcoin.SelectParams('regtest')\n\
         proxy = bitcoin.rpc.Proxy(service_url='{url}')\n\
         assert proxy.getblockcount() == 12\n\
         hash = proxy.getblockhash(5)\n\
         header = proxy.getblockheader(hash)\n\
         assert header.GetHash() == hash\n\
         assert proxy.getbestblockhash() == proxy.getblockhash(12)\n\
         assert proxy.call('getblockchaininfo')['chain'] == 'regtest'\n\
         try:\n    proxy.getblockhash(13)\n    raise SystemExit(1)\nexcept IndexError:\n    pass\n"
    );
    succeeded(&run(&bin.join("python"), &["-c", &script]));
}

/// ElectrumX indexes all blocks, and only then ends, since a header node has no memory pool to ask for.
#[test]
fn electrumx_indexes_all_blocks_and_then_asks_for_a_memory_pool() {
    let Some(bin) = python_clients() else { return };
    let Some((_node, serving, _)) = both("ElectrumX against serve", 12) else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let url = format!("http://{}@{}", serving.rpc.credentials, serving.rpc.address);
    let mut electrumx = Command::new(bin.join("electrumx_server"))
        .env("DB_DIRECTORY", folder.path())
        .env("DAEMON_URL", url)
        .envs([("COIN", "Bitcoin"), ("NET", "regtest"), ("SERVICES", ""), ("REPORT_SERVICES", "")])
        .envs([("PEER_DISCOVERY", "off"), ("ALLOW_ROOT", "1")])
        .stdout(fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    poll_for("the end of ElectrumX", PATIENCE, || electrumx.try_wait().unwrap());
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("synced to height 12"), "{said}");
    assert!(said.contains("getrawmempool needs a memory pool"), "{said}");
}

/// bitcoincore-rpc, corepc-client and lightning-block-sync over RPC and REST.
#[test]
fn crates_that_are_made_for_bitcoin_core_work() {
    let what = "Rust programs against serve";
    let Some(clients) = other::or_skip_loudly("RUST_CLIENTS", "rust-clients", what) else { return };
    let Some((node, serving, _)) = both(what, 12) else { return };
    let address = serving.rpc.address.to_string();
    let tips = succeeded(&run(&clients, &[&address, &serving.rpc.credentials]));
    let tip = node.rpc("getbestblockhash", json!([]));
    let tips: Vec<&str> = tips.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(tips, [tip.as_str().unwrap(); 4]);
}
