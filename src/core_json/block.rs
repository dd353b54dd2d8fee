//! Blocks as Bitcoin Core's RPC shows them.

use super::header::HeaderInfo;
use super::transaction::TxWithHex;
use crate::primitives::{Network, Txid};
use crate::spv::CheckedBlock;
use serde::Serialize;

/// The keys of `getblock`, except the fees, which depend on the coins that the transactions spend.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BlockInfo {
    /// The keys of the block's header, including the number of transactions (`nTx`).
    #[serde(flatten)]
    pub header: HeaderInfo,
    /// Size in bytes without witness data.
    pub strippedsize: usize,
    /// Size in bytes.
    pub size: usize,
    /// Weight in weight units.
    pub weight: usize,
    /// The transactions of the block.
    pub tx: BlockTxs,
}

/// The transactions of a block.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum BlockTxs {
    /// The txids only: verbosity 1.
    Ids(Vec<String>),
    /// The whole transactions: verbosity 2.
    Whole(Vec<TxWithHex>),
}

impl BlockInfo {
    /// Returns the keys of a block. If `whole` is a network, they contain whole transactions, with addresses of that
    /// network. Otherwise, they contain only txids.
    pub(crate) fn new(header: HeaderInfo, checked: &CheckedBlock, whole: Option<Network>) -> Self {
        let (block, txids) = (checked.block(), checked.txids());
        let tx = match whole {
            None => BlockTxs::Ids(txids.iter().map(Txid::to_string).collect()),
            Some(network) => BlockTxs::Whole(
                block.transactions().map(|tx| TxWithHex::new(tx, network)).collect(),
            ),
        };
        Self {
            header: HeaderInfo { transaction_count: Some(block.len()), ..header },
            strippedsize: block.stripped_size(),
            size: block.size(),
            weight: block.weight(),
            tx,
        }
    }
}
