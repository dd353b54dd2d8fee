//! Runs `lightclient serve`, and calls its RPC.

use super::rpc::{RpcClient, RpcError};
use super::run::{Finished, Program, Running};
use super::sync::light_client;
use super::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;

/// A running server on regtest, and a client of its RPC.
#[derive(Debug)]
pub struct Serving {
    /// The program and its data folder.
    pub program: Program,
    /// The server's process.
    pub running: Running,
    /// The client that calls methods.
    pub rpc: RpcClient,
}

impl Serving {
    /// Starts a server on a free port, which connects to a peer.
    ///
    /// # Panics
    /// If it does not listen in time.
    pub fn start(binary: &str, peer: SocketAddr, more: &[&str]) -> Self {
        Self::start_in(light_client(binary, Network::Regtest), peer, more)
    }

    /// Starts a server as [`Serving::start`] does, in the data folder of a program.
    ///
    /// # Panics
    /// If it does not listen in time.
    pub fn start_in(program: Program, peer: SocketAddr, more: &[&str]) -> Self {
        let peer = peer.to_string();
        let args =
            [&["serve", "-v", "--rpc-bind", "127.0.0.1:0", "--connect", &peer], more].concat();
        let running = program.start(&args);
        let said = running.wait_for_stdout("listening on http://", PATIENCE);
        let said = poll_for("a whole line", PATIENCE, || {
            let text = running.wait_for_stdout("listening on http://", PATIENCE);
            text.contains('\n').then_some(text)
        }) + &said;
        let address = said.split("listening on http://").nth(1).expect("it was waited for");
        let address: SocketAddr =
            address.lines().next().expect("a line").trim().parse().expect("an address");
        let cookie = program.data_dir().join("regtest/.cookie");
        let credentials = fs::read_to_string(cookie).unwrap_or_default();
        Self { program, running, rpc: RpcClient { address, credentials } }
    }

    /// Waits until the chain that it serves has this tip.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn wait_for_tip(&self, hash: &str) {
        poll_for("the tip", PATIENCE, || {
            let tip = self.rpc.call("getbestblockhash", &Value::Null).ok()?;
            (tip == hash).then_some(())
        });
    }

    /// Waits until the chain that it serves has this height.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn wait_for_height(&self, height: u64) {
        poll_for("the height", PATIENCE, || {
            let count = self.rpc.call("getblockcount", &json!([])).ok()?;
            (count == height).then_some(())
        });
    }

    /// Waits until the server's RPC reports the end of the first download, which is a little later than the log
    /// reports it.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn wait_until_caught_up(&self) {
        poll_for("the end of the first download", PATIENCE, || {
            let info = self.rpc.call("getblockchaininfo", &json!([])).ok()?;
            (info["initialblockdownload"] == false).then_some(())
        });
    }

    /// Calls a method.
    ///
    /// # Panics
    /// If the call is refused or not answered.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!([...]) in place")]
    pub fn call(&self, method: &str, params: Value) -> Value {
        match self.rpc.call(method, &params) {
            Ok(result) => result,
            Err(error) => panic!("{method} {params}: {error}"),
        }
    }

    /// Calls a method that refuses, and returns the code and the message.
    ///
    /// # Panics
    /// If it answers something else.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!([...]) in place")]
    pub fn refusal(&self, method: &str, params: Value) -> (i64, String) {
        refusal(&self.rpc, method, &params)
    }

    /// Ends the server, and returns its output.
    ///
    /// # Panics
    /// If the server does not end in time.
    pub fn end(mut self) -> Finished {
        self.running.terminate();
        self.running.wait(PATIENCE * 4)
    }
}

/// Calls a method that refuses, and returns the code and the message.
///
/// # Panics
/// If it answers something else.
#[track_caller]
pub fn refusal(client: &RpcClient, method: &str, params: &Value) -> (i64, String) {
    match client.call(method, params) {
        Err(RpcError::Refused { code, message }) => (code, message),
        other => panic!("{method} {params}: {other:?}"),
    }
}
