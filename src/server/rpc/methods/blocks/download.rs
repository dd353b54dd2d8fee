//! Gets blocks from the cache or from peers, and makes large results on another thread.

use crate::core_json::HeaderInfo;
use crate::node::WantedBlock;
use crate::primitives::BlockHash;
use crate::server::block_cache::BlockError;
use crate::server::peer_requests::TooBusy;
use crate::server::rpc::error::{RpcCode, RpcError};
use crate::server::rpc::method::RpcResult;
use crate::server::state::ServerState;
use crate::spv::CheckedBlock;
use std::sync::Arc;

impl From<TooBusy> for RpcError {
    fn from(error: TooBusy) -> Self {
        Self::new(RpcCode::Misc, error.to_string())
    }
}

impl From<BlockError> for RpcError {
    fn from(error: BlockError) -> Self {
        let code = match error {
            BlockError::NoPeers(_) => RpcCode::ClientNotConnected,
            BlockError::Undelivered(_) | BlockError::TooBusy(_) => RpcCode::Misc,
        };
        Self::new(code, error.to_string())
    }
}

/// Returns a block from the cache or from peers. `not_stored` is the error message if its header is not stored.
pub(super) async fn download(
    state: &ServerState,
    hash: BlockHash,
    not_stored: &str,
) -> Result<Arc<CheckedBlock>, RpcError> {
    let height = header_of(state, &hash, not_stored)?.height;
    Ok(state.block(WantedBlock { hash, height }).await?)
}

/// Returns what `getblockheader` prints for a header. `not_stored` is the error message if the header is not stored.
pub(super) fn header_of(
    state: &ServerState,
    hash: &BlockHash,
    not_stored: &str,
) -> Result<HeaderInfo, RpcError> {
    let stored = state.chain().header_info(hash)?;
    stored.map(|(_, info)| info).ok_or_else(|| RpcError::not_found(not_stored))
}

/// Makes a large result, such as the JSON of a block, on another thread.
pub(super) async fn make(
    state: Arc<ServerState>,
    make: impl FnOnce(&ServerState) -> RpcResult + Send + 'static,
) -> RpcResult {
    state.make_large(make).await.map_err(|error| RpcError::internal(&error))?
}
