//! Scripts as people read them: instructions, text, kind, address.
//!
//! Scripts are not executed: they are only made from addresses, classified, measured and shown, with the names and in
//! the forms of Bitcoin Core. Any bytes are a script, and no bytes make a function here panic.

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
pub(crate) use wrapped::{can_be_wrapped, script_hash_of, witness_program_of};
