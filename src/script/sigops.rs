//! The count of signature operations.

use super::instruction::Instructions;
use super::opcode::{OP_CHECKMULTISIG, OP_CHECKMULTISIGVERIFY, OP_CHECKSIG, OP_CHECKSIGVERIFY};

/// How many operations a multisig counts as, whatever the number of its keys. Source: Bitcoin Core `MAX_PUBKEYS_PER_MULTISIG`.
const MULTISIG: usize = 20;

/// Returns how many signature operations a script has, with 20 for each multisig.
///
/// Source: Bitcoin Core `CScript::GetSigOpCount(false)`. The sum over a transaction's scripts is `GetLegacySigOpCount`.
pub(crate) fn legacy_sigops(script: &[u8]) -> usize {
    let instructions = Instructions::new(script).map_while(Result::ok);
    instructions
        .map(|instruction| match instruction.opcode {
            OP_CHECKSIG | OP_CHECKSIGVERIFY => 1,
            OP_CHECKMULTISIG | OP_CHECKMULTISIGVERIFY => MULTISIG,
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::legacy_sigops;
    use bitcoin::Script;
    use proptest::collection::vec;
    use proptest::{prop_assert_eq, prop_oneof, proptest};

    proptest! {
        #[test]
        fn any_script_has_as_many_sigops_as_the_bitcoin_crate_counts(
            script in vec(prop_oneof![0xac..=0xafu8, 0..=0x60u8, proptest::num::u8::ANY], 0..60)
        ) {
            let expected = Script::from_bytes(&script).count_sigops_legacy();
            prop_assert_eq!(legacy_sigops(&script), expected);
        }
    }
}
