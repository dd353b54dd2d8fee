//! Figures of the chain and its sync: difficulty, hash rate and progress.

use crate::core_json::{Float, HeaderInfo, serialize_float, sixteen_digits};
use crate::primitives::Network;
use crate::query::{StoredHeader, hash_rate, reread_if_reorganised};
use crate::server::rpc::error::{RpcCode, RpcError};
use crate::server::rpc::method::{RpcFuture, RpcResult, done};
use crate::server::rpc::params::RpcParams;
use crate::server::state::ServerState;
use serde::Serialize;
use std::sync::Arc;

/// The number of blocks over which the hash rate is estimated by default. Source: Bitcoin Core `getnetworkhashps`.
const DEFAULT_BLOCKS: i64 = 120;

/// The keys of `getblockchaininfo`, in Bitcoin Core's order.
#[derive(Serialize)]
pub(crate) struct BlockchainInfo {
    chain: &'static str,
    blocks: u32,
    headers: u32,
    bestblockhash: String,
    bits: String,
    target: String,
    #[serde(serialize_with = "serialize_float")]
    difficulty: f64,
    time: u32,
    mediantime: u32,
    #[serde(serialize_with = "serialize_float")]
    verificationprogress: f64,
    initialblockdownload: bool,
    chainwork: String,
    size_on_disk: u64,
    pruned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signet_challenge: Option<&'static str>,
    warnings: Vec<String>,
}

/// Returns what `getblockchaininfo` and `/rest/chaininfo.json` show.
pub(crate) fn blockchain_info(state: &ServerState) -> Result<BlockchainInfo, RpcError> {
    let info = tip_info(state)?;
    let (live, params) = (state.live(), state.params());
    let expected = live.estimated_height.max(info.height).max(1);
    Ok(BlockchainInfo {
        chain: chain_name(params.network),
        blocks: info.height,
        // The headers of a presync are known, but not stored yet.
        headers: live.presync_height.unwrap_or(0).max(info.height),
        bestblockhash: info.hash,
        bits: info.bits,
        target: info.target,
        difficulty: info.difficulty,
        time: info.time,
        mediantime: info.mediantime,
        verificationprogress: sixteen_digits(f64::from(info.height.max(1)) / f64::from(expected)),
        initialblockdownload: !live.phase.is_at_tip(),
        chainwork: info.chainwork,
        size_on_disk: state.chain().info()?.size_on_disk,
        pruned: false,
        signet_challenge: Some(params.signet_challenge).filter(|script| !script.is_empty()),
        warnings: state.warnings(),
    })
}

/// Returns Bitcoin Core's name for a network.
pub(crate) fn chain_name(network: Network) -> &'static str {
    match network {
        Network::Mainnet => "main",
        Network::Testnet3 => "test",
        Network::Testnet4 => "testnet4",
        Network::Signet => "signet",
        Network::Regtest => "regtest",
    }
}

fn tip(state: &ServerState) -> Result<StoredHeader, RpcError> {
    let mut reader = state.chain();
    let height = reader.tip()?.height;
    // Between the two reads, a shorter branch with more work may replace the chain's end. Then the new tip is read.
    let stored = match reader.header(height)? {
        Some(stored) => Some(stored),
        None => {
            let height = reader.tip()?.height;
            reader.header(height)?
        }
    };
    stored.ok_or_else(|| RpcError::new(RpcCode::InternalError, "the tip cannot be read"))
}

fn tip_info(state: &ServerState) -> Result<HeaderInfo, RpcError> {
    let stored = tip(state)?;
    Ok(stored.info(stored.height).without_block())
}

pub(super) fn getblockchaininfo(state: &ServerState, _: &RpcParams) -> RpcResult {
    done(&blockchain_info(state)?)
}

pub(super) fn getdifficulty(state: &ServerState, _: &RpcParams) -> RpcResult {
    done(&Float(tip_info(state)?.difficulty))
}

/// Computes the hash rate on another thread, since the call may read the whole chain.
pub(super) fn getnetworkhashps(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let rate = state.make_large(move |state| network_hash_rate(state, &params)).await;
        rate.map_err(|error| RpcError::internal(&error))?
    })
}

/// Source: Bitcoin Core `GetNetworkHashPS`.
fn network_hash_rate(state: &ServerState, params: &RpcParams) -> RpcResult {
    let blocks = params.integer::<i32>(0)?.map_or(DEFAULT_BLOCKS, i64::from);
    let height = params.integer::<i32>(1)?.map_or(-1, i64::from);
    let tip = state.tip().height;
    if blocks < -1 || blocks == 0 {
        return Err(RpcError::invalid("Invalid nblocks. Must be a positive number or -1."));
    }
    if height < -1 || height > i64::from(tip) {
        return Err(RpcError::invalid("Block does not exist at specified height"));
    }
    let mut reader = state.chain();
    let rate = reread_if_reorganised(|| {
        let tip = reader.tip()?.height;
        let height = u32::try_from(height).map_or(tip, |height| height.min(tip));
        let blocks = match u32::try_from(blocks) {
            Ok(blocks) => blocks,
            Err(_) => height % state.params().interval + 1,
        };
        hash_rate(&mut reader, height - blocks.min(height), height)
    })?;
    // Genesis alone has no rate.
    done(&Float(sixteen_digits(rate.unwrap_or(0.0))))
}
