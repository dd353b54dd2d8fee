//! Scripts as people read them: instructions, text, kind, address.
//!
//! Scripts are not executed and not judged: they are only classified and shown, by the names and in the forms of
//! Bitcoin Core. Any bytes are a script, and none make a function here panic.

mod address;
mod asm;
mod descriptor;
mod instruction;
mod kind;
mod opcode;
mod signature;
mod sigops;
mod valid;
#[cfg(feature = "cli")]
mod wrapped;

#[cfg(test)]
mod tests;

pub use address::address_of;
pub(crate) use address::script_of_address;
pub(crate) use asm::{asm, asm_of_script_sig};
pub use descriptor::descriptor_of;
#[cfg(feature = "cli")]
pub(crate) use descriptor::descriptor_of_witness;
pub(crate) use kind::{MAX_SCRIPT_SIZE, ScriptKind, is_unspendable};
pub(crate) use sigops::legacy_sigops;
pub(crate) use valid::has_valid_ops;
#[cfg(feature = "cli")]
pub(crate) use wrapped::{can_be_hashed, script_hash_of, witness_program_of};
