//! Checks that a script consists of valid instructions.

use super::instruction::Instructions;

/// The greatest opcode that is valid outside tapscript. Source: Bitcoin Core `MAX_OPCODE` (`OP_NOP10`).
const MAX_OPCODE: u8 = 0xb9;

/// Most bytes that one push may have. Source: Bitcoin Core `MAX_SCRIPT_ELEMENT_SIZE`.
const MAX_PUSH_LEN: usize = 520;

/// Returns whether every instruction of a script is complete, has an opcode up to [`MAX_OPCODE`],
/// and pushes at most [`MAX_PUSH_LEN`] bytes.
///
/// Source: Bitcoin Core `CScript::HasValidOps`.
pub(crate) fn has_valid_ops(script: &[u8]) -> bool {
    Instructions::new(script).all(|instruction| {
        instruction.is_ok_and(|instruction| {
            instruction.opcode <= MAX_OPCODE && instruction.data.len() <= MAX_PUSH_LEN
        })
    })
}

#[cfg(test)]
mod tests {
    use super::has_valid_ops;

    #[test]
    fn instructions_are_whole_known_and_not_too_long() {
        let push = |length: u16| {
            let length = length.to_le_bytes();
            [&[0x4d][..], &length, &vec![0; usize::from(u16::from_le_bytes(length))]].concat()
        };
        for good in [&[][..], &[0x51], &[0xb9], &push(520)] {
            assert!(has_valid_ops(good), "{good:?}");
        }
        for bad in [&[0x4c][..], &[0x02, 0x51], &[0xba], &[0x51, 0xff], &push(521)] {
            assert!(!has_valid_ops(bad), "{bad:?}");
        }
    }
}
