//! The kinds of output scripts.

use super::instruction::{Instruction, Instructions, number};
use super::opcode::{
    OP_1, OP_1NEGATE, OP_16, OP_CHECKMULTISIG, OP_CHECKSIG, OP_DUP, OP_EQUAL, OP_EQUALVERIFY,
    OP_HASH160, OP_PUSHDATA1, OP_PUSHDATA4, OP_RETURN,
};

/// The greatest number of keys in a bare multisig. Source: Bitcoin Core `MAX_PUBKEYS_PER_MULTISIG`.
const MAX_KEYS: i64 = 20;

/// The greatest length of a script outside tapscript, in bytes. Source: Bitcoin Core `MAX_SCRIPT_SIZE`.
pub(crate) const MAX_SCRIPT_SIZE: usize = 10_000;

/// The program of a pay-to-anchor output.
const ANCHOR: [u8; 2] = [0x4e, 0x73];

/// The kind of an output's script, with the part of the script that its kind leaves open, such as a key or a hash.
///
/// Source: Bitcoin Core `Solver`, `TxoutType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScriptKind<'a> {
    /// Pay to a public key (P2PK).
    PubKey(&'a [u8]),
    /// Pay to the hash of a public key (P2PKH).
    PubKeyHash(&'a [u8; 20]),
    /// Pay to the hash of a script (P2SH, BIP16).
    ScriptHash(&'a [u8; 20]),
    /// Pay to the hash of a public key, by witness (P2WPKH, BIP141).
    WitnessV0KeyHash(&'a [u8; 20]),
    /// Pay to the hash of a script, by witness (P2WSH, BIP141).
    WitnessV0ScriptHash(&'a [u8; 32]),
    /// Pay to a taproot output key (P2TR, BIP341).
    WitnessV1Taproot(&'a [u8; 32]),
    /// Pay to anchor (P2A): anyone may spend it, to raise the transaction's fee.
    Anchor,
    /// A witness program whose version and length have no meaning yet.
    WitnessUnknown {
        /// Its version, 1 to 16.
        version: u8,
        /// Its program, 2 to 40 bytes.
        program: &'a [u8],
    },
    /// Data in an output that nobody can spend: `OP_RETURN`, then only these pushes.
    NullData(&'a [u8]),
    /// A bare multisig: signatures by `required` of `keys` public keys spend it.
    Multisig {
        /// How many signatures are required.
        required: u8,
        /// How many keys there are.
        keys: u8,
    },
    /// Anything else.
    NonStandard,
}

impl<'a> ScriptKind<'a> {
    /// Returns the kind of a script.
    pub(crate) fn of(script: &'a [u8]) -> Self {
        if let [OP_HASH160, 20, hash @ .., OP_EQUAL] = script
            && let Ok(hash) = hash.try_into()
        {
            return Self::ScriptHash(hash);
        }
        if let Some((version, program)) = witness_program(script) {
            return Self::of_program(version, program);
        }
        match script {
            [OP_RETURN, data @ ..] if is_push_only(data) => return Self::NullData(data),
            [length @ (33 | 65), key @ .., OP_CHECKSIG]
                if key.len() == usize::from(*length) && is_key(key) =>
            {
                return Self::PubKey(key);
            }
            [OP_DUP, OP_HASH160, 20, hash @ .., OP_EQUALVERIFY, OP_CHECKSIG] => {
                if let Ok(hash) = hash.try_into() {
                    return Self::PubKeyHash(hash);
                }
            }
            _ => {}
        }
        multisig(script).unwrap_or(Self::NonStandard)
    }

    fn of_program(version: u8, program: &'a [u8]) -> Self {
        if version == 0 {
            if let Ok(hash) = program.try_into() {
                return Self::WitnessV0KeyHash(hash);
            }
            return program.try_into().map_or(Self::NonStandard, Self::WitnessV0ScriptHash);
        }
        match program.try_into() {
            Ok(key) if version == 1 => Self::WitnessV1Taproot(key),
            _ if version == 1 && program == ANCHOR => Self::Anchor,
            _ => Self::WitnessUnknown { version, program },
        }
    }

    /// Returns the name that Bitcoin Core's RPC gives the kind, as `type`. Source: `GetTxnOutputType`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PubKey(_) => "pubkey",
            Self::PubKeyHash(_) => "pubkeyhash",
            Self::ScriptHash(_) => "scripthash",
            Self::WitnessV0KeyHash(_) => "witness_v0_keyhash",
            Self::WitnessV0ScriptHash(_) => "witness_v0_scripthash",
            Self::WitnessV1Taproot(_) => "witness_v1_taproot",
            Self::Anchor => "anchor",
            Self::WitnessUnknown { .. } => "witness_unknown",
            Self::NullData(_) => "nulldata",
            Self::Multisig { .. } => "multisig",
            Self::NonStandard => "nonstandard",
        }
    }

    /// Returns the common short name of the kind, such as P2PKH.
    pub(crate) fn short_name(&self) -> &'static str {
        match self {
            Self::PubKey(_) => "P2PK",
            Self::PubKeyHash(_) => "P2PKH",
            Self::ScriptHash(_) => "P2SH",
            Self::WitnessV0KeyHash(_) => "P2WPKH",
            Self::WitnessV0ScriptHash(_) => "P2WSH",
            Self::WitnessV1Taproot(_) => "P2TR",
            Self::Anchor => "P2A",
            Self::WitnessUnknown { .. } => "witness",
            Self::NullData(_) => "OP_RETURN",
            Self::Multisig { .. } => "multisig",
            Self::NonStandard => "unknown",
        }
    }

    /// Returns how many bytes all pushes of an `OP_RETURN` carry; `None` for other kinds.
    pub(crate) fn data_len(&self) -> Option<usize> {
        let Self::NullData(data) = self else { return None };
        let pushes = Instructions::new(data).filter_map(Result::ok);
        Some(pushes.map(|push| push.data.len()).sum())
    }

    /// Returns the text that all pushes of an `OP_RETURN` form together; `None` for other kinds, and if the bytes are
    /// not UTF-8 or are blank.
    ///
    /// # Security
    /// The text is safe to print: data with control characters, invisible characters, or characters that change the
    /// writing direction gives `None`. Only the script's length limits the text's length.
    pub(crate) fn text(&self) -> Option<String> {
        let Self::NullData(data) = self else { return None };
        let pushes = Instructions::new(data).filter_map(Result::ok);
        let bytes: Vec<u8> = pushes.flat_map(|push| push.data.iter().copied()).collect();
        let text = String::from_utf8(bytes).ok()?;
        (!text.trim().is_empty() && !text.chars().any(is_unprintable)).then_some(text)
    }
}

/// Returns whether a character controls the terminal, changes the text around it, or cannot be seen.
///
/// Source: Unicode's `Default_Ignorable_Code_Point`, without the variation selectors U+FE00 to U+FE0F, which emoji use,
/// and with the line and paragraph separators, interlinear annotations and the blank Braille pattern.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether nobody can ever spend an output with this script. Source: Bitcoin Core `CScript::IsUnspendable`.
pub(crate) fn is_unspendable(script: &[u8]) -> bool {
    script.first() == Some(&OP_RETURN) || script.len() > MAX_SCRIPT_SIZE
}

/// Returns the version and the program of a witness program. Source: BIP141; Bitcoin Core `CScript::IsWitnessProgram`.
fn witness_program(script: &[u8]) -> Option<(u8, &[u8])> {
    let [version, length @ 2..=40, program @ ..] = script else { return None };
    let version = match version {
        0 => 0,
        OP_1..=OP_16 => version - OP_1 + 1,
        _ => return None,
    };
    (program.len() == usize::from(*length)).then_some((version, program))
}

/// Returns whether the script only pushes data. Source: Bitcoin Core `CScript::IsPushOnly`.
fn is_push_only(script: &[u8]) -> bool {
    Instructions::new(script)
        .all(|instruction| instruction.is_ok_and(|instruction| instruction.opcode <= OP_16))
}

/// Returns whether the bytes have the prefix and the length of a public key. Source: Bitcoin Core `CPubKey::ValidSize`.
fn is_key(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(2 | 3) => bytes.len() == 33,
        Some(4 | 6 | 7) => bytes.len() == 65,
        _ => false,
    }
}

/// Returns the kind of a bare multisig script. Source: Bitcoin Core `MatchMultisig`.
fn multisig(script: &[u8]) -> Option<ScriptKind<'_>> {
    if script.last() != Some(&OP_CHECKMULTISIG) {
        return None;
    }
    let mut instructions = Instructions::new(script);
    let required = small_number(&instructions.next()?.ok()?, 1)?;
    let mut keys = 0;
    let count = loop {
        let instruction = instructions.next()?.ok()?;
        if !is_key(instruction.data) {
            break small_number(&instruction, required)?;
        }
        keys += 1;
    };
    if keys != count || instructions.position() + 1 != script.len() {
        return None;
    }
    Some(ScriptKind::Multisig {
        required: u8::try_from(required).ok()?,
        keys: u8::try_from(keys).ok()?,
    })
}

/// Returns the number pushed, if it is in `min..=MAX_KEYS` and in its shortest form. Source: Core `GetScriptNumber`.
fn small_number(instruction: &Instruction<'_>, min: i64) -> Option<i64> {
    let count = match instruction.opcode {
        OP_1..=OP_16 => i64::from(instruction.opcode - OP_1 + 1),
        1..=OP_PUSHDATA4 if is_minimal(instruction) => number(instruction.data),
        _ => return None,
    };
    (min..=MAX_KEYS).contains(&count).then_some(count)
}

/// Returns whether a push of bytes is the shortest form of a number from 17 to 127. Numbers of keys up to 16 have
/// opcodes of their own, and none is above [`MAX_KEYS`].
///
/// Source: Bitcoin Core `CheckMinimalPush`, `CScriptNum` with `fRequireMinimal`.
fn is_minimal(instruction: &Instruction<'_>) -> bool {
    debug_assert!(instruction.opcode < OP_1NEGATE, "asked of pushes of bytes only");
    instruction.opcode < OP_PUSHDATA1 && matches!(instruction.data, [17..=0x7f])
}
