//! A real bcoin on regtest: a node that sends no `headers` at all when nothing follows a locator.

use super::other;
use super::rpc::RpcClient;
use super::wait::{PATIENCE, poll_for};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A pay-to-pubkey-hash address of 20 zero bytes, as bcoin writes it on regtest: nobody spends what it mines here.
const NOBODY: &str = "R9HC5WtHbpoa51NCUAz86XLCmGTbkf45NT";

const BLOCKS_PER_CALL: u32 = 250;

/// The bcoin to use, or `None` after saying what is skipped without one.
///
/// # Panics
/// If there is none and `CI` is `true`.
pub fn or_skip_loudly(what: &str) -> Option<PathBuf> {
    other::or_skip_loudly("BCOIND", "bcoin", what)
}

/// A running bcoin, which keeps its chain in memory. It ends when dropped.
#[derive(Debug)]
pub struct Bcoin {
    child: Child,
    client: RpcClient,
    p2p: SocketAddr,
    _dir: TempDir,
}

impl Bcoin {
    /// Starts one.
    ///
    /// # Panics
    /// If it does not answer and listen in time.
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
            // With a peer of its own, which is not there, it looks for no others and asks no name server.
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

    /// Where it speaks the P2P protocol.
    pub fn p2p(&self) -> SocketAddr {
        self.p2p
    }

    /// Calls a method.
    ///
    /// # Panics
    /// If it is refused or not answered.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!([...]) in place")]
    pub fn rpc(&self, method: &str, params: Value) -> Value {
        self.client.call(method, &params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Mines so many blocks on top of its chain and gives their hashes.
    pub fn generate(&self, count: u32) -> Vec<String> {
        let mut hashes: Vec<String> = Vec::new();
        // It takes its time for each: not all in one call, which has to be answered within a minute.
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

/// Free loopback ports, kept apart by being bound at the same time.
fn free_addresses() -> [SocketAddr; 3] {
    let bind = |()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners: [TcpListener; 3] = [(); 3].map(bind);
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address"))
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).expect("no test mines 2^32 blocks")
}
