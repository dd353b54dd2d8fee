//! Transactions as Bitcoin Core's RPC shows them.

use super::amount::Amount;
use crate::primitives::{Network, hex};
use crate::script::{ScriptKind, address_of, asm, asm_of_script_sig, descriptor_of};
use crate::wire::{TxIn, TxOut, TxView};
use serde::Serialize;

/// The keys of `decoderawtransaction`, in its order; hashes are hex in display order.
#[derive(Clone, Debug, Serialize)]
pub struct TxInfo {
    /// Hash without witnesses.
    pub txid: String,
    /// Hash with witnesses.
    pub hash: String,
    /// Version.
    pub version: u32,
    /// Size in bytes.
    pub size: usize,
    /// Virtual size in virtual bytes.
    pub vsize: usize,
    /// Weight in weight units.
    pub weight: usize,
    /// Lock time: a height if below 500,000,000, otherwise Unix seconds.
    pub locktime: u32,
    /// Inputs.
    pub vin: Vec<InputInfo>,
    /// Outputs.
    pub vout: Vec<OutputInfo>,
}

/// An input.
#[derive(Clone, Debug, Serialize)]
pub struct InputInfo {
    /// The script of a coinbase's input, as hex; absent in other transactions. A coinbase spends no output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coinbase: Option<String>,
    /// Txid of the transaction whose output the input spends; absent in a coinbase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
    /// Position of the spent output in its transaction, from 0; absent in a coinbase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vout: Option<u32>,
    /// The input's script; absent in a coinbase.
    #[serde(rename = "scriptSig", skip_serializing_if = "Option::is_none")]
    pub script_sig: Option<ScriptSigInfo>,
    /// The items of the input's witness as hex; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub txinwitness: Vec<String>,
    /// Its sequence number.
    pub sequence: u32,
}

/// An input's script.
#[derive(Clone, Debug, Serialize)]
pub struct ScriptSigInfo {
    /// As text.
    pub asm: String,
    /// As hex.
    pub hex: String,
}

/// An output.
#[derive(Clone, Debug, Serialize)]
pub struct OutputInfo {
    /// Amount in bitcoin.
    pub value: Amount,
    /// Position in the transaction, from 0.
    pub n: usize,
    /// Its script.
    #[serde(rename = "scriptPubKey")]
    pub script_pub_key: ScriptPubKeyInfo,
}

/// An output's script.
#[derive(Clone, Debug, Serialize)]
pub struct ScriptPubKeyInfo {
    /// As text.
    pub asm: String,
    /// Its descriptor, with a checksum (BIP380).
    pub desc: String,
    /// As hex.
    pub hex: String,
    /// Its address, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Bitcoin Core's name for its kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl TxInfo {
    /// Returns the keys of a transaction, with addresses in the form of `network`.
    ///
    /// Source: Bitcoin Core `TxToUniv`, `ScriptToUniv`.
    pub fn new(transaction: TxView<'_>, network: Network) -> Self {
        let coinbase = transaction.is_coinbase();
        let outputs = transaction.outputs().enumerate();
        Self {
            txid: transaction.txid().to_string(),
            hash: transaction.wtxid().to_string(),
            version: transaction.version(),
            size: transaction.size(),
            vsize: transaction.vsize(),
            weight: transaction.weight(),
            locktime: transaction.lock_time(),
            vin: transaction.inputs().map(|input| InputInfo::new(&input, coinbase)).collect(),
            vout: outputs.map(|(n, output)| OutputInfo::new(&output, n, network)).collect(),
        }
    }
}

impl InputInfo {
    fn new(input: &TxIn<'_>, coinbase: bool) -> Self {
        let spends = (!coinbase).then_some(input.previous);
        Self {
            coinbase: coinbase.then(|| hex::encode(input.script_sig)),
            txid: spends.map(|spent| spent.txid.to_string()),
            vout: spends.map(|spent| spent.vout),
            script_sig: (!coinbase).then(|| ScriptSigInfo {
                asm: asm_of_script_sig(input.script_sig),
                hex: hex::encode(input.script_sig),
            }),
            txinwitness: input.witness.clone().map(hex::encode).collect(),
            sequence: input.sequence,
        }
    }
}

impl OutputInfo {
    fn new(output: &TxOut<'_>, n: usize, network: Network) -> Self {
        let script = output.script_pubkey;
        Self {
            value: Amount(output.value),
            n,
            script_pub_key: ScriptPubKeyInfo {
                asm: asm(script),
                desc: descriptor_of(script, network),
                hex: hex::encode(script),
                address: address_of(script, network),
                kind: ScriptKind::of(script).name(),
            },
        }
    }
}

/// A transaction and its bytes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TxWithHex {
    /// Its keys.
    #[serde(flatten)]
    pub info: TxInfo,
    /// Its bytes as hex.
    pub hex: String,
}

impl TxWithHex {
    /// Returns the keys and the bytes of a transaction, with addresses in the form of `network`.
    pub(crate) fn new(transaction: TxView<'_>, network: Network) -> Self {
        Self { info: TxInfo::new(transaction, network), hex: hex::encode(transaction.bytes()) }
    }
}
