//! Headers, transactions, blocks and amounts as Bitcoin Core's RPC prints them.

mod amount;
mod block;
mod header;
mod raw_tx;
#[cfg(feature = "cli")]
mod script;
mod transaction;

pub(crate) use amount::Amount;
pub(crate) use block::BlockInfo;
pub use header::HeaderInfo;
pub(crate) use header::{BitsInfo, Float, serialize_float, sixteen_digits};
pub(crate) use raw_tx::{decode_raw_tx, is_burned};
#[cfg(feature = "cli")]
pub(crate) use script::ScriptInfo;
pub use transaction::TxInfo;
pub(crate) use transaction::TxWithHex;
