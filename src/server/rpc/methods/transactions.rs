//! Sends and decodes raw transactions. Source: Bitcoin Core `rpc/mempool.cpp`, `rpc/rawtransaction.cpp`.

use crate::core_json::{Amount, ScriptInfo, TxInfo, decode_raw_tx, is_burned};
use crate::primitives::{Txid, hex};
use crate::server::rpc::error::{RpcCode, RpcError};
use crate::server::rpc::method::{
    Method, MethodGroup, RpcFuture, RpcResult, RpcRun, done, optional, required,
};
use crate::server::rpc::params::{RpcParams, RpcType, wrong_type};
use crate::server::state::ServerState;
use crate::wire::{MAX_MONEY, Transaction};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The position of the parameter `verbose`, which Bitcoin Core does not have.
const VERBOSE: usize = 3;

/// How long a transaction is announced at most, once the request has its turn. With [`LOOKUP_TIMEOUT`] this is less than
/// the 15 seconds that clients such as bitcoincore-rpc wait for an answer. Peers ask for a transaction after four seconds at most (Bitcoin Core
/// `NONPREF_PEER_TX_DELAY`, `OVERLOADED_PEER_TX_DELAY`).
const BROADCAST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to look for the transaction in peers' memory pools after no peer asked for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);

/// A `maxfeerate` of at least this is refused as a mistake: 1 BTC/kvB. Source: Bitcoin Core `ParseFeeRate`.
const TOO_HIGH_FEE_RATE: Amount = Amount(100_000_000);

pub(super) const GROUP: MethodGroup = MethodGroup {
    name: "Rawtransactions",
    methods: &[
        Method {
            name: "sendrawtransaction",
            params: &[
                required("hexstring", RpcType::Text, "The transaction, as hex digits"),
                optional(
                    "maxfeerate",
                    RpcType::Any,
                    "Checked but not applied: the values of the inputs are not known, so neither is the fee",
                ),
                optional(
                    "maxburnamount",
                    RpcType::Any,
                    "The most bitcoin that an unspendable output may have (default: 0)",
                ),
                optional(
                    "verbose",
                    RpcType::Any,
                    "true for an object instead of the id: txid, announced (to how many peers), asked (how many of them \
                     fetched it). Bitcoin Core does not have this parameter",
                ),
            ],
            about: "Announces a transaction to peers, and sends it to peers that ask for it, until two have it, for ten \
                    seconds at most. Returns its id. Only its form is checked. The call fails if no peer asks for the \
                    transaction and none has it already.",
            needs_chain: false,
            run: RpcRun::Later(sendrawtransaction),
        },
        Method {
            name: "decoderawtransaction",
            params: &[
                required("hexstring", RpcType::Text, "The transaction, as hex digits"),
                optional(
                    "iswitness",
                    RpcType::Bool,
                    "true to decode it with witnesses (BIP144), false without; both are tried if this is left out",
                ),
            ],
            about: "Returns the contents of a transaction.",
            needs_chain: false,
            run: RpcRun::Now(decoderawtransaction),
        },
        Method {
            name: "decodescript",
            params: &[required("hexstring", RpcType::Text, "The script, as hex digits")],
            about: "Returns the contents of a script, and the addresses that pay to its hash.",
            needs_chain: false,
            run: RpcRun::Now(decodescript),
        },
    ],
};

fn decode(
    params: &RpcParams,
    is_witness: Option<bool>,
    error: &str,
) -> Result<Transaction, RpcError> {
    let bytes = hex::decode(params.text(0)).ok();
    let transaction = bytes.and_then(|bytes| decode_raw_tx(&bytes, is_witness));
    transaction.ok_or_else(|| RpcError::new(RpcCode::DeserializationError, error))
}

fn sendrawtransaction(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let most_burned = amount(params.any(2))?.unwrap_or_default();
        let fee_rate = amount(params.any(1))?;
        let error = "TX decode failed. Make sure the tx has at least one input.";
        let transaction = decode(&params, Some(true), error)?;
        check_burned(&transaction, most_burned)?;
        if fee_rate.is_some_and(|rate| rate >= TOO_HIGH_FEE_RATE) {
            let message = "Fee rates larger than or equal to 1BTC/kvB are not accepted";
            return Err(RpcError::invalid(message));
        }
        let is_verbose = is_true(params.any(VERBOSE))?;
        check(&transaction)?;
        let _permit = state.peer_requests().acquire().await?;
        let sent = state.client().broadcast_within(transaction, BROADCAST_TIMEOUT).await?;
        // Peers do not ask for a transaction that they have.
        if sent.asked == 0 && !state.was_broadcast(&sent.txid) && !is_known(&state, sent.txid).await
        {
            return Err(nobody_asked(sent.announced));
        }
        state.record_broadcast(sent.txid);
        let txid = sent.txid.to_string();
        if is_verbose {
            return done(
                &json!({ "txid": txid, "announced": sent.announced, "asked": sent.asked }),
            );
        }
        done(&txid)
    })
}

/// Returns whether a peer has the transaction already. The call then succeeds, as in Bitcoin Core for a transaction in
/// its own memory pool.
async fn is_known(state: &ServerState, txid: Txid) -> bool {
    let found = timeout(LOOKUP_TIMEOUT, state.client().transaction(txid)).await;
    matches!(found, Ok(Ok(Some(_))))
}

fn nobody_asked(announced: usize) -> RpcError {
    let peers = if announced == 1 { "1 peer".to_owned() } else { format!("{announced} peers") };
    let message = format!(
        "The transaction was announced to {peers}, and none asked for it: peers fetch only what they do not have, so they \
         may know it already"
    );
    RpcError::new(RpcCode::Misc, message)
}

fn check_burned(transaction: &Transaction, most: Amount) -> Result<(), RpcError> {
    let mut outputs = transaction.view().outputs();
    if outputs.any(|output| is_burned(output.script_pubkey) && Amount(output.value) > most) {
        let message = "Unspendable output exceeds maximum configured by user (maxburnamount)";
        return Err(RpcError::new(RpcCode::VerifyError, message));
    }
    Ok(())
}

/// Checks the consensus rules that a transaction can break by itself, then that it is no coinbase, as Bitcoin Core's
/// `PreChecks` does first.
fn check(transaction: &Transaction) -> Result<(), RpcError> {
    let refused = |rule: &str| RpcError::new(RpcCode::VerifyRejected, rule);
    transaction.view().check().map_err(|fault| refused(fault.rule()))?;
    if transaction.view().is_coinbase() { Err(refused("coinbase")) } else { Ok(()) }
}

/// Reads an amount in bitcoin; `None` for null. Source: Bitcoin Core `AmountFromValue`.
fn amount(value: &Value) -> Result<Option<Amount>, RpcError> {
    let error = |message: &str| RpcError::new(RpcCode::TypeError, message);
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        // `to_string` never writes an `f64` with an exponent.
        Value::Number(number) => number.as_i64().map_or_else(
            || number.as_f64().unwrap_or(f64::INFINITY).to_string(),
            |number| number.to_string(),
        ),
        _ => return Err(error("Amount is not a number or string")),
    };
    let (is_negative, digits) =
        text.strip_prefix('-').map_or((false, text.as_str()), |digits| (true, digits));
    let amount: Amount = digits.parse().map_err(|_| error("Invalid amount"))?;
    if amount > Amount(MAX_MONEY) || is_negative && amount > Amount(0) {
        return Err(error("Amount out of range"));
    }
    Ok(Some(amount))
}

/// Reads a boolean or its text; null is false. `bitcoin-cli` sends parameters that it does not know as text.
fn is_true(value: &Value) -> Result<bool, RpcError> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(wrong_type(other, "bool")),
    }
}

fn decoderawtransaction(state: &ServerState, params: &RpcParams) -> RpcResult {
    let transaction = decode(params, params.bool(1), "TX decode failed")?;
    done(&TxInfo::new(transaction.view(), state.params().network))
}

fn decodescript(state: &ServerState, params: &RpcParams) -> RpcResult {
    let is_empty = params.text(0).is_empty();
    let script = if is_empty { Vec::new() } else { params.hex(0, "argument")? };
    done(&ScriptInfo::new(&script, state.params().network))
}

#[cfg(test)]
mod tests {
    use super::{Amount, amount, is_true};
    use serde_json::json;

    #[test]
    fn amounts_are_numbers_or_text_as_bitcoin_core_reads_them() {
        for (value, satoshi) in [
            (json!(0), 0),
            (json!(0.1), 10_000_000),
            (json!(5e-8), 5),
            (json!("0.00000005"), 5),
            (json!(21_000_000), 2_100_000_000_000_000),
            (json!("-0"), 0),
        ] {
            assert_eq!(amount(&value), Ok(Some(Amount(satoshi))), "{value}");
        }
        assert_eq!(amount(&json!(null)), Ok(None));
        for (value, message) in [
            (json!(true), "Amount is not a number or string"),
            (json!("x"), "Invalid amount"),
            (json!(""), "Invalid amount"),
            (json!(1e-9), "Invalid amount"),
            (json!(-1), "Amount out of range"),
            (json!(22_000_000), "Amount out of range"),
        ] {
            assert_eq!(amount(&value).unwrap_err().message, message, "{value}");
        }
    }

    #[test]
    fn a_boolean_may_be_text() {
        assert_eq!(is_true(&json!("true")), Ok(true));
        assert_eq!(is_true(&json!(null)), Ok(false));
        assert_eq!(is_true(&json!([])).unwrap_err().code, -3);
    }
}
