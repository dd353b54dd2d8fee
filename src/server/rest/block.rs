//! `/rest/block`: a block, downloaded from peers and checked against its stored header.

use super::answer::{RestError, RestFormat, RestResult, check_warmup, parse_hash, respond};
use crate::primitives::hex;
use crate::server::rpc::{self, RpcCode};
use crate::server::state::ServerState;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::sync::Arc;

/// Answers with a block. As JSON it has its whole transactions.
pub(super) async fn whole(
    State(state): State<Arc<ServerState>>,
    Path(file): Path<String>,
) -> RestResult {
    answer(state, &file, 2).await
}

/// Answers with a block. As JSON it has only the txids of its transactions.
pub(super) async fn without_details(
    State(state): State<Arc<ServerState>>,
    Path(file): Path<String>,
) -> RestResult {
    answer(state, &file, 1).await
}

async fn answer(state: Arc<ServerState>, file: &str, verbosity: i32) -> RestResult {
    check_warmup(&state)?;
    let (text, format) = RestFormat::split(file);
    let hash = parse_hash(text)?;
    let format = format.ok_or_else(RestError::unknown_format)?;
    let verbosity = if format == RestFormat::Json { verbosity } else { 0 };
    let block = rpc::block(state, hash, verbosity).await.map_err(|error| match error.code {
        code if code == RpcCode::InvalidAddressOrKey as i32 => {
            RestError::not_found(format!("{text} not found"))
        }
        code if code == RpcCode::InternalError as i32 => {
            RestError::new(StatusCode::INTERNAL_SERVER_ERROR, error.message)
        }
        _ => RestError::new(StatusCode::SERVICE_UNAVAILABLE, error.message),
    })?;
    let digits = block.trim_matches('"');
    match format {
        RestFormat::Json => Ok(respond(format, block + "\n")),
        RestFormat::Hex => Ok(respond(format, digits.to_owned() + "\n")),
        RestFormat::Bin => {
            let bytes = hex::decode(digits).map_err(|error| RestError::internal(&error))?;
            Ok(respond(format, bytes))
        }
    }
}
