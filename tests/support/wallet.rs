//! A real node's wallet, and payments from it.

use super::bitcoind::Bitcoind;
use lightclient::primitives::hex;
use serde_json::{Value, json};
use std::path::Path;

/// Two compressed public keys, whose private keys are 1 and 2.
pub const KEYS: [&str; 2] = [
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
];

/// The height of a [`node_with_coins`].
///
/// A wallet gives every tenth payment a lock time of up to 99 blocks below the tip (Core:
/// `DiscourageFeeSniping`), and Bitcoin Knots refuses transactions whose lock time is 21 (`parasite-cat21`).
/// From this height on, no payment has it.
pub const HEIGHT_WITH_COINS: u64 = 130;

/// Starts a node that has coins in a wallet, at [`HEIGHT_WITH_COINS`]. `more` are further arguments.
///
/// # Panics
/// If the node refuses a call.
pub fn node_with_coins(binary: &Path, more: &[&str]) -> Bitcoind {
    let args = [&["-fallbackfee=0.0001", "-keypool=5"], more].concat();
    let node = Bitcoind::start(binary, &args);
    node.rpc("createwallet", json!(["purse"]));
    let address = node.rpc("getnewaddress", json!([]));
    node.rpc("generatetoaddress", json!([HEIGHT_WITH_COINS, address]));
    node
}

/// Makes one payment to each kind of address, one to each of `others`, and one with a data output. Returns the kinds
/// of the scripts and the txids. The transactions are in the node's mempool.
///
/// # Panics
/// If the node refuses a call or a payment.
pub fn pay_to_each_kind(
    node: &Bitcoind,
    others: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let own = |kind: &str| node.rpc("getnewaddress", json!(["", kind]));
    let multisig =
        |kind: &str| node.rpc("createmultisig", json!([1, KEYS, kind]))["address"].take();
    let mut to: Vec<(&str, Value)> = vec![
        ("pubkeyhash", own("legacy")),
        ("scripthash", own("p2sh-segwit")),
        ("witness_v0_keyhash", own("bech32")),
        ("witness_v0_scripthash", multisig("bech32")),
        ("witness_v1_taproot", own("bech32m")),
    ];
    to.extend(others.iter().map(|(kind, address)| (*kind, json!(address))));
    let id = |txid: &Value| txid.as_str().expect("a txid").to_owned();
    let pay = |address| node.rpc("sendtoaddress", json!([address, 0.5]));
    let mut paid: Vec<_> = to.into_iter().map(|(kind, to)| (kind, id(&pay(to)))).collect();
    let text = hex::encode("a line of text".as_bytes());
    let sent = node.rpc("send", json!([[{ "data": text }]]));
    paid.push(("nulldata", id(&sent["txid"])));
    for (kind, txid) in &paid {
        // A wallet also keeps a payment that the mempool refuses, and does not say so. Sending it again gives the reason.
        if node.try_rpc("getmempoolentry", json!([txid])).is_err() {
            let payment = node.rpc("gettransaction", json!([txid]))["hex"].take();
            let sent = node.try_rpc("sendrawtransaction", json!([payment]));
            panic!("the payment to {kind} was not in the memory pool; sent again: {sent:?}");
        }
    }
    paid
}

/// Makes one payment to a bare public key and one to a bare multisig, which have no addresses. Returns the kinds of
/// the scripts, and the signed transactions as hex. The transactions are not sent, because some kinds of nodes relay
/// neither.
///
/// # Panics
/// If the node refuses a call.
pub fn payments_to_bare_scripts(node: &Bitcoind) -> [(&'static str, String); 2] {
    let key = format!("2321{}ac", KEYS[0]);
    let multisig = format!("475121{}21{}52ae", KEYS[0], KEYS[1]);
    let pay = |script: &str| {
        let to = node.rpc("getnewaddress", json!(["", "bech32"]));
        let to = to.as_str().expect("an address");
        let program = node.rpc("getaddressinfo", json!([to]))["scriptPubKey"].take();
        let program = format!("16{}", program.as_str().expect("a script"));
        let outputs = json!([{ to: 0.5 }]);
        let raw = node.rpc("createrawtransaction", json!([[], outputs]));
        let raw = raw.as_str().expect("hex").replace(&program, script);
        let funded = node.rpc("fundrawtransaction", json!([raw]))["hex"].take();
        let signed = node.rpc("signrawtransactionwithwallet", json!([funded]))["hex"].take();
        signed.as_str().expect("hex").to_owned()
    };
    [("pubkey", pay(&key)), ("multisig", pay(&multisig))]
}
