//! Opcodes by number and name.

pub(super) const OP_PUSHDATA1: u8 = 0x4c;
pub(super) const OP_PUSHDATA2: u8 = 0x4d;
pub(super) const OP_PUSHDATA4: u8 = 0x4e;
pub(super) const OP_1NEGATE: u8 = 0x4f;
pub(super) const OP_1: u8 = 0x51;
pub(super) const OP_16: u8 = 0x60;
pub(super) const OP_RETURN: u8 = 0x6a;
pub(super) const OP_DUP: u8 = 0x76;
pub(super) const OP_EQUAL: u8 = 0x87;
pub(super) const OP_EQUALVERIFY: u8 = 0x88;
pub(super) const OP_HASH160: u8 = 0xa9;
pub(super) const OP_CHECKSIG: u8 = 0xac;
pub(super) const OP_CHECKSIGVERIFY: u8 = 0xad;
pub(super) const OP_CHECKMULTISIG: u8 = 0xae;
pub(super) const OP_CHECKMULTISIGVERIFY: u8 = 0xaf;

const RESERVED: u8 = 0x50;
const FIRST_NAMED: u8 = 0x61;

/// The names of the opcodes from `OP_NOP` (0x61) to `OP_CHECKSIGADD` (0xba), without `OP_`.
const NAMES: [&str; 90] = [
    "NOP",
    "VER",
    "IF",
    "NOTIF",
    "VERIF",
    "VERNOTIF",
    "ELSE",
    "ENDIF",
    "VERIFY",
    "RETURN",
    "TOALTSTACK",
    "FROMALTSTACK",
    "2DROP",
    "2DUP",
    "3DUP",
    "2OVER",
    "2ROT",
    "2SWAP",
    "IFDUP",
    "DEPTH",
    "DROP",
    "DUP",
    "NIP",
    "OVER",
    "PICK",
    "ROLL",
    "ROT",
    "SWAP",
    "TUCK",
    "CAT",
    "SUBSTR",
    "LEFT",
    "RIGHT",
    "SIZE",
    "INVERT",
    "AND",
    "OR",
    "XOR",
    "EQUAL",
    "EQUALVERIFY",
    "RESERVED1",
    "RESERVED2",
    "1ADD",
    "1SUB",
    "2MUL",
    "2DIV",
    "NEGATE",
    "ABS",
    "NOT",
    "0NOTEQUAL",
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "MOD",
    "LSHIFT",
    "RSHIFT",
    "BOOLAND",
    "BOOLOR",
    "NUMEQUAL",
    "NUMEQUALVERIFY",
    "NUMNOTEQUAL",
    "LESSTHAN",
    "GREATERTHAN",
    "LESSTHANOREQUAL",
    "GREATERTHANOREQUAL",
    "MIN",
    "MAX",
    "WITHIN",
    "RIPEMD160",
    "SHA1",
    "SHA256",
    "HASH160",
    "HASH256",
    "CODESEPARATOR",
    "CHECKSIG",
    "CHECKSIGVERIFY",
    "CHECKMULTISIG",
    "CHECKMULTISIGVERIFY",
    "NOP1",
    "CHECKLOCKTIMEVERIFY",
    "CHECKSEQUENCEVERIFY",
    "NOP4",
    "NOP5",
    "NOP6",
    "NOP7",
    "NOP8",
    "NOP9",
    "NOP10",
    "CHECKSIGADD",
];

/// Appends the name of an opcode that is no push of bytes. Source: Bitcoin Core `GetOpName`.
pub(super) fn push_name(out: &mut String, opcode: u8) {
    match opcode {
        OP_1NEGATE => out.push_str("-1"),
        OP_1..=OP_16 => out.push_str(&(opcode - OP_1 + 1).to_string()),
        RESERVED => out.push_str("OP_RESERVED"),
        0xff => out.push_str("OP_INVALIDOPCODE"),
        _ => {
            let at = opcode.checked_sub(FIRST_NAMED).map(usize::from);
            out.push_str("OP_");
            out.push_str(at.and_then(|at| NAMES.get(at)).unwrap_or(&"UNKNOWN"));
        }
    }
}
