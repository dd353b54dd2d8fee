//! What Bitcoin Core's RPC prints: headers, transactions, blocks, amounts.

mod amount;
mod block;
mod header;
mod transaction;

pub(crate) use amount::Amount;
pub(crate) use block::BlockInfo;
pub use header::HeaderInfo;
pub(crate) use header::{BitsInfo, serialize_difficulty};
pub use transaction::TxInfo;
pub(crate) use transaction::TxWithHex;
