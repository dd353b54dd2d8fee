//! Gives headers to a real bitcoind, by RPC and as a peer, and reads what it makes of them.

use super::judge::Verdict;
use crate::support::bitcoind::Bitcoind;
use crate::support::client::RawClient;
use crate::support::wait::PATIENCE;
use lightclient::primitives::{BlockHash, Header, Network, hex};
use lightclient::wire::{HeadersMessage, Message};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Most calls in one JSON-RPC batch.
const CALLS: usize = 500;

/// Most headers of one message.
const LONGEST_MESSAGE: usize = 20;

/// How the debug log begins what it says of a `headers` message.
const RECEIVED: &str = "[net] received: headers (";

/// Starts a bitcoind whose clock stands still at `now` (Unix seconds) and that drops no peer.
pub(super) fn start(binary: &Path, now: u32, more: &[String]) -> Bitcoind {
    let mut args = vec![format!("-mocktime={now}")];
    // Its own checks of all headers after each one would take most of the time.
    let fixed = ["-checkblockindex=0", "-softwareexpiry=0", "-connect=0", "-v2transport=0"];
    args.extend(fixed.map(str::to_owned));
    args.extend(
        ["-debug=net", "-debug=validation", "-whitelist=noban@127.0.0.1"].map(str::to_owned),
    );
    args.extend_from_slice(more);
    Bitcoind::start(binary, &args)
}

/// Calls a method once for each of these parameters, and returns the answers.
fn call_each(node: &Bitcoind, method: &str, params: &[Value]) -> Vec<Value> {
    let mut answers = Vec::with_capacity(params.len());
    for calls in params.chunks(CALLS) {
        let one = |params: &Value| json!({ "id": 1, "method": method, "params": params });
        let body = Value::from_iter(calls.iter().map(one)).to_string();
        let (head, text) = node.client().post_text(&body).expect("bitcoind answers");
        let list: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{head}"));
        assert_eq!(list.len(), calls.len());
        answers.extend(list);
    }
    answers
}

/// Gives headers to a bitcoind one by one by `submitheader`, and returns the reject reasons.
pub(super) fn submit(node: &Bitcoind, headers: &[Header]) -> Vec<Option<String>> {
    let params: Vec<Value> =
        headers.iter().map(|header| json!([hex::encode(&header.encode())])).collect();
    let reason = |answer: Value| {
        let message = answer["error"]["message"].as_str()?;
        let unknown = message.starts_with("Must submit previous header (");
        Some(if unknown { "prev-blk-not-found" } else { message }.to_owned())
    };
    call_each(node, "submitheader", &params).into_iter().map(reason).collect()
}

/// A peer of a bitcoind that sends it headers.
#[derive(Debug)]
pub(super) struct Sender {
    client: RawClient,
    log: PathBuf,
    taken: HashSet<BlockHash>,
}

impl Sender {
    /// Connects to a bitcoind.
    pub(super) fn new(node: &Bitcoind) -> Self {
        let (mut client, _) = RawClient::shake_hands(node.p2p(), Network::Regtest);
        client.set_patience(PATIENCE);
        Self { client, log: node.dir().join("regtest/debug.log"), taken: HashSet::new() }
    }

    /// Sends headers in messages of a random length, and returns the reject reasons. The verdicts that are expected decide
    /// where a message has to end: Bitcoin Core does not look at what follows a bad header, and drops a message as a whole
    /// if one of its headers has too little work.
    pub(super) fn send(
        &mut self,
        headers: &[Header],
        expected: &[Verdict],
        random: &mut StdRng,
    ) -> Vec<Option<String>> {
        let messages = cut(headers, expected, random);
        let begin = fs::metadata(&self.log).expect("a debug log").len();
        for headers in &messages {
            self.client.send(&headers_message(headers));
        }
        self.client.send(&Message::Ping(Some(7)));
        self.client.wait_for(|message| (message == Message::Pong(7)).then_some(()));
        let log = read_from(&self.log, begin);
        let parts: Vec<&str> = log.split(RECEIVED).skip(1).collect();
        assert_eq!(parts.len(), messages.len(), "the log has a line for each message");
        let each = messages.iter().zip(parts);
        each.flat_map(|(headers, part)| self.reasons(headers, part)).collect()
    }

    /// Returns the reject reasons of the headers of a message, from what the debug log says of it.
    fn reasons(&mut self, headers: &[Header], log: &str) -> Vec<Option<String>> {
        let mut reasons = Vec::with_capacity(headers.len());
        for hash in headers.iter().map(Header::hash) {
            if log.contains(&format!("Saw new header hash={hash} ")) {
                self.taken.insert(hash);
            }
            let refused = log.split_once(&format!("ContextualCheckBlockHeader: {hash}, "));
            let named = refused.and_then(|(_, rest)| rest.split(',').next());
            let reason = if self.taken.contains(&hash) {
                None
            } else if log.contains("header with invalid proof of work") {
                Some("high-hash")
            } else {
                // Bitcoin Core says nothing of a parent that it does not know, but in the first of several messages.
                Some(named.unwrap_or("prev-blk-not-found"))
            };
            reasons.push(reason.map(str::to_owned));
        }
        reasons
    }
}

/// Cuts headers into messages of headers that follow each other.
fn cut(headers: &[Header], expected: &[Verdict], random: &mut StdRng) -> Vec<Vec<Header>> {
    let mut messages: Vec<Vec<Header>> = Vec::new();
    let mut is_open = false;
    for (header, verdict) in headers.iter().zip(expected) {
        let refused = verdict.reason().is_some();
        match messages.last_mut() {
            Some(message)
                if is_open && !refused && message[message.len() - 1].hash() == header.prev =>
            {
                message.push(*header);
                is_open = message.len() < LONGEST_MESSAGE && random.random_bool(0.9);
            }
            _ => {
                messages.push(vec![*header]);
                is_open = !refused;
            }
        }
    }
    messages
}

fn headers_message(headers: &[Header]) -> Message {
    Message::Headers(HeadersMessage::plain(headers.to_vec()))
}

fn read_from(path: &Path, begin: u64) -> String {
    let mut file = File::open(path).expect("a debug log");
    file.seek(SeekFrom::Start(begin)).expect("it only grows");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("it can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the tips of a bitcoind's header tree, with their chain work.
pub(super) fn tips_of(node: &Bitcoind) -> BTreeSet<(BlockHash, String)> {
    let tips = node.rpc("getchaintips", json!([]));
    let tips = tips.as_array().expect("an array of tips");
    let headers_only = tips.iter().filter(|tip| tip["status"] == "headers-only");
    let params: Vec<Value> = headers_only.map(|tip| json!([tip["hash"]])).collect();
    let headers = call_each(node, "getblockheader", &params);
    let text = |value: &Value| value.as_str().expect("hex digits").to_owned();
    let tip = |answer: &Value| {
        let header = &answer["result"];
        let hash = text(&header["hash"]).parse().expect("a hash");
        (hash, text(&header["chainwork"]))
    };
    headers.iter().map(tip).collect()
}

/// Returns the best header of a bitcoind, which is the first one in the locator of its `getheaders`.
pub(super) fn best_of(node: &Bitcoind, orphan: Header) -> BlockHash {
    let (mut client, _) = RawClient::shake_hands(node.p2p(), Network::Regtest);
    client.send(&headers_message(&[orphan]));
    client.wait_for(|message| match message {
        Message::GetHeaders(request) => request.locator.first().copied(),
        _ => None,
    })
}
