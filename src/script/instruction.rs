//! A script as a sequence of instructions.

use super::opcode::{OP_PUSHDATA1, OP_PUSHDATA2, OP_PUSHDATA4};

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction<'a> {
    /// The first byte of the instruction.
    pub opcode: u8,
    /// The bytes that a push (opcodes up to `OP_PUSHDATA4`) pushes; empty for other instructions.
    pub data: &'a [u8],
}

impl Instruction<'_> {
    /// Returns whether the instruction pushes bytes that follow its opcode, or no bytes (`OP_0`).
    pub(crate) fn is_data_push(&self) -> bool {
        self.opcode <= OP_PUSHDATA4
    }
}

/// A push that the end of the script cuts off, in its length or in its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("script ends inside a push at offset {at}")]
pub(crate) struct Malformed {
    /// Offset of the push's opcode.
    pub at: usize,
}

/// The instructions of a script. An error is the last item.
///
/// Source: Bitcoin Core `GetScriptOp`.
#[derive(Clone, Debug)]
pub(crate) struct Instructions<'a> {
    script: &'a [u8],
    at: usize,
}

impl<'a> Instructions<'a> {
    /// Returns the instructions of a script.
    pub(crate) fn new(script: &'a [u8]) -> Self {
        Self { script, at: 0 }
    }

    /// Returns the offset of the next instruction.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn read(&mut self, opcode: u8) -> Option<Instruction<'a>> {
        let rest = &self.script[self.at + 1..];
        let (length_bytes, length) = match opcode {
            OP_PUSHDATA1 => (1, usize::from(*rest.first()?)),
            OP_PUSHDATA2 => (2, usize::from(u16::from_le_bytes(*rest.first_chunk()?))),
            OP_PUSHDATA4 => (4, usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?),
            0..OP_PUSHDATA1 => (0, usize::from(opcode)),
            _ => (0, 0),
        };
        let data = rest[length_bytes..].get(..length)?;
        self.at += 1 + length_bytes + length;
        Some(Instruction { opcode, data })
    }
}

impl<'a> Iterator for Instructions<'a> {
    type Item = Result<Instruction<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let opcode = *self.script.get(at)?;
        let read = self.read(opcode);
        if read.is_none() {
            self.at = self.script.len();
        }
        Some(read.ok_or(Malformed { at }))
    }
}

/// Returns the number that up to four bytes stand for: little-endian, with the top bit as the sign.
///
/// Source: Bitcoin Core `CScriptNum::set_vch`.
pub(super) fn number(bytes: &[u8]) -> i64 {
    let Some((last, low)) = bytes.split_last() else { return 0 };
    let magnitude = i64::from(last & 0x7f);
    let magnitude = low.iter().rev().fold(magnitude, |sum, byte| sum << 8 | i64::from(*byte));
    if last & 0x80 == 0 { magnitude } else { -magnitude }
}
