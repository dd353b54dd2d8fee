//! Scripts as people read them: instructions, text, kind, address.
//!
//! Nothing is executed and nothing judged: a script is only told apart and shown, by the names and in the forms of
//! Bitcoin Core. Any bytes are a script, and none make a function here panic.

mod address;
mod asm;
mod descriptor;
mod instruction;
mod kind;
mod opcode;
mod signature;
mod sigops;

#[cfg(test)]
mod tests;

pub use address::address_of;
pub(crate) use address::script_of_address;
pub(crate) use asm::{asm, asm_of_script_sig};
pub use descriptor::descriptor_of;
pub(crate) use kind::ScriptKind;
pub(crate) use sigops::legacy_sigops;
