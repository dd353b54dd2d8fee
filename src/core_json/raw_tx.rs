//! Raw transactions as Bitcoin Core's RPC reads them.

use crate::script::{MAX_SCRIPT_SIZE, has_valid_ops, is_unspendable};
use crate::wire::{Transaction, TxForm};

/// Decodes a raw transaction, which may have no inputs yet. Returns `None` if the bytes are not a transaction.
///
/// A transaction without inputs may also decode as one with witnesses (BIP144). `is_witness` says which form the bytes
/// have, if the caller knows. Otherwise both forms are tried, the one with witnesses first, and a form with sane
/// scripts is preferred.
///
/// Source: Bitcoin Core `DecodeTx` (`core_read.cpp`).
pub(crate) fn decode_raw_tx(bytes: &[u8], is_witness: Option<bool>) -> Option<Transaction> {
    let read = |form| Transaction::decode_raw(bytes.to_vec(), form).ok();
    let extended = if is_witness == Some(false) { None } else { read(TxForm::Extended) };
    if extended.as_ref().is_some_and(has_sane_scripts) {
        return extended;
    }
    let legacy = if is_witness == Some(true) { None } else { read(TxForm::Legacy) };
    if legacy.as_ref().is_some_and(has_sane_scripts) {
        return legacy;
    }
    extended.or(legacy)
}

/// Returns whether coins paid to a script are lost. Source: Bitcoin Core `sendrawtransaction` (`maxburnamount`).
pub(crate) fn is_burned(script: &[u8]) -> bool {
    is_unspendable(script) || !has_valid_ops(script)
}

/// Returns whether all scripts, except that of a coinbase's input, parse and are short enough to run.
///
/// Source: Bitcoin Core `CheckTxScriptsSanity`.
fn has_sane_scripts(transaction: &Transaction) -> bool {
    let view = transaction.view();
    let is_sane = |script: &[u8]| script.len() <= MAX_SCRIPT_SIZE && has_valid_ops(script);
    (view.is_coinbase() || view.inputs().all(|input| is_sane(input.script_sig)))
        && view.outputs().all(|output| is_sane(output.script_pubkey))
}

#[cfg(test)]
mod tests {
    use super::decode_raw_tx;
    use crate::primitives::hex;

    fn parts(text: &str, is_witness: Option<bool>) -> Option<(usize, usize)> {
        let transaction = decode_raw_tx(&hex::decode(text).unwrap(), is_witness)?;
        Some((transaction.view().inputs().len(), transaction.view().outputs().len()))
    }

    #[test]
    fn a_transaction_without_inputs_is_read_in_the_form_that_fits() {
        let nothing = "02000000000000000000";
        let paying = "0200000000010100000000000000015100000000";
        for is_witness in [None, Some(true), Some(false)] {
            assert_eq!(parts(nothing, is_witness), Some((0, 0)));
        }
        assert_eq!(parts(paying, None), Some((0, 1)));
        assert_eq!(parts(paying, Some(true)), None);
        assert_eq!(parts(paying, Some(false)), Some((0, 1)));
        assert_eq!(parts("02", None), None);
    }

    /// The bytes decode in both forms: with witnesses, as one input and one output; without, as no input and one output
    /// whose script holds most of the bytes.
    #[test]
    fn where_both_forms_fit_the_scripts_decide() {
        let both = |script: &str| {
            let (txid, value) =
                (format!("{}2f{}", "51".repeat(7), "51".repeat(24)), "51".repeat(8));
            format!("02000000000101{txid}515151510051515151 01{value}01{script}01015100000000")
                .replace(' ', "")
        };
        for (script, is_witness, expected) in [
            ("51", None, (1, 1)),
            ("51", Some(false), (0, 1)),
            // Decoded with witnesses, the output's script is a push that lacks its data.
            ("4c", None, (0, 1)),
            ("4c", Some(true), (1, 1)),
        ] {
            assert_eq!(parts(&both(script), is_witness), Some(expected), "{script} {is_witness:?}");
        }
    }
}
