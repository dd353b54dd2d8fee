//! Scripts that pay to the hash of another script or of its key, as `decodescript` shows them.

use super::instruction::Instructions;
use super::kind::{ScriptKind, is_unspendable};
use super::opcode::{OP_EQUAL, OP_HASH160};
use super::valid::has_valid_ops;
use ripemd::{Digest, Ripemd160};
use sha2::Sha256;

/// Length of a compressed public key in bytes.
const COMPRESSED_KEY_LEN: usize = 33;

/// Returns the script that pays to the hash of `script` (P2SH, BIP16).
pub(crate) fn script_hash_of(script: &[u8]) -> Vec<u8> {
    [&[OP_HASH160, 20][..], &hash160(script), &[OP_EQUAL]].concat()
}

/// Returns whether `decodescript` shows the script that pays to the hash of this one (P2SH).
///
/// Source: Bitcoin Core `decodescript`, `can_wrap`.
pub(crate) fn can_be_wrapped(script: &[u8]) -> bool {
    let is_never_wrapped = matches!(
        ScriptKind::of(script),
        ScriptKind::NullData(_)
            | ScriptKind::ScriptHash(_)
            | ScriptKind::WitnessUnknown { .. }
            | ScriptKind::WitnessV1Taproot(_)
            | ScriptKind::Anchor
    );
    let means_success = |opcode: u8| is_op_success(opcode);
    !is_never_wrapped
        && has_valid_ops(script)
        && !is_unspendable(script)
        && !Instructions::new(script)
            .filter_map(Result::ok)
            .any(|instruction| means_success(instruction.opcode))
}

/// Returns the witness program that pays to a script: with the hash of its key for P2PK and P2PKH, otherwise with the
/// script's hash. `None` for a witness program, and for P2PK and multisig with an uncompressed key. The caller has
/// checked that the script [`can_be_wrapped`].
///
/// Source: Bitcoin Core `decodescript`, `can_wrap_P2WSH`.
pub(crate) fn witness_program_of(script: &[u8]) -> Option<Vec<u8>> {
    let key_hash = |hash: &[u8]| [&[0, 20], hash].concat();
    match ScriptKind::of(script) {
        ScriptKind::PubKey(key) if key.len() == COMPRESSED_KEY_LEN => Some(key_hash(&hash160(key))),
        ScriptKind::PubKeyHash(hash) => Some(key_hash(hash)),
        ScriptKind::Multisig { .. } if has_uncompressed_keys(script) => None,
        ScriptKind::Multisig { .. } | ScriptKind::NonStandard => {
            Some([&[0, 32][..], &Sha256::digest(script)].concat())
        }
        _ => None,
    }
}

fn has_uncompressed_keys(multisig: &[u8]) -> bool {
    let pushes = Instructions::new(multisig).filter_map(Result::ok);
    pushes.into_iter().any(|push| push.data.len() > COMPRESSED_KEY_LEN)
}

/// Returns whether an opcode is one of `OP_SUCCESSx`. Source: BIP342; Bitcoin Core `IsOpSuccess`.
fn is_op_success(opcode: u8) -> bool {
    matches!(opcode, 80 | 98 | 126..=129 | 131..=134 | 137..=138 | 141..=142 | 149..=153 | 187..=254)
}

/// Source: Bitcoin Core `Hash160`.
fn hash160(bytes: &[u8]) -> [u8; 20] {
    Ripemd160::digest(Sha256::digest(bytes)).into()
}

#[cfg(test)]
mod tests {
    use super::{can_be_wrapped, script_hash_of, witness_program_of};
    use crate::primitives::hex;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    /// The expected program is that of bitcoind's `decodescript` for the public key of secp256k1's generator.
    #[test]
    fn a_key_is_hashed_as_bitcoin_core_does() {
        let script = hex::decode(&format!("21{KEY}ac")).unwrap();
        assert!(can_be_wrapped(&script));
        let program = witness_program_of(&script).map(|program| hex::encode(&program));
        assert_eq!(program.as_deref(), Some("0014751e76e8199196d454941c45d1b3a323f1433bd6"));
        assert_eq!(script_hash_of(&script).len(), 23);
    }

    #[test]
    fn scripts_that_bitcoin_core_does_not_wrap_are_not_hashed() {
        for text in ["6a", "ba", "7e", "50", "4c", "51024e73"] {
            assert!(!can_be_wrapped(&hex::decode(text).unwrap()), "{text}");
        }
        let program = hex::decode(&format!("0014{}", "33".repeat(20))).unwrap();
        assert!(can_be_wrapped(&program));
        assert_eq!(witness_program_of(&program), None);
        let long = format!("04{}", "22".repeat(64));
        let multisig = hex::decode(&format!("5121{KEY}41{long}52ae")).unwrap();
        assert_eq!(witness_program_of(&multisig), None);
    }
}
