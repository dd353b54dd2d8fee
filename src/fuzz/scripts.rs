//! Checks scripts: any bytes are a script, and this crate says the same of each script as the `bitcoin` crate.

use crate::core_json::ScriptInfo;
use crate::primitives::Network;
use crate::script::{
    ScriptKind, address_of, asm, asm_of_script_sig, descriptor_of, has_valid_ops, is_unspendable,
    legacy_sigops, script_of_address,
};
use bitcoin::{Address, Script};

pub(super) fn run(bytes: &[u8]) {
    check_text(bytes);
    check_kind(bytes);
    for (network, theirs) in [
        (Network::Mainnet, bitcoin::Network::Bitcoin),
        (Network::Testnet4, bitcoin::Network::Testnet4),
        (Network::Regtest, bitcoin::Network::Regtest),
    ] {
        let ours = address_of(bytes, network);
        let theirs = Address::from_script(Script::from_bytes(bytes), theirs).ok();
        assert_eq!(ours, theirs.map(|address| address.to_string()));
        if let Some(address) = ours {
            assert_eq!(script_of_address(&address, network), Ok(bytes.to_vec()));
        }
    }
    // The bytes may also be the text of an address.
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(script) = script_of_address(text, Network::Mainnet)
    {
        assert!(address_of(&script, Network::Mainnet).unwrap().eq_ignore_ascii_case(text));
    }
}

fn check_text(bytes: &[u8]) {
    let texts = [
        asm(bytes),
        asm_of_script_sig(bytes),
        descriptor_of(bytes, Network::Mainnet),
        serde_json::to_string(&ScriptInfo::new(bytes, Network::Mainnet)).unwrap(),
    ];
    for text in texts {
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        // Each byte is shown as two hex digits or as a name, and `decodescript` shows the script in several forms.
        assert!(text.len() <= 1000 + 40 * bytes.len());
    }
    if let Some(text) = ScriptKind::of(bytes).text() {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

fn check_kind(bytes: &[u8]) {
    let (kind, theirs) = (ScriptKind::of(bytes), Script::from_bytes(bytes));
    assert_eq!(matches!(kind, ScriptKind::PubKeyHash(_)), theirs.is_p2pkh());
    assert_eq!(matches!(kind, ScriptKind::ScriptHash(_)), theirs.is_p2sh());
    assert_eq!(matches!(kind, ScriptKind::WitnessV0KeyHash(_)), theirs.is_p2wpkh());
    assert_eq!(matches!(kind, ScriptKind::WitnessV0ScriptHash(_)), theirs.is_p2wsh());
    assert_eq!(matches!(kind, ScriptKind::WitnessV1Taproot(_)), theirs.is_p2tr());
    // The `bitcoin` crate does not look at a key's first byte.
    assert!(!matches!(kind, ScriptKind::PubKey(_)) || theirs.is_p2pk());
    assert_eq!(legacy_sigops(bytes), theirs.count_sigops_legacy());
    assert_eq!(is_unspendable(bytes), theirs.is_op_return() || bytes.len() > 10_000);
    let is_whole = theirs.instructions().all(|instruction| instruction.is_ok());
    assert!(!has_valid_ops(bytes) || is_whole);
}
