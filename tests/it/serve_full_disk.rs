//! `serve` on a disk that becomes full, and has free space again later.

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::disk::{Disk, skip};
use crate::support::run::Program;
use crate::support::serve::Serving;
use crate::support::sync::on_network;
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// The disk's size in KiB.
const SIZE: u32 = 24 << 10;

#[test]
fn a_server_whose_disk_is_full_answers_and_goes_on_once_there_is_free_space() {
    let Some(binary) = or_skip_loudly("serve on a full disk") else { return };
    let disk = match Disk::tmpfs(SIZE) {
        Ok(disk) => disk,
        Err(reason) => return skip(&format!("serve on a full disk (root, tmpfs): {reason}")),
    };
    let node = Bitcoind::start(&binary, &["-connect=0", "-listen=1"]);
    node.generate(300);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = port.local_addr().expect("an address").to_string();
    drop(port);
    let program = on_network(Program::at(BINARY, disk.folder()), Network::Regtest);
    // It listens here again after it has started again.
    let serving = Serving::start_in(program, node.p2p(), &["--rpc-bind", &address]);
    serving.wait_for_height(300);
    let filler = disk.folder().with_file_name("filler");
    fill(&filler);
    poll_for("a change that finds no room", PATIENCE, || {
        node.generate(50);
        let (head, body) = serving.rpc.get("/readyz").expect("an answer");
        (head.contains(" 503 ") && body.contains("the disk is full")).then_some(())
    });
    let height = serving.call("getblockcount", json!([])).as_u64().expect("a height");
    assert!(height >= 300 && height < node.height(), "{height}");
    for at in 0..=height {
        let hash = serving.call("getblockhash", json!([at]));
        assert_eq!(hash, node.rpc("getblockhash", json!([at])));
        let header = serving.call("getblockheader", json!([hash, false]));
        assert_eq!(header, node.rpc("getblockheader", json!([hash, false])), "{at}");
    }
    let info = serving.call("getblockchaininfo", json!([]));
    assert!(info["warnings"].to_string().contains("the disk is full"), "{info}");

    fs::remove_file(&filler).expect("the filler");
    let cookie = serving.program.data_dir().join("regtest/.cookie");
    let mut rpc = serving.rpc.clone();
    rpc.address = address.parse().expect("an address");
    poll_for("the node's tip", PATIENCE, || {
        rpc.credentials = fs::read_to_string(&cookie).ok()?;
        let count = rpc.call("getblockcount", &json!([])).ok()?;
        (count == node.height()).then_some(())
    });
    serving.end().expect_code(143);
}

/// Writes a file that takes all free space.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    let full = io::copy(&mut io::repeat(1).take(1 << 30), &mut file);
    assert_eq!(full.expect_err("the disk is small").kind(), io::ErrorKind::StorageFull);
}
