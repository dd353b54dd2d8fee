//! Scripts as Bitcoin Core's `decodescript` shows them.

use crate::primitives::{Network, hex};
use crate::script::{
    ScriptKind, address_of, asm, can_be_wrapped, descriptor_of, descriptor_of_witness,
    script_hash_of, witness_program_of,
};
use serde::Serialize;

/// The keys of `decodescript`, in its order.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ScriptInfo {
    asm: String,
    desc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    p2sh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segwit: Option<WitnessProgramInfo>,
}

/// The witness program that pays to a script.
#[derive(Clone, Debug, Serialize)]
struct WitnessProgramInfo {
    asm: String,
    desc: String,
    hex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "p2sh-segwit", skip_serializing_if = "Option::is_none")]
    p2sh: Option<String>,
}

impl ScriptInfo {
    /// Describes a script, with addresses in the form of `network`.
    ///
    /// Source: Bitcoin Core `decodescript` (`rpc/rawtransaction.cpp`).
    pub(crate) fn new(script: &[u8], network: Network) -> Self {
        let is_hashed = can_be_wrapped(script);
        let program = if is_hashed { witness_program_of(script) } else { None };
        Self {
            asm: asm(script),
            desc: descriptor_of(script, network),
            address: address_of(script, network),
            kind: ScriptKind::of(script).name(),
            p2sh: if is_hashed { address_of(&script_hash_of(script), network) } else { None },
            segwit: program.map(|program| WitnessProgramInfo::new(&program, script, network)),
        }
    }
}

impl WitnessProgramInfo {
    fn new(program: &[u8], script: &[u8], network: Network) -> Self {
        Self {
            asm: asm(program),
            desc: descriptor_of_witness(program, script, network),
            hex: hex::encode(program),
            address: address_of(program, network),
            kind: ScriptKind::of(program).name(),
            p2sh: address_of(&script_hash_of(program), network),
        }
    }
}
