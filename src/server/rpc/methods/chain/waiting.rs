//! Waits for new tips.

use crate::chain::ChainTip;
use crate::server::rpc::error::{RpcCode, RpcError};
use crate::server::rpc::method::{RpcFuture, RpcResult, done};
use crate::server::rpc::params::{RpcParams, parse_hash};
use crate::server::state::ServerState;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub(super) fn waitfornewblock(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let limit = limit(&params, 0)?;
        let current = match params.has(1) {
            true => parse_hash(params.text(1), "current_tip")?,
            false => state.tip().hash,
        };
        wait(&state, limit, |tip| tip.hash != current).await
    })
}

pub(super) fn waitforblock(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let (hash, limit) = (params.block_hash(0, "blockhash")?, limit(&params, 1)?);
        wait(&state, limit, |tip| tip.hash == hash).await
    })
}

pub(super) fn waitforblockheight(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let height = i64::from(params.integer::<i32>(0)?.unwrap_or_default());
        let limit = limit(&params, 1)?;
        wait(&state, limit, |tip| i64::from(tip.height) >= height).await
    })
}

/// Returns how long to wait; `None` if there is no limit.
fn limit(params: &RpcParams, at: usize) -> Result<Option<Duration>, RpcError> {
    let millis = params.integer::<i32>(at)?.unwrap_or_default();
    let millis =
        u64::try_from(millis).map_err(|_| RpcError::new(RpcCode::Misc, "Negative timeout"))?;
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

/// Waits until `is_wanted` accepts the tip, the limit is over, or the program ends. Then returns the tip.
async fn wait(
    state: &ServerState,
    limit: Option<Duration>,
    is_wanted: impl Fn(&ChainTip) -> bool,
) -> RpcResult {
    let (mut changes, mut stopping) = (state.live_changes(), state.stopping());
    let mut stopping = std::pin::pin!(async move { stopping.wait_for(|stop| *stop).await.is_ok() });
    let wanted = async {
        let mut is_syncing = true;
        // The tip is read from the store after each change, because the value in `changes` may be older.
        while !is_wanted(&state.tip()) {
            tokio::select! {
                changed = changes.changed(), if is_syncing => is_syncing = changed.is_ok(),
                _ = &mut stopping => return,
            }
        }
    };
    match limit {
        Some(limit) => drop(timeout(limit, wanted).await),
        None => wanted.await,
    }
    let tip = state.tip();
    done(&json!({ "hash": tip.hash.to_string(), "height": tip.height }))
}
