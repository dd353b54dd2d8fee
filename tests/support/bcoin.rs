//! A real bcoin on regtest: a node that sends no `headers` at all when nothing follows a locator.

use super::other;
use super::rpc::RpcClient;
use super::wait::{PATIENCE, poll_for};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A regtest address of bcoin: pay-to-pubkey-hash with 20 zero bytes. Nobody can spend coins that are mined to it.
const NOBODY: &str = "R9HC5WtHbpoa51NCUAz86XLCmGTbkf45NT";

/// How many blocks one call mines at most. A call has to be answered within a minute.
const BLOCKS_PER_CALL: u32 = 250;

/// Returns the bcoin to use. Without one, prints what is skipped and returns `None`.
///
/// # Panics
/// If there is none and `CI` is `true`.
pub fn or_skip_loudly(what: &str) -> Option<PathBuf> {
    other::or_skip_loudly("BCOIND", "bcoin", what)
}

/// A running bcoin, which keeps its chain in memory, and is killed when dropped.
#[derive(Debug)]
pub struct Bcoin {
    child: Child,
    client: RpcClient,
    p2p: SocketAddr,
    _dir: TempDir,
}

impl Bcoin {
    /// Starts bcoin.
    ///
    /// # Panics
    /// If bcoin does not answer and listen in time.
    pub fn start(binary: &Path) -> Self {
        // Another process may take a port between our finding it free and bcoin's binding it.
        (0..3).find_map(|_| Self::launch(binary)).expect("bcoin ended at once")
    }

    fn launch(binary: &Path) -> Option<Self> {
        let dir = TempDir::with_prefix("bcoin-").expect("a folder for temporary files");
        let [p2p, rpc, nobody] = free_addresses();
        let mut child = Command::new(binary)
            .args(["--network=regtest", "--memory=true", "--no-wallet=true", "--workers=false"])
            .args(["--log-file=false", "--log-console=false", "--listen=true", "--api-key=key"])
            // With the address of one peer, which does not exist, bcoin looks for no other peers and sends no DNS
            // queries.
            .arg(format!("--only={nobody}"))
            .arg(format!("--prefix={}", dir.path().display()))
            .args([format!("--host={}", p2p.ip()), format!("--port={}", p2p.port())])
            .args([format!("--http-host={}", rpc.ip()), format!("--http-port={}", rpc.port())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let client = RpcClient { address: rpc, credentials: "x:key".to_owned() };
        let ready = poll_for("bcoin", PATIENCE, || {
            if child.try_wait().expect("a child can be waited for").is_some() {
                return Some(false);
            }
            let answers = client.call("getblockcount", &json!([])).is_ok();
            (answers && TcpStream::connect(p2p).is_ok()).then_some(true)
        });
        ready.then_some(Self { child, client, p2p, _dir: dir })
    }

    /// Returns bcoin's P2P address.
    pub fn p2p(&self) -> SocketAddr {
        self.p2p
    }

    /// Calls a method.
    ///
    /// # Panics
    /// If the call is refused or not answered.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!([...]) in place")]
    pub fn rpc(&self, method: &str, params: Value) -> Value {
        self.client.call(method, &params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Mines `count` blocks on top of bcoin's chain, and returns their hashes.
    pub fn generate(&self, count: u32) -> Vec<String> {
        let mut hashes: Vec<String> = Vec::new();
        while let Some(left) = count.checked_sub(to_u32(hashes.len())).filter(|left| *left > 0) {
            let mined = self.rpc("generatetoaddress", json!([left.min(BLOCKS_PER_CALL), NOBODY]));
            hashes.extend(serde_json::from_value::<Vec<String>>(mined).expect("hashes"));
        }
        hashes
    }
}

impl Drop for Bcoin {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns three free loopback ports. All are bound at the same time, so that they differ.
fn free_addresses() -> [SocketAddr; 3] {
    let bind = |()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners: [TcpListener; 3] = [(); 3].map(bind);
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address"))
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).expect("no test mines 2^32 blocks")
}
