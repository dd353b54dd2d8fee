//! Tests of transactions without inputs, which no peer accepts, and of copies without witnesses.

use super::tx::tests::{SEGWIT, decode};
use super::{DecodeError, Transaction, TxForm};
use crate::primitives::hex;

#[test]
fn a_copy_without_witnesses_has_the_same_parts_and_txid() {
    let transaction = decode(SEGWIT).unwrap();
    let (view, stripped) = (transaction.view(), transaction.view().without_witness());
    assert_eq!(Transaction::decode(stripped.bytes().to_vec()).unwrap(), stripped);
    assert_eq!(stripped.view().txid(), view.txid());
    assert_eq!(stripped.bytes().len(), view.stripped_size());
    assert!(!stripped.view().has_witness());
    assert_eq!(stripped.view().without_witness(), stripped);
}

#[test]
fn an_input_count_of_0_is_a_marker_only_in_the_extended_form() {
    let raw = |text: &str, form| Transaction::decode_raw(hex::decode(text).unwrap(), form);
    let parts = |text: &str, form| {
        let transaction = raw(text, form).ok()?;
        let view = transaction.view();
        Some((view.inputs().len(), view.outputs().len(), view.lock_time()))
    };
    let nothing = "02000000000007000000";
    let paying = "0200000000010100000000000000015107000000";
    for (text, extended, legacy) in [
        (nothing, Some((0, 0, 7)), Some((0, 0, 7))),
        (paying, None, Some((0, 1, 7))),
        (SEGWIT, Some((2, 2, 17)), None),
        ("0200000000020000000000", None, None),
        ("020000000000070000", None, None),
    ] {
        assert_eq!(parts(text, TxForm::Extended), extended, "{text}");
        assert_eq!(parts(text, TxForm::Legacy), legacy, "{text}");
        assert!(text == SEGWIT || decode(text).is_err(), "no peer accepts {text}");
    }
    let trailing = DecodeError::Trailing { expected: 10, got: 11 };
    assert_eq!(raw(&format!("{nothing}00"), TxForm::Legacy), Err(trailing));
    assert_eq!(raw(SEGWIT, TxForm::Extended), decode(SEGWIT));
}
