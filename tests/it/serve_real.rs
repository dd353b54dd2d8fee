//! `serve` and a real bitcoind, asked the same: they answer the same.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::bitcoind::{Bitcoind, or_skip_loudly};
use crate::support::rpc::RpcClient;
use crate::support::serve::Serving;
use serde_json::{Map, Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

/// A bitcoind whose chain was reorganised, and a server that has followed it.
fn both() -> Option<(Bitcoind, Serving)> {
    let binary = or_skip_loudly("the comparison of serve with bitcoind")?;
    let node = Bitcoind::start(&binary, &["-rest"]);
    let blocks = node.generate(120);
    let serving = Serving::start(BINARY, node.p2p(), &[]);
    serving.wait_for_tip(&blocks[119]);
    // The last three become a side branch of which the server knows.
    node.rpc("invalidateblock", json!([blocks[117]]));
    let better = node.generate_to(5, "raw(52)");
    node.rpc("reconsiderblock", json!([blocks[117]]));
    serving.wait_for_tip(better.last().unwrap());
    serving.wait_until_caught_up();
    Some((node, serving))
}

/// What bitcoind says of blocks that it has, and that headers do not tell; and keys that Knots alone has.
const OF_BLOCKS: [&str; 4] = ["nTx", "txcount", "header_version", "size_on_disk"];

fn without_blocks(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            let keep = |key: &String| !OF_BLOCKS.contains(&key.as_str());
            let kept: Map<String, Value> = map
                .iter()
                .filter(|(key, _)| keep(key))
                .map(|(k, v)| (k.clone(), without_blocks(v.clone())))
                .collect();
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().cloned().map(without_blocks).collect(),
        // serde_json reads some numbers one step beside what was written.
        Value::Number(number) if number.is_f64() => {
            json!(format!("{:.13e}", number.as_f64().unwrap()))
        }
        _ => value,
    }
}

/// Status line and body of the answer to a body.
fn answer(client: &RpcClient, body: &str) -> (String, Value) {
    let (head, body) = client.post_text(body).unwrap();
    let status = head.lines().next().unwrap().to_owned();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

#[track_caller]
fn assert_same(node: &Bitcoind, serving: &Serving, body: &str) {
    let (expected, got) = (answer(node.client(), body), answer(&serving.rpc, body));
    assert_eq!(expected.0, got.0, "{body}");
    assert_eq!(without_blocks(expected.1), without_blocks(got.1), "{body}");
}

fn call(method: &str, params: &Value) -> String {
    json!({ "id": "test", "method": method, "params": params }).to_string()
}

#[test]
fn every_height_and_header_is_answered_as_bitcoind_answers_it() {
    let Some((node, serving)) = both() else { return };
    for height in 0..=122 {
        assert_same(&node, &serving, &call("getblockhash", &json!([height])));
        let hash = node.rpc("getblockhash", json!([height]));
        for params in
            [json!([hash]), json!([hash, false]), json!({"blockhash": hash, "verbose": true})]
        {
            assert_same(&node, &serving, &call("getblockheader", &params));
        }
        assert_same(&node, &serving, &call("getnetworkhashps", &json!([120, height])));
        assert_same(&node, &serving, &call("getnetworkhashps", &json!([-1, height])));
    }
    for method in ["getblockcount", "getbestblockhash", "getblockchaininfo"] {
        assert_same(&node, &serving, &call(method, &json!([])));
    }
    // The side branch: bitcoind has its blocks, and so calls it a valid fork.
    let tips = |client: &RpcClient| {
        let tips = client.call("getchaintips", &json!([])).unwrap();
        let of =
            |tip: &Value| (tip["height"].clone(), tip["hash"].clone(), tip["branchlen"].clone());
        tips.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(tips(node.client()), tips(&serving.rpc));
    let side = node.rpc("getchaintips", json!([]))[1]["hash"].clone();
    assert_same(&node, &serving, &call("getblockheader", &json!([side])));
    assert_same(&node, &serving, &call("waitforblockheight", &json!([122, 1000])));
    assert_same(&node, &serving, &call("waitforblock", &json!([side, 10])));
    assert_same(&node, &serving, &call("waitfornewblock", &json!([10])));
}

#[test]
fn errors_are_those_of_bitcoind() {
    let Some((node, serving)) = both() else { return };
    let unknown = "00".repeat(32);
    for (method, params) in [
        ("getblockhash", json!([123])),
        ("getblockhash", json!([-1])),
        ("getblockhash", json!([1.5])),
        ("getblockhash", json!([99_999_999_999_u64])),
        ("getblockhash", json!(["1"])),
        ("getblockhash", json!([null])),
        ("getblockhash", json!({"heigth": 1})),
        ("getblockhash", json!({"args": [1], "height": 1})),
        ("getblockheader", json!([unknown])),
        ("getblockheader", json!([unknown, "yes"])),
        ("getblockheader", json!(["00"])),
        ("getblockheader", json!(["xx".repeat(32)])),
        ("getblockheader", json!([5, 5])),
        ("getnetworkhashps", json!([0])),
        ("getnetworkhashps", json!([-2])),
        ("getnetworkhashps", json!([120, 500])),
        ("getnetworkhashps", json!([120, -5])),
        ("waitforblockheight", json!([1, -1])),
        ("waitforblock", json!(["00", 1])),
        ("nosuchmethod", json!([])),
    ] {
        assert_same(&node, &serving, &call(method, &params));
    }
    // Bitcoin Core answers these with the method's help: its first line is the same.
    for params in [json!([]), json!([1, 2])] {
        let lines = [node.client(), &serving.rpc].map(|client| {
            let (status, answer) = answer(client, &call("getblockhash", &params));
            let message =
                answer["error"]["message"].as_str().unwrap().lines().next().unwrap().to_owned();
            (status, answer["error"]["code"].clone(), message)
        });
        assert_eq!(lines[0], lines[1]);
    }
}

/// Bodies of every form, right and wrong.
const BODIES: &[&str] = &[
    "",
    "{",
    "5",
    "[]",
    "[1]",
    "[[]]",
    "{}",
    r#"{"id":1}"#,
    r#"{"method":5,"id":1}"#,
    r#"{"method":"getblockcount"}"#,
    r#"{"method":"getblockcount","params":5,"id":null}"#,
    r#"{"method":"getblockcount","params":{},"id":"x"}"#,
    r#"{"jsonrpc":"1.0","method":"getblockcount","id":1}"#,
    r#"{"jsonrpc":"1.1","method":"getblockcount","id":1}"#,
    r#"{"jsonrpc":"2.0","method":"getblockcount","id":1}"#,
    r#"{"jsonrpc":"2.0","method":"getblockcount"}"#,
    r#"{"jsonrpc":"2.0","method":"getblockhash","params":[500],"id":1}"#,
    r#"{"jsonrpc":"2.0","method":"nosuchmethod","id":1}"#,
    r#"{"jsonrpc":"2.0","method":5,"id":1}"#,
    r#"{"jsonrpc":"2.0"}"#,
    r#"{"jsonrpc":"2.0","method":"getblockcount","params":1}"#,
    r#"[{"jsonrpc":"2.0"},{"method":"getblockcount","id":1}]"#,
    r#"{"method":"getblockcount","method":"getbestblockhash","id":1,"id":2}"#,
    r#"{"method":"getblockhash","params":{"height":1,"height":2},"id":1}"#,
    r#"{"method":"getblockheader","params":{"args":"x"},"id":1}"#,
    r#"{"method":"getblockhash","params":[-0],"id":1}"#,
    r#"{"method":"stop","params":["a"],"id":1}"#,
    r#"[{"method":"getblockcount","id":1},{"jsonrpc":"2.0","method":"getblockcount","id":2}]"#,
    r#"[{"jsonrpc":"2.0","method":"getblockcount"}]"#,
    r#"[{"jsonrpc":"2.0","method":"getblockcount"},{"method":"nosuchmethod","id":{"a":1}},5]"#,
];

#[test]
fn requests_of_every_form_are_answered_as_bitcoind_answers_them() {
    let Some((node, serving)) = both() else { return };
    // Versions that do not exist are left out: Bitcoin Core refuses them, and Knots takes them for 1.1.
    for body in BODIES {
        assert_same(&node, &serving, body);
    }
    let batch: Vec<Value> = (0..=122)
        .map(|height| json!({"jsonrpc": "2.0", "id": height, "method": "getblockhash", "params": {"height": height}}))
        .collect();
    assert_same(&node, &serving, &json!(batch).to_string());
    let nobody = |client: &RpcClient| RpcClient { credentials: "a:b".to_owned(), ..client.clone() };
    let refused = |client: &RpcClient| answer(&nobody(client), r#"{"method":"getblockcount"}"#);
    assert_eq!(refused(node.client()), refused(&serving.rpc));
}

/// Paths of every kind, right and wrong.
fn rest_paths(node: &Bitcoind) -> Vec<String> {
    let side = node.rpc("getchaintips", json!([]))[1]["hash"].as_str().unwrap().to_owned();
    let hash = |height: u32| node.rpc("getblockhash", json!([height])).as_str().unwrap().to_owned();
    let (first, last, unknown) = (hash(1), hash(120), "00".repeat(32));
    vec![
        format!("/rest/block/{first}.bin"),
        format!("/rest/block/{first}.hex"),
        format!("/rest/block/notxdetails/{first}.json"),
        format!("/rest/block/{unknown}.hex"),
        "/rest/block/xyz.hex".to_owned(),
        format!("/rest/block/{first}.txt"),
        format!("/rest/headers/{first}."),
        "/rest/blockhashbyheight/5.".to_owned(),
        "/rest/chaininfo.json".to_owned(),
        "/rest/chaininfo".to_owned(),
        "/rest/chaininfo.hex".to_owned(),
        format!("/rest/headers/{first}.json?count=2000"),
        format!("/rest/headers/{first}.hex?count=100"),
        format!("/rest/headers/{first}.bin"),
        format!("/rest/headers/7/{last}.json"),
        format!("/rest/headers/2000/{last}.hex"),
        format!("/rest/headers/{side}.json"),
        format!("/rest/headers/{unknown}.hex"),
        format!("/rest/headers/{last}.hex?count=0"),
        format!("/rest/headers/{last}.hex?count=2001"),
        format!("/rest/headers/{last}.hex?count=two"),
        format!("/rest/headers/{last}.txt"),
        format!("/rest/headers/{last}"),
        "/rest/headers/xyz.hex".to_owned(),
        "/rest/blockhashbyheight/0.json".to_owned(),
        "/rest/blockhashbyheight/122.hex".to_owned(),
        "/rest/blockhashbyheight/122.bin".to_owned(),
        "/rest/blockhashbyheight/123.bin".to_owned(),
        "/rest/blockhashbyheight/-1.bin".to_owned(),
        "/rest/blockhashbyheight/x.json".to_owned(),
        "/rest/blockhashbyheight/5".to_owned(),
    ]
}

#[test]
fn rest_answers_as_bitcoind_does() {
    let Some((node, serving)) = both() else { return };
    for path in rest_paths(&node) {
        let [expected, got] = [node.client(), &serving.rpc].map(|client| {
            let (head, body) = client.get(&path).unwrap();
            let kind = head
                .to_lowercase()
                .lines()
                .find(|l| l.starts_with("content-type"))
                .map(str::to_owned);
            let body = serde_json::from_str(&body).map_or(Value::String(body), without_blocks);
            (head.lines().next().unwrap().to_owned(), kind, body)
        });
        assert_eq!(expected, got, "{path}");
    }
}
