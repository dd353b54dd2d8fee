//! Addresses, which stand for scripts of certain kinds.

use super::kind::ScriptKind;
use super::opcode::{OP_1, OP_CHECKSIG, OP_DUP, OP_EQUAL, OP_EQUALVERIFY, OP_HASH160};
use crate::primitives::Network;
use bech32::{Fe32, Hrp, segwit};

/// Version bytes (base58check) and prefix (bech32) of a network's addresses. Source: Bitcoin Core `chainparams.cpp`,
/// `base58Prefixes` and `bech32_hrp`.
struct Prefixes {
    pub_key_hash: u8,
    script_hash: u8,
    hrp: Hrp,
}

const fn prefixes(network: Network) -> Prefixes {
    let (pub_key_hash, script_hash, hrp) = match network {
        Network::Mainnet => (0, 5, "bc"),
        Network::Testnet3 | Network::Testnet4 | Network::Signet => (111, 196, "tb"),
        Network::Regtest => (111, 196, "bcrt"),
    };
    Prefixes { pub_key_hash, script_hash, hrp: Hrp::parse_unchecked(hrp) }
}

/// Returns the address of a script on a network: base58check for P2PKH and P2SH, bech32 (BIP173) for witness programs
/// of version 0, bech32m (BIP350) for later ones. Returns `None` for kinds without addresses.
///
/// Source: Bitcoin Core `ExtractDestination`, `EncodeDestination`.
pub fn address_of(script: &[u8], network: Network) -> Option<String> {
    let prefixes = prefixes(network);
    let program = match ScriptKind::of(script) {
        ScriptKind::PubKeyHash(hash) => return Some(base58(prefixes.pub_key_hash, hash)),
        ScriptKind::ScriptHash(hash) => return Some(base58(prefixes.script_hash, hash)),
        ScriptKind::WitnessV0KeyHash(_)
        | ScriptKind::WitnessV0ScriptHash(_)
        | ScriptKind::WitnessV1Taproot(_)
        | ScriptKind::Anchor
        | ScriptKind::WitnessUnknown { .. } => &script[2..],
        ScriptKind::PubKey(_)
        | ScriptKind::NullData(_)
        | ScriptKind::Multisig { .. }
        | ScriptKind::NonStandard => return None,
    };
    let version = script[0].saturating_sub(OP_1 - 1);
    segwit::encode(prefixes.hrp, Fe32::try_from(version).ok()?, program).ok()
}

fn base58(version: u8, hash: &[u8; 20]) -> String {
    bs58::encode(hash).with_check_version(version).into_string()
}

/// Why a text is no address of the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// The text is an address of another network.
    #[error("{address} is an address of another network than {network}")]
    OtherNetwork {
        /// The text.
        address: String,
        /// The expected network.
        network: Network,
    },
    /// The text is neither base58check nor bech32, or its checksum, length or prefix is not one of an address.
    #[error("{address} is not a valid address: form, length or checksum is wrong")]
    Malformed {
        /// The text.
        address: String,
    },
}

/// Returns the script that an address of a network stands for. Source: Bitcoin Core `DecodeDestination`.
///
/// # Errors
/// The text is no address, or one of another network.
pub(crate) fn script_of_address(address: &str, network: Network) -> Result<Vec<u8>, AddressError> {
    let other = || AddressError::OtherNetwork { address: address.to_owned(), network };
    let prefixes = prefixes(network);
    if let Ok((hrp, version, program)) = segwit::decode(address) {
        let known = Network::ALL.iter().any(|network| self::prefixes(*network).hrp == hrp);
        return match (hrp == prefixes.hrp, known) {
            (true, _) => Ok(witness_script(version.to_u8(), &program)),
            (false, true) => Err(other()),
            (false, false) => Err(AddressError::Malformed { address: address.to_owned() }),
        };
    }
    let decoded = bs58::decode(address).with_check(None).into_vec().ok();
    let Some((version, hash)) = decoded
        .as_deref()
        .and_then(|bytes| bytes.split_first())
        .filter(|(version, hash)| hash.len() == 20 && [0, 5, 111, 196].contains(version))
    else {
        return Err(AddressError::Malformed { address: address.to_owned() });
    };
    if *version == prefixes.pub_key_hash {
        Ok([&[OP_DUP, OP_HASH160, 20], hash, &[OP_EQUALVERIFY, OP_CHECKSIG]].concat())
    } else if *version == prefixes.script_hash {
        Ok([&[OP_HASH160, 20], hash, &[OP_EQUAL]].concat())
    } else {
        Err(other())
    }
}

fn witness_script(version: u8, program: &[u8]) -> Vec<u8> {
    let opcode = if version == 0 { 0 } else { version + OP_1 - 1 };
    let length = u8::try_from(program.len()).expect("a witness program has at most 40 bytes");
    [&[opcode, length], program].concat()
}
