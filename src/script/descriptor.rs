//! Output descriptors, as Bitcoin Core infers them without knowing any keys.

use super::address::address_of;
use super::instruction::Instructions;
use super::kind::ScriptKind;
use crate::primitives::{Network, hex};
use num_bigint::BigUint;
use std::fmt::Write;

/// The characters of descriptors, in groups of 32. Source: BIP380.
const INPUT: &[u8; 95] = b"0123456789()[],'/*abcdefgh@:$%{}\
IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~\
ijklmnopqrstuvwxyzABCDEFGH`#\"\\ ";

/// The characters of checksums. Source: BIP380.
const CHECKSUM: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Characters of a checksum.
const CHECKSUM_LEN: usize = 8;

/// Returns the descriptor of an output's script, with its checksum, and with addresses in the form of `network`.
///
/// Source: Bitcoin Core `InferDescriptor`, with a provider of no keys, as `ScriptToUniv` calls it.
pub fn descriptor_of(script: &[u8], network: Network) -> String {
    let kind = ScriptKind::of(script);
    let keys = match kind {
        ScriptKind::PubKey(key) if !is_hybrid(key) => Some(format!("pk({})", hex::encode(key))),
        ScriptKind::Multisig { required, .. } => multi(script, required),
        ScriptKind::WitnessV1Taproot(key) if is_on_curve(key) => {
            Some(format!("rawtr({})", hex::encode(key)))
        }
        _ => None,
    };
    let text = keys
        .or_else(|| address_of(script, network).map(|address| format!("addr({address})")))
        .unwrap_or_else(|| format!("raw({})", hex::encode(script)));
    with_checksum(&text)
}

/// Returns the descriptor of a witness program of version 0 whose witness script is known.
///
/// Source: Bitcoin Core `InferDescriptor`, with a provider of that script. A script that Bitcoin Core would read as
/// Miniscript stays an address here.
#[cfg(feature = "cli")]
pub(crate) fn descriptor_of_witness(program: &[u8], script: &[u8], network: Network) -> String {
    let is_script_hash = matches!(ScriptKind::of(program), ScriptKind::WitnessV0ScriptHash(_));
    let keys = match ScriptKind::of(script) {
        ScriptKind::Multisig { required, .. } if is_script_hash => multi(script, required),
        _ => None,
    };
    match keys {
        Some(keys) => with_checksum(&format!("wsh({keys})")),
        None => descriptor_of(program, network),
    }
}

fn with_checksum(text: &str) -> String {
    format!("{text}#{}", checksum(text))
}

/// Returns `multi(required,key,…)`, or `None` if a key is hybrid, which descriptors do not allow.
fn multi(script: &[u8], required: u8) -> Option<String> {
    let keys = Instructions::new(script).filter_map(Result::ok).map(|instruction| instruction.data);
    let mut text = format!("multi({required}");
    for key in keys.filter(|data| data.len() >= 33) {
        if is_hybrid(key) {
            return None;
        }
        // Writing into a String does not fail.
        let _ = write!(text, ",{}", hex::encode(key));
    }
    Some(text + ")")
}

/// Returns whether a key is hybrid, OpenSSL's form with both coordinates and the sign of one.
/// Source: Bitcoin Core `CPubKey::IsValidNonHybrid`.
fn is_hybrid(key: &[u8]) -> bool {
    matches!(key.first(), Some(6 | 7))
}

/// Returns whether a point of secp256k1 has this x: there is a y with y² = x³ + 7.
/// Source: Bitcoin Core `XOnlyPubKey::IsFullyValid`; BIP340, `lift_x`.
fn is_on_curve(x: &[u8; 32]) -> bool {
    let (one, x) = (BigUint::from(1u8), BigUint::from_bytes_be(x));
    // p = 2²⁵⁶ - 2³² - 977
    let p = (&one << 256) - (&one << 32) - 977u32;
    let square = (&x * &x * &x + 7u8) % &p;
    // Euler's criterion. No x has y = 0.
    x < p && square.modpow(&((&p - 1u8) >> 1), &p) == one
}

/// Returns the checksum of a descriptor. Source: BIP380; Bitcoin Core `DescriptorChecksum`.
///
/// Every descriptor here consists of characters that a checksum covers.
fn checksum(text: &str) -> String {
    let (mut state, mut groups, mut count) = (1u64, 0u64, 0);
    for byte in text.bytes() {
        let at = INPUT.iter().position(|known| *known == byte).unwrap_or(0);
        let at = u64::try_from(at).unwrap_or(0);
        state = step(state, at & 31);
        groups = groups * 3 + (at >> 5);
        count += 1;
        if count == 3 {
            state = step(state, groups);
            (groups, count) = (0, 0);
        }
    }
    if count > 0 {
        state = step(state, groups);
    }
    let state = (0..CHECKSUM_LEN).fold(state, |state, _| step(state, 0)) ^ 1;
    let digit = |at: usize| usize::try_from((state >> (5 * (CHECKSUM_LEN - 1 - at))) & 31);
    (0..CHECKSUM_LEN).filter_map(|at| Some(char::from(*CHECKSUM.get(digit(at).ok()?)?))).collect()
}

/// Adds one symbol to the checksum. Source: Bitcoin Core `PolyMod` in `descriptor.cpp`.
fn step(state: u64, value: u64) -> u64 {
    const GENERATOR: [u64; 5] =
        [0xf5_dee5_1989, 0xa9_fdca_3312, 0x1b_ab10_e32d, 0x37_06b1_677a, 0x64_4d62_6ffd];
    let top = state >> 35;
    let next = ((state & 0x7_ffff_ffff) << 5) ^ value;
    let set = GENERATOR.iter().enumerate().filter(|(bit, _)| (top >> bit) & 1 == 1);
    set.fold(next, |next, (_, generator)| next ^ generator)
}

#[cfg(test)]
mod tests {
    use super::{checksum, descriptor_of};
    use crate::primitives::{Network, hex};

    #[test]
    fn the_checksum_of_bip380s_example_is_right() {
        assert_eq!(checksum("raw(deadbeef)"), "89f8spxm");
    }

    /// The expected descriptors are those of `bitcoin-cli decodescript` on mainnet.
    #[test]
    fn descriptors_are_those_that_bitcoin_core_infers() {
        let genesis = "4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef\
                       38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac";
        let hybrid = genesis.replacen("4104", "4106", 1);
        for (script, start) in [
            (genesis.to_owned(), "pk(04678afdb0fe55"),
            (hybrid, "raw(4106678afdb0fe55"),
            (format!("76a914{}88ac", "00".repeat(20)), "addr(1111111111111111111114oLvT2)#"),
            (format!("5120{}", "00".repeat(32)), "addr(bc1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"),
            // The x coordinate of secp256k1's generator.
            (
                "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".to_owned(),
                "rawtr(79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)#",
            ),
            (format!("5120{}", "ff".repeat(32)), "addr(bc1p"),
            ("51024e73".to_owned(), "addr(bc1pfeessrawgf)#"),
            ("6a".to_owned(), "raw(6a)#"),
            (String::new(), "raw()#"),
            (
                format!("512102{}51ae", "11".repeat(32)),
                "multi(1,021111111111111111111111111111111111111111111111111111111111111111)#",
            ),
        ] {
            let descriptor = descriptor_of(&hex::decode(&script).unwrap(), Network::Mainnet);
            assert!(descriptor.starts_with(start), "{script}: {descriptor}");
            assert_eq!(descriptor.rsplit_once('#').unwrap().1.len(), 8);
        }
    }
}
