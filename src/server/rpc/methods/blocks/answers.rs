//! Answers with blocks, and with transactions from blocks or from a peer's memory pool.

use super::download::{download, header_of, make};
use crate::core_json::{BlockInfo, HeaderInfo, TxWithHex};
use crate::primitives::{BlockHash, Txid, hex};
use crate::server::rpc::error::{BLOCK_NOT_FOUND, RpcError};
use crate::server::rpc::method::{RpcFuture, RpcResult, done};
use crate::server::rpc::params::RpcParams;
use crate::server::state::ServerState;
use crate::wire::TxView;
use serde::Serialize;
use std::sync::Arc;

pub(super) fn getblock(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let hash = params.block_hash(0, "blockhash")?;
        let verbosity = params.verbosity(1)?.unwrap_or(1);
        block(state, hash, verbosity).await
    })
}

/// Returns a block as hex digits (verbosity 0 or less), with its txids (1), or with its transactions (2 or more).
///
/// # Errors
/// Its header is not stored, the download fails, or too many requests to peers are under way.
pub(crate) async fn block(state: Arc<ServerState>, hash: BlockHash, verbosity: i32) -> RpcResult {
    let block = download(&state, hash, BLOCK_NOT_FOUND).await?;
    make(state, move |state| {
        if verbosity <= 0 {
            return done(&hex::encode(block.block().bytes()));
        }
        // The header is read again, because the chain may have grown while the block was downloaded.
        let header = header_of(state, &hash, BLOCK_NOT_FOUND)?;
        let whole = (verbosity > 1).then_some(state.params().network);
        done(&BlockInfo::new(header, &block, whole))
    })
    .await
}

/// The keys of `getrawtransaction`, in Bitcoin Core's order.
#[derive(Serialize)]
struct FoundTx {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_active_chain: Option<bool>,
    #[serde(flatten)]
    transaction: TxWithHex,
    #[serde(flatten)]
    place: Option<BlockOfTx>,
}

/// The keys about a transaction's block. Source: Bitcoin Core `TxToJSON`.
#[derive(Serialize)]
struct BlockOfTx {
    blockhash: String,
    confirmations: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocktime: Option<u32>,
}

impl BlockOfTx {
    fn new(header: HeaderInfo) -> Self {
        let time = (header.confirmations > 0).then_some(header.time);
        Self {
            blockhash: header.hash,
            confirmations: header.confirmations.max(0),
            time,
            blocktime: time,
        }
    }
}

pub(super) fn getrawtransaction(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let txid = params.txid(0, "parameter 1")?;
        // The merkle root of a block with a single transaction is that transaction's id.
        if txid.0 == state.params().genesis.merkle_root.0 {
            return Err(RpcError::not_found(
                "The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved",
            ));
        }
        let verbose = params.verbosity(1)?.unwrap_or(0) > 0;
        if params.has(2) {
            let hash = params.block_hash(2, "parameter 3")?;
            from_block(state, txid, hash, verbose).await
        } else {
            from_peers(&state, txid, verbose).await
        }
    })
}

async fn from_block(
    state: Arc<ServerState>,
    txid: Txid,
    hash: BlockHash,
    verbose: bool,
) -> RpcResult {
    const HASH_NOT_FOUND: &str = "Block hash not found";
    let block = download(&state, hash, HASH_NOT_FOUND).await?;
    make(state, move |state| {
        let at = block.position(&txid);
        let found = at.and_then(|at| block.block().transactions().nth(at));
        let transaction = found.ok_or_else(|| {
            RpcError::not_found(
                "No such transaction found in the provided block. Use gettransaction for wallet transactions.",
            )
        })?;
        let header = header_of(state, &hash, HASH_NOT_FOUND)?;
        show(state, transaction, verbose, Some(header))
    })
    .await
}

async fn from_peers(state: &ServerState, txid: Txid, verbose: bool) -> RpcResult {
    let _permit = state.peer_requests().acquire().await?;
    let found = state.client().transaction(txid).await?;
    let transaction = found.ok_or_else(|| {
        RpcError::not_found(
            "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction \
             queries. Use gettransaction for wallet transactions.",
        )
    })?;
    show(state, transaction.view(), verbose, None)
}

fn show(
    state: &ServerState,
    transaction: TxView<'_>,
    verbose: bool,
    header: Option<HeaderInfo>,
) -> RpcResult {
    if !verbose {
        return done(&hex::encode(transaction.bytes()));
    }
    done(&FoundTx {
        in_active_chain: header.as_ref().map(|header| header.confirmations > 0),
        transaction: TxWithHex::new(transaction, state.params().network),
        place: header.map(BlockOfTx::new),
    })
}
