//! Compares scripts of a real block and generated scripts with the `bitcoin` crate (the oracle), and texts with those
//! that Bitcoin Core prints.

use super::address::AddressError;
use super::{ScriptKind, address_of, asm, asm_of_script_sig, script_of_address};
use crate::primitives::{Network, hex};
use bitcoin::script::Script;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::sample::Index;
use proptest::{prop_assert, prop_oneof, proptest};

const BLOCK: &[u8] = include_bytes!("../../fixtures/mainnet-0831332.bin");

fn theirs(network: Network) -> bitcoin::Network {
    match network {
        Network::Mainnet => bitcoin::Network::Bitcoin,
        Network::Testnet3 => bitcoin::Network::Testnet,
        Network::Testnet4 => bitcoin::Network::Testnet4,
        Network::Signet => bitcoin::Network::Signet,
        Network::Regtest => bitcoin::Network::Regtest,
    }
}

/// Asserts that the oracle finds the same kind and address.
fn assert_same(script: &[u8]) {
    let kind = ScriptKind::of(script);
    let oracle = Script::from_bytes(script);
    assert_eq!(matches!(kind, ScriptKind::PubKeyHash(_)), oracle.is_p2pkh());
    assert_eq!(matches!(kind, ScriptKind::ScriptHash(_)), oracle.is_p2sh());
    assert_eq!(matches!(kind, ScriptKind::WitnessV0KeyHash(_)), oracle.is_p2wpkh());
    assert_eq!(matches!(kind, ScriptKind::WitnessV0ScriptHash(_)), oracle.is_p2wsh());
    assert_eq!(matches!(kind, ScriptKind::WitnessV1Taproot(_)), oracle.is_p2tr());
    // The oracle does not check keys. All P2PK scripts here have valid prefixes, and some multisig scripts do not.
    assert!(matches!(kind, ScriptKind::PubKey(_)) || !oracle.is_p2pk());
    assert!(!matches!(kind, ScriptKind::Multisig { .. }) || oracle.is_multisig());
    assert!(!matches!(kind, ScriptKind::NullData(_)) || oracle.is_op_return());
    for network in Network::ALL {
        let address = bitcoin::Address::from_script(oracle, theirs(network)).ok();
        let ours = address_of(script, network);
        assert_eq!(ours, address.map(|address| address.to_string()), "{}", hex::encode(script));
        if let Some(address) = ours {
            assert_eq!(script_of_address(&address, network), Ok(script.to_vec()));
        }
    }
}

#[test]
fn every_output_of_a_real_block_has_the_oracles_kind_and_address() {
    let block: bitcoin::Block = bitcoin::consensus::deserialize(BLOCK).unwrap();
    let mut names = std::collections::BTreeMap::new();
    for output in block.txdata.iter().flat_map(|tx| &tx.output) {
        let script = output.script_pubkey.as_bytes();
        assert_same(script);
        *names.entry(ScriptKind::of(script).name()).or_insert(0) += 1;
    }
    assert!(names.len() >= 7, "{names:?}");
}

fn any_script() -> impl Strategy<Value = Vec<u8>> {
    let with = |front: &'static [u8], length: usize, back: &'static [u8]| {
        vec(any::<u8>(), length).prop_map(move |middle| [front, &middle, back].concat())
    };
    prop_oneof![
        with(&[0x76, 0xa9, 20], 20, &[0x88, 0xac]),
        with(&[0xa9, 20], 20, &[0x87]),
        with(&[0, 20], 20, &[]),
        with(&[0, 32], 32, &[]),
        with(&[0x51, 32], 32, &[]),
        with(&[0x51, 2], 2, &[]),
        with(&[33, 2], 32, &[0xac]),
        with(&[65, 4], 64, &[0xac]),
        with(&[0x51, 33, 3], 32, &[0x51, 0xae]),
        with(&[0x6a], 6, &[]),
        (0x50..0x62u8, vec(any::<u8>(), 0..45)).prop_map(|(version, program)| {
            let length = u8::try_from(program.len()).expect("below 45");
            [&[version, length], &program[..]].concat()
        }),
        vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_script_has_the_oracles_kind_and_address(script in any_script()) {
        assert_same(&script);
        asm(&script);
        prop_assert!(asm_of_script_sig(&script).len() >= asm(&script).len().min(1));
        if let Some(text) = ScriptKind::of(&script).text() {
            prop_assert!(!text.chars().any(char::is_control));
        }
    }

    #[test]
    fn an_address_with_a_changed_character_is_refused(
        script in any_script(), at in any::<Index>(), letter in "[2-9a-hj-np-z]",
    ) {
        let Some(address) = address_of(&script, Network::Mainnet) else { return Ok(()) };
        let at = at.index(address.len());
        let mut changed = address.clone();
        changed.replace_range(at..=at, &letter);
        let back = script_of_address(&changed, Network::Mainnet);
        prop_assert!(back.is_err() || changed == address, "{changed}");
    }
}

#[test]
fn every_kind_has_its_name() {
    let key = format!("02{}", "11".repeat(32));
    let long_key = format!("04{}", "11".repeat(64));
    let (h20, h32) = ("22".repeat(20), "33".repeat(32));
    for (script, name) in [
        (format!("21{key}ac"), "pubkey"),
        (format!("41{long_key}ac"), "pubkey"),
        (format!("2105{}ac", "11".repeat(32)), "nonstandard"),
        (format!("76a914{h20}88ac"), "pubkeyhash"),
        (format!("a914{h20}87"), "scripthash"),
        (format!("0014{h20}"), "witness_v0_keyhash"),
        (format!("0020{h32}"), "witness_v0_scripthash"),
        (format!("0010{}", "44".repeat(16)), "nonstandard"),
        (format!("5120{h32}"), "witness_v1_taproot"),
        ("51024e73".to_owned(), "anchor"),
        (format!("5220{h32}"), "witness_unknown"),
        ("51021234".to_owned(), "witness_unknown"),
        ("6a0548656c6c6f".to_owned(), "nulldata"),
        ("6a".to_owned(), "nulldata"),
        ("6a05ff".to_owned(), "nonstandard"),
        ("6a61".to_owned(), "nonstandard"),
        (format!("5121{key}21{key}52ae"), "multisig"),
        (format!("5221{key}51ae"), "nonstandard"),
        (format!("5121{key}52ae"), "nonstandard"),
        (format!("0021{key}51ae"), "nonstandard"),
        (format!("5121{key}51ae51"), "nonstandard"),
        // Numbers above 16 are pushed as bytes. Only the shortest push is accepted, and only up to 20 keys.
        (format!("51{}0111ae", format!("21{key}").repeat(17)), "multisig"),
        (format!("51{}021100ae", format!("21{key}").repeat(17)), "nonstandard"),
        (format!("51{}4c0111ae", format!("21{key}").repeat(17)), "nonstandard"),
        (format!("51{}0115ae", format!("21{key}").repeat(21)), "nonstandard"),
        (String::new(), "nonstandard"),
    ] {
        assert_eq!(ScriptKind::of(&hex::decode(&script).unwrap()).name(), name, "{script}");
    }
}

#[test]
fn an_op_return_with_text_is_shown_as_text() {
    let text = |script: &str| ScriptKind::of(&hex::decode(script).unwrap()).text();
    assert_eq!(text("6a0568656c6c6f").as_deref(), Some("hello"));
    assert_eq!(text("6a0268650c6c6c6f20776f726c64203a29").as_deref(), Some("hello world :)"));
    assert_eq!(text("6a04f09f9880").as_deref(), Some("\u{1f600}"));
    for none in ["6a", "6a0120", "6a02ffff", "6a031b5b6d", "6a03e280ae", "76"] {
        assert_eq!(text(none), None, "{none}");
    }
}

#[test]
fn data_with_invisible_characters_is_not_shown_as_text() {
    let text = |character: char| {
        let text = format!("a{character}b").into_bytes();
        let length = u8::try_from(text.len()).unwrap();
        ScriptKind::of(&[&[0x6a, length], &text[..]].concat()).text()
    };
    for hidden in [
        '\u{ad}',
        '\u{34f}',
        '\u{115f}',
        '\u{180b}',
        '\u{200b}',
        '\u{202e}',
        '\u{2800}',
        '\u{3164}',
        '\u{feff}',
        '\u{ffa0}',
        '\u{e0100}',
        '\u{e01ef}',
    ] {
        assert_eq!(text(hidden), None, "{:04x}", u32::from(hidden));
    }
    // Accents, emoji with their variation selector, Braille and the letters of other languages are shown.
    for seen in ['\u{301}', '\u{fe0f}', '\u{3163}', '\u{2801}', '\u{1f600}', '\u{e9}'] {
        assert!(text(seen).is_some(), "{:04x}", u32::from(seen));
    }
}

#[test]
fn the_length_of_data_is_the_sum_of_all_pushes() {
    for (script, expected) in [
        ("6a", Some(0)),
        ("6a0568656c6c6f", Some(5)),
        ("6a4c0568656c6c6f", Some(5)),
        ("6a02ffff4d0100aa", Some(3)),
        ("6a51", Some(0)),
        ("51", None),
    ] {
        assert_eq!(ScriptKind::of(&hex::decode(script).unwrap()).data_len(), expected, "{script}");
    }
}

/// The expected texts are those of `bitcoin-cli decodescript`.
#[test]
fn asm_is_what_bitcoin_core_writes() {
    for (script, text) in [
        ("", ""),
        ("00", "0"),
        ("4f515260", "-1 1 2 16"),
        ("0180", "0"),
        ("0181", "-1"),
        ("02ff80", "-255"),
        ("04ffffffff", "-2147483647"),
        ("050102030405", "0102030405"),
        ("4c0101", "1"),
        ("4d0100ff", "-127"),
        ("4e01000000ff", "-127"),
        ("76a90101", "OP_DUP OP_HASH160 1"),
        (
            "b1b2bab0b9",
            "OP_CHECKLOCKTIMEVERIFY OP_CHECKSEQUENCEVERIFY OP_CHECKSIGADD OP_NOP1 OP_NOP10",
        ),
        ("50bbfeff", "OP_RESERVED OP_UNKNOWN OP_UNKNOWN OP_INVALIDOPCODE"),
        ("6a05ff", "OP_RETURN [error]"),
        ("4d01", "[error]"),
    ] {
        assert_eq!(asm(&hex::decode(script).unwrap()), text, "{script}");
    }
}

#[test]
fn signatures_in_an_input_are_shown_with_their_hash_type() {
    let der = "304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518\
               331561406f90300e8f3358f51928d43c212a8caed02de67eebee";
    for (hash_type, shown) in
        [("01", "[ALL]"), ("82", "[NONE|ANYONECANPAY]"), ("83", "[SINGLE|ANYONECANPAY]")]
    {
        let script = hex::decode(&format!("47{der}{hash_type}")).unwrap();
        assert_eq!(asm_of_script_sig(&script), format!("{der}{shown}"));
        assert_eq!(asm(&script), format!("{der}{hash_type}"));
    }
    // Data with an unknown hash type, or with a byte that breaks the encoding, stays as it is.
    for (der, hash_type) in [(der.to_owned(), "04"), (der.replacen("3044", "3045", 1), "01")] {
        let script = hex::decode(&format!("47{der}{hash_type}")).unwrap();
        assert_eq!(asm_of_script_sig(&script), format!("{der}{hash_type}"));
    }
    // So does a signature after OP_RETURN.
    let script = hex::decode(&format!("6a47{der}01")).unwrap();
    assert_eq!(asm_of_script_sig(&script), format!("OP_RETURN {der}01"));
}

#[test]
fn an_address_of_another_network_has_an_error_of_its_own() {
    let mainnet = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    assert!(script_of_address(mainnet, Network::Mainnet).is_ok());
    for (address, network) in [
        (mainnet, Network::Signet),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", Network::Regtest),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Network::Mainnet),
    ] {
        let error = script_of_address(address, network).unwrap_err();
        assert!(matches!(error, AddressError::OtherNetwork { .. }), "{error}");
    }
    let bad =
        ["", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"];
    for address in bad {
        let error = script_of_address(address, Network::Mainnet).unwrap_err();
        assert!(matches!(error, AddressError::Malformed { .. }), "{error}");
    }
}
