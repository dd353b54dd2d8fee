//! What Bitcoin Core's RPC prints: headers, transactions, blocks, amounts.

mod amount;
mod block;
mod header;
mod transaction;

pub use amount::Amount;
pub use block::{BlockInfo, BlockTxs};
pub use header::{BitsInfo, HeaderInfo, difficulty, serialize_difficulty, sixteen_digits};
pub use transaction::{InputInfo, OutputInfo, ScriptPubKeyInfo, ScriptSigInfo, TxInfo, TxWithHex};
