//! A real bitcoind on regtest, to compare with.

use super::other;
use super::rpc::{RpcClient, RpcError};
use super::wait::{PATIENCE, poll_for};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Returns the bitcoind to use. Without one, prints what is skipped and returns `None`.
///
/// # Panics
/// If there is none and `CI` is `true`.
pub fn or_skip_loudly(what: &str) -> Option<PathBuf> {
    other::or_skip_loudly("BITCOIND", "bitcoind", what)
}

/// A running bitcoind. Dropping it stops the process, and removes the data folder if [`Bitcoind::start`] made it.
#[derive(Debug)]
pub struct Bitcoind {
    child: Child,
    client: RpcClient,
    p2p: SocketAddr,
    dir: PathBuf,
    temporary: Option<TempDir>,
}

impl Bitcoind {
    /// Starts a bitcoind in a new folder, with further arguments. The node looks for no peers.
    ///
    /// # Panics
    /// If the node does not answer within [`PATIENCE`].
    pub fn start<S: AsRef<OsStr>>(binary: &Path, args: &[S]) -> Self {
        let temporary = TempDir::with_prefix("bitcoind-").expect("a folder for temporary files");
        let mut node = Self::start_in(binary, temporary.path(), args);
        node.temporary = Some(temporary);
        node
    }

    /// Starts a bitcoind in a folder, which is made if it does not exist, and may have data of an earlier node.
    ///
    /// # Panics
    /// If the node does not answer within [`PATIENCE`].
    pub fn start_in<S: AsRef<OsStr>>(binary: &Path, dir: &Path, args: &[S]) -> Self {
        fs::create_dir_all(dir).expect("the folder can be made");
        // Another process may take a port between our finding it free and bitcoind's binding it.
        (0..3).find_map(|_| Self::launch(binary, dir, args)).unwrap_or_else(|| {
            let log = fs::read_to_string(dir.join("regtest/debug.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            panic!("bitcoind ended at once; its log, last line first:\n{}", tail.join("\n"))
        })
    }

    fn launch<S: AsRef<OsStr>>(binary: &Path, dir: &Path, args: &[S]) -> Option<Self> {
        let [p2p, rpc] = free_addresses();
        // The cookie of an earlier run would be mistaken for the cookie of this run.
        fs::remove_file(cookie_path(dir)).ok();
        let mut child = Command::new(binary)
            .arg("-regtest")
            .arg(format!("-datadir={}", dir.display()))
            .arg(format!("-bind={p2p}"))
            .arg(format!("-rpcbind={rpc}"))
            .arg(format!("-rpcport={}", rpc.port()))
            .args(["-server", "-rpcallowip=127.0.0.1", "-printtoconsole=0", "-dnsseed=0"])
            .args(["-fixedseeds=0", "-discover=0", "-listenonion=0", "-natpmp=0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let client = poll_for("bitcoind's RPC", PATIENCE, || {
            if child.try_wait().expect("a child can be waited for").is_some() {
                return Some(None);
            }
            ready_client(rpc, dir).map(Some)
        })?;
        Some(Self { child, client, p2p, dir: dir.to_owned(), temporary: None })
    }

    /// Returns the node's P2P address.
    pub fn p2p(&self) -> SocketAddr {
        self.p2p
    }

    /// Returns a client of the node's RPC.
    pub fn client(&self) -> &RpcClient {
        &self.client
    }

    /// Returns the number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the node's data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Calls a method. [`Bitcoind::try_rpc`] returns errors instead of panicking.
    ///
    /// # Panics
    /// If the call is refused or not answered.
    #[track_caller]
    pub fn rpc(&self, method: &str, params: Value) -> Value {
        match self.try_rpc(method, params) {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// The call was refused, or not answered.
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!([...]) in place")]
    pub fn try_rpc(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.client.call(method, &params)
    }

    /// Mines blocks on top of the node's chain, and returns their hashes. The node needs no wallet.
    pub fn generate(&self, count: u32) -> Vec<String> {
        // Anyone can spend these coins. The tests do not.
        self.generate_to(count, "raw(51)")
    }

    /// Mines like [`Bitcoind::generate`], to a descriptor. Different descriptors make different blocks even at the same
    /// time.
    pub fn generate_to(&self, count: u32, descriptor: &str) -> Vec<String> {
        let hashes = self.rpc("generatetodescriptor", json!([count, descriptor]));
        serde_json::from_value(hashes).expect("an array of hashes")
    }

    /// Returns the height of the node's chain of complete blocks.
    pub fn height(&self) -> u64 {
        self.rpc("getblockcount", json!([])).as_u64().expect("a number")
    }

    /// Sends SIGKILL, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Stops the node, and waits until it has written everything and ended.
    ///
    /// # Panics
    /// If the node does not end within `patience`.
    pub fn stop(mut self, patience: Duration) {
        self.rpc("stop", json!([]));
        poll_for("bitcoind's end", patience, || self.child.try_wait().expect("a child"));
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // The node is asked to stop first, because a killed bitcoind leaves a lock file, which matters if the folder
        // is kept.
        let asked = self.client.call("stop", &json!([])).is_ok();
        let deadline = Instant::now() + Duration::from_secs(if asked { 20 } else { 0 });
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns two free loopback ports. Both are bound at the same time, so that they differ.
fn free_addresses() -> [SocketAddr; 2] {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners: [TcpListener; 2] = [(), ()].map(bind);
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address"))
}

fn cookie_path(dir: &Path) -> PathBuf {
    dir.join("regtest").join(".cookie")
}

/// Returns a client once the bitcoind has written its cookie and has started.
fn ready_client(address: SocketAddr, dir: &Path) -> Option<RpcClient> {
    let credentials = fs::read_to_string(cookie_path(dir)).ok()?;
    let client = RpcClient { address, credentials };
    client.call("getblockchaininfo", &json!([])).is_ok().then_some(client)
}
