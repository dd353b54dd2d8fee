//! `lightclient serve`, running.

use super::rpc::{RpcClient, RpcError};
use super::run::{Finished, Program, Running};
use super::sync::light_client;
use super::wait::{PATIENCE, poll_for};
use lightclient::primitives::Network;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;

/// A server on regtest, and how it is asked.
#[derive(Debug)]
pub struct Serving {
    /// The program and its data folder.
    pub program: Program,
    /// The process.
    pub running: Running,
    /// How methods are called.
    pub rpc: RpcClient,
}

impl Serving {
    /// Starts one that is connected to a peer, on a port that is free.
    ///
    /// # Panics
    /// If it does not listen in time.
    pub fn start(binary: &str, peer: SocketAddr, more: &[&str]) -> Self {
        Self::start_in(light_client(binary, Network::Regtest), peer, more)
    }

    /// As [`Serving::start`], in the data folder of a program.
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

    /// Waits until the server says that it has caught up, which is somewhat later than its log says so.
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
    /// If it is refused or not answered.
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

    /// Ends it, and returns what it said.
    ///
    /// # Panics
    /// If it does not end in time.
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
