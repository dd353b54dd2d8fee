//! The methods that ask peers, and those of raw transactions, beside a real bitcoind: the same answers and errors.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::chain::fixture;
use crate::support::rpc::RpcClient;
use crate::support::serve::{Serving, refusal};
use crate::support::wallet::{KEYS, node_with_coins, pay_to_each_kind};
use lightclient::primitives::hex;
use lightclient::wire::Block;
use serde_json::{Value, json};
use std::fs;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// Keys that only bitcoin-knots has, or that take the coins which are spent.
const NOT_OURS: [&str; 5] = ["txcount", "header_version", "coinbase_tx", "fee", "prevout"];

struct Pair {
    node: Bitcoind,
    server: Serving,
}

impl Pair {
    fn start(node: Bitcoind) -> Self {
        let server = Serving::start(BINARY, node.p2p(), &[]);
        server.wait_for_height(node.height());
        Self { node, server }
    }

    /// Compares a result, and the order of its keys.
    #[track_caller]
    fn check(&self, method: &str, params: &Value) -> Value {
        let (ours, theirs) =
            (self.server.call(method, params.clone()), self.theirs(method, params));
        assert_eq!(ours, theirs, "{method} {params}");
        let keys = |text: String| -> Vec<String> {
            keys_in_order(&text).into_iter().filter(|key| !is_foreign(key)).collect()
        };
        let (our_text, their_text) =
            (reply(&self.server.rpc, method, params), reply(self.node.client(), method, params));
        // What is spent has keys like other parts have.
        if !their_text.contains("prevout") {
            assert_eq!(keys(our_text), keys(their_text), "{method}");
        }
        theirs
    }

    #[track_caller]
    fn theirs(&self, method: &str, params: &Value) -> Value {
        let mut result = self.node.rpc(method, params.clone());
        leave_out(&mut result);
        result
    }

    /// Compares a refusal.
    #[track_caller]
    fn check_refusal(&self, method: &str, params: &Value) {
        let ours = refusal(&self.server.rpc, method, params);
        let mut theirs = refusal(self.node.client(), method, params);
        if theirs.1.contains("\n\nArguments:") {
            // The help, in words of its own.
            assert!(ours.1.contains("\n\nArguments:"), "{method} {params}: {}", ours.1);
            theirs.1.clone_from(&ours.1);
        }
        assert_eq!(ours, theirs, "{method} {params}");
    }
}

fn reply(client: &RpcClient, method: &str, params: &Value) -> String {
    let request = json!({ "id": 1, "method": method, "params": params });
    client.post_text(&request.to_string()).unwrap().1
}

fn is_foreign(key: &str) -> bool {
    NOT_OURS.contains(&key)
}

fn leave_out(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !is_foreign(key));
            map.values_mut().for_each(leave_out);
        }
        Value::Array(list) => list.iter_mut().for_each(leave_out),
        _ => {}
    }
}

/// The keys of all objects in a text, as they come.
fn keys_in_order(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('"').collect();
    let keys = parts.windows(2).skip(1).step_by(2);
    keys.filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0].to_owned()).collect()
}

fn with_payments(binary: &std::path::Path) -> (Pair, Vec<String>, String) {
    let node = node_with_coins(binary, &[]);
    let paid = pay_to_each_kind(&node, &[("anchor", "bcrt1pfeesnyr2tx")]);
    let hash = node.generate_to(1, &format!("pk({})", KEYS[0])).remove(0);
    let txids = paid.into_iter().map(|(_, txid)| txid).collect();
    (Pair::start(node), txids, hash)
}

#[test]
fn blocks_and_transactions_in_them_are_those_of_bitcoind() {
    let Some(binary) = or_skip_loudly("getblock and getrawtransaction") else { return };
    let (pair, txids, hash) = with_payments(&binary);
    for verbosity in [json!(0), json!(1), json!(2), json!(-1), json!(4), json!(true), json!(false)]
    {
        pair.check("getblock", &json!([hash, verbosity]));
    }
    for params in [
        json!([hash]),
        json!([hash, null]),
        json!({ "blockhash": hash, "verbose": 2 }),
        json!({ "verbosity": false, "blockhash": hash }),
        json!([pair.node.rpc("getblockhash", json!([0])), 2]),
        json!([pair.node.rpc("getblockhash", json!([1])), 2]),
    ] {
        pair.check("getblock", &params);
    }
    for txid in &txids {
        for verbosity in [json!(0), json!(1), json!(2), json!(true), json!(null)] {
            pair.check("getrawtransaction", &json!([txid, verbosity, hash]));
        }
    }
    let named = json!({ "txid": txids[0], "verbose": 1, "blockhash": hash });
    pair.check("getrawtransaction", &named);
    check_block_refusals(&pair, &txids[0], &hash);

    // In the memory pool: the same, but for the time it takes to ask.
    let waiting = pay_to_each_kind(&pair.node, &[]);
    for (_, txid) in &waiting[..2] {
        for verbosity in [json!(0), json!(1)] {
            pair.check("getrawtransaction", &json!([txid, verbosity]));
        }
    }
    // A peer serves those of its newest block, too; older ones it does not.
    pair.node.generate(2);
    pair.check_refusal("getrawtransaction", &json!([txids[0], 1]));
}

fn check_block_refusals(pair: &Pair, txid: &str, hash: &str) {
    let zero = "0".repeat(64);
    for params in [
        json!([]),
        json!({ "blockhash": hash, "verbosity": 1, "verbose": 1 }),
        json!({ "args": [hash, 1], "verbose": 1 }),
        json!([5]),
        json!([zero]),
        json!([&hash[1..]]),
        json!(["x".repeat(64)]),
        json!([hash, "1"]),
        json!([hash, 1.5]),
        json!([hash, 3_000_000_000_u64]),
        json!([hash, []]),
        json!([hash, 1, 1]),
        json!({ "blockhash": hash, "size": 1 }),
    ] {
        pair.check_refusal("getblock", &params);
    }
    let genesis = pair.node.rpc("getblockhash", json!([0]));
    let first = pair.node.rpc("getblock", json!([genesis]))["tx"][0].take();
    for params in [
        json!([]),
        json!([zero, 1, hash]),
        json!([txid, 1, zero]),
        json!([txid, 1, genesis]),
        json!([&txid[1..]]),
        json!(["x".repeat(64)]),
        json!([txid, 1, "aa"]),
        json!([txid, 1, 5]),
        json!([txid, "1", hash]),
        json!([first]),
        json!([first, 1, genesis]),
        json!({ "txid": txid, "x": 1 }),
    ] {
        pair.check_refusal("getrawtransaction", &params);
    }
}

/// Changes each flag of a proof, and the padding after the flags. Bitcoin Core accepts some of these proofs, although it
/// never makes them.
fn check_each_flag(pair: &Pair, proof: &str) {
    const HASH_COUNT: usize = 84;
    let bytes = hex::decode(proof).unwrap();
    let flags = HASH_COUNT + 1 + usize::from(bytes[HASH_COUNT]) * 32 + 1;
    for bit in flags * 8..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        pair.check("verifytxoutproof", &json!([hex::encode(&wrong)]));
    }
}

#[test]
fn proofs_are_those_of_bitcoind() {
    let Some(binary) = or_skip_loudly("gettxoutproof and verifytxoutproof") else { return };
    let (pair, txids, hash) = with_payments(&binary);
    let zero = "0".repeat(64);
    for some in [&txids[..1], &txids[2..5], &txids[..]] {
        let proof = pair.check("gettxoutproof", &json!([some, hash]));
        let proof = proof.as_str().unwrap();
        pair.check("gettxoutproof", &json!({ "txids": some, "blockhash": hash }));
        pair.check("verifytxoutproof", &json!([proof]));
        pair.check("verifytxoutproof", &json!({ "proof": proof.to_uppercase() }));
        pair.check("verifytxoutproof", &json!([format!("{proof}00")]));
        let changed = |at: usize| {
            let digit = if &proof[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &proof[..at], &proof[at + 1..])
        };
        for wrong in [changed(170), changed(180)] {
            pair.check("verifytxoutproof", &json!([wrong]));
        }
        check_each_flag(&pair, proof);
        for wrong in [&changed(10), &proof[..proof.len() - 2], " ", "", "aa", "5", "zz"] {
            pair.check_refusal("verifytxoutproof", &json!([wrong]));
        }
    }
    for params in [
        json!([[], hash]),
        json!(["a", hash]),
        json!([[5], hash]),
        json!([["aa"], hash]),
        json!([[txids[0], txids[0]], hash]),
        json!([[zero], hash]),
        json!([[txids[0]], zero]),
        json!([[txids[0]], "aa"]),
        json!([]),
    ] {
        pair.check_refusal("gettxoutproof", &params);
    }
    pair.check_refusal("verifytxoutproof", &json!([5]));
    let (code, message) = pair.server.refusal("gettxoutproof", json!([[txids[0]]]));
    assert_eq!(code, -8);
    assert!(message.starts_with("Parameter 'blockhash' is required"), "{message}");
}

/// An output of so many satoshi.
fn output(value: i64, script: &str) -> String {
    let value = hex::encode(&value.to_le_bytes());
    format!("{value}{:02x}{script}", script.len() / 2)
}

fn input(txid: &str, vout: u32) -> String {
    format!("{}{}00ffffffff", txid.repeat(32), hex::encode(&vout.to_le_bytes()))
}

fn raw(inputs: &[String], outputs: &[String]) -> String {
    let (ins, outs) = (inputs.concat(), outputs.concat());
    format!("02000000{:02x}{ins}{:02x}{outs}00000000", inputs.len(), outputs.len())
}

/// A transaction that pays somebody, and those that break a rule or have an output that nobody can spend.
fn made_up() -> (String, [String; 11]) {
    let (one, pays) = (vec![input("11", 0)], vec![output(1000, "51")]);
    let all = 2_100_000_000_000_000;
    let coinbase = vec![input("00", u32::MAX)];
    let faults = [
        raw(&[], &[]),
        raw(&one, &[]),
        raw(&one, &[output(-1, "51")]),
        raw(&one, &[output(all + 1, "51")]),
        raw(&one, &[output(all, "51"), output(all, "51")]),
        raw(&[one.clone(), one.clone()].concat(), &pays),
        raw(&[one.clone(), coinbase.clone()].concat(), &pays),
        raw(&coinbase, &pays),
        raw(&one, &[output(5, "6a")]),
        raw(&one, &[output(5, "4c")]),
        format!("02000000000101{}010100000000000000015100000000", &one[0][..]),
    ];
    (raw(&one, &pays), faults)
}

#[test]
fn raw_transactions_are_decoded_and_refused_as_by_bitcoind() {
    let Some(binary) = or_skip_loudly("decoderawtransaction and sendrawtransaction") else {
        return;
    };
    let pair = Pair::start(Bitcoind::start(&binary, &[""; 0]));
    let block = Block::decode(fs::read(fixture("mainnet-0831332.bin")).unwrap()).unwrap();
    let real: Vec<String> =
        block.transactions().step_by(200).map(|tx| hex::encode(tx.bytes())).collect();
    let (good, faults) = made_up();
    let pays = output(1000, "51");
    let inputless = [raw(&[], std::slice::from_ref(&pays)), raw(&[], &[pays.clone(), pays])];
    // Both forms take all bytes of these; the scripts decide.
    let both = ["51", "4c"].map(|script| {
        let (txid, value) = (format!("{}2f{}", "51".repeat(7), "51".repeat(24)), "51".repeat(8));
        let front = format!("02000000000101{txid}515151510051515151");
        format!("{front}01{value}01{script}01015100000000")
    });
    let garbled = [real[1][2..].to_owned(), format!("{}00", real[1]), real[2].to_uppercase()];
    let cases = real.iter().chain(&faults).chain(&inputless).chain(&garbled);
    for digits in cases.chain(&both).chain(&["zz".to_owned(), String::new()]) {
        for is_witness in [json!(null), json!(true), json!(false)] {
            let params = json!([digits, is_witness]);
            match pair.node.try_rpc("decoderawtransaction", params.clone()) {
                Ok(_) => drop(pair.check("decoderawtransaction", &params)),
                Err(_) => pair.check_refusal("decoderawtransaction", &params),
            }
        }
    }
    let named = json!({ "hexstring": real[0], "iswitness": true });
    pair.check("decoderawtransaction", &named);
    for params in [json!([]), json!([5]), json!([real[0], 1])] {
        pair.check_refusal("decoderawtransaction", &params);
    }
    for digits in faults.iter().chain(&inputless).chain(&garbled[..2]) {
        pair.check_refusal("sendrawtransaction", &json!([digits]));
    }
    check_amounts(&pair, &good);
}

fn check_amounts(pair: &Pair, digits: &str) {
    for params in [
        json!([]),
        json!([5]),
        json!([digits, 1]),
        json!([digits, "1"]),
        json!([digits, -1]),
        json!([digits, true]),
        json!([digits, "x"]),
        json!([digits, ""]),
        json!([digits, null, -1]),
        json!([digits, null, "x"]),
        json!([digits, null, true]),
        json!([digits, 0, 22_000_000]),
        json!([digits, 0, 1e-9]),
        json!({ "hexstring": digits, "fee": 1 }),
    ] {
        pair.check_refusal("sendrawtransaction", &params);
    }
}

#[test]
fn scripts_are_shown_as_by_bitcoind() {
    let Some(binary) = or_skip_loudly("decodescript") else { return };
    let pair = Pair::start(Bitcoind::start(&binary, &[""; 0]));
    let [key, other] = KEYS;
    let [long, hybrid] = ["04", "07"].map(|first| format!("{first}{}", "22".repeat(64)));
    let scripts = [
        String::new(),
        "6a".to_owned(),
        "6a0568656c6c6f".to_owned(),
        "51".to_owned(),
        "51024e73".to_owned(),
        format!("5214{}", "33".repeat(20)),
        format!("0010{}", "33".repeat(16)),
        format!("0014{}", "33".repeat(20)),
        format!("0020{}", "33".repeat(32)),
        format!("5120{}", "33".repeat(32)),
        format!("a914{}87", "33".repeat(20)),
        format!("76a914{}88ac", "33".repeat(20)),
        format!("21{key}ac"),
        format!("41{long}ac"),
        format!("41{hybrid}ac"),
        format!("5121{key}51ae"),
        format!("5121{key}21{other}52ae"),
        format!("5121{key}41{long}52ae"),
        format!("0111{}0111ae", format!("21{key}").repeat(17)),
        format!("21{key}ac6321{key}ac68"),
        format!("a820{}87", "33".repeat(32)),
        format!("4d0902{}", "00".repeat(521)),
        format!("4d0802{}", "00".repeat(520)),
        "75".repeat(10_001),
        "75".repeat(10_000),
    ];
    let opcodes = (0x4c..=0xff).map(|opcode| format!("{opcode:02x}"));
    for script in scripts.into_iter().chain(opcodes) {
        pair.check("decodescript", &json!([script]));
    }
    pair.check("decodescript", &json!({ "hexstring": "7651" }));
    for params in [json!(["zz"]), json!(["5"]), json!([5]), json!([]), json!(["51", 1])] {
        pair.check_refusal("decodescript", &params);
    }
}
