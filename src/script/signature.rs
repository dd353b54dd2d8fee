//! Signatures in scripts, recognised by their encoding.

/// Returns the name of the hash type at the end of a signature, or `None` if the bytes are not encoded as a signature
/// with a known hash type.
///
/// Source: Bitcoin Core `CheckSignatureEncoding` with `SCRIPT_VERIFY_STRICTENC`, `mapSigHashTypes`.
pub(super) fn sighash_type(push: &[u8]) -> Option<&'static str> {
    let name = match push.last()? {
        0x01 => "ALL",
        0x02 => "NONE",
        0x03 => "SINGLE",
        0x81 => "ALL|ANYONECANPAY",
        0x82 => "NONE|ANYONECANPAY",
        0x83 => "SINGLE|ANYONECANPAY",
        _ => return None,
    };
    is_strict_der(push).then_some(name)
}

/// Returns whether the bytes are `0x30 length 0x02 r-length r 0x02 s-length s hash-type`, with r and s not
/// negative and in their shortest form.
///
/// Source: BIP66; Bitcoin Core `IsValidSignatureEncoding`.
fn is_strict_der(signature: &[u8]) -> bool {
    let [0x30, length, numbers @ .., _] = signature else { return false };
    if !(9..=73).contains(&signature.len()) || usize::from(*length) != numbers.len() {
        return false;
    }
    let Some(rest) = after_number(numbers) else { return false };
    after_number(rest).is_some_and(<[u8]>::is_empty)
}

/// Returns the bytes that follow a DER integer; `None` if the bytes do not begin with a whole one, or if it is negative
/// or not in its shortest form.
fn after_number(bytes: &[u8]) -> Option<&[u8]> {
    let [0x02, length, rest @ ..] = bytes else { return None };
    let (number, rest) = rest.split_at_checked(usize::from(*length))?;
    match number {
        [] | [0x80..=0xff, ..] | [0, 0..0x80, ..] => None,
        _ => Some(rest),
    }
}
