//! A script as text.

use super::instruction::{Instructions, number};
use super::kind::is_unspendable;
use super::opcode::push_name;
use super::signature::sighash_type;
use crate::primitives::hex;

/// Longest push shown as a number, in bytes.
const NUMBER_LEN: usize = 4;

/// Returns the script's instructions: opcodes by name, and pushes as a number (up to four bytes) or as hex. A malformed
/// script ends with `[error]`.
///
/// Source: Bitcoin Core `ScriptToAsmStr`.
pub(crate) fn asm(script: &[u8]) -> String {
    text(script, false)
}

/// Returns an input's script as [`asm`] does, but with the hash types of signatures by name, unless the script is
/// unspendable.
///
/// Source: Bitcoin Core `ScriptToAsmStr` with `fAttemptSighashDecode`.
pub(crate) fn asm_of_script_sig(script: &[u8]) -> String {
    text(script, !is_unspendable(script))
}

fn text(script: &[u8], decode_sighash: bool) -> String {
    let mut out = String::new();
    for instruction in Instructions::new(script) {
        if !out.is_empty() {
            out.push(' ');
        }
        let Ok(instruction) = instruction else {
            out.push_str("[error]");
            break;
        };
        if !instruction.is_data_push() {
            push_name(&mut out, instruction.opcode);
        } else if instruction.data.len() <= NUMBER_LEN {
            out.push_str(&number(instruction.data).to_string());
        } else {
            push_data(&mut out, instruction.data, decode_sighash);
        }
    }
    out
}

fn push_data(out: &mut String, data: &[u8], decode_sighash: bool) {
    match sighash_type(data).filter(|_| decode_sighash) {
        Some(name) => {
            out.push_str(&hex::encode(&data[..data.len() - 1]));
            out.push_str(&format!("[{name}]"));
        }
        None => out.push_str(&hex::encode(data)),
    }
}
