//! A part of Bitcoin Core's REST, and `/headers`, which streams any range.
//!
//! Source: the paths, texts and status codes of `/rest` are those of Bitcoin Core `rest.cpp`.

mod answer;
mod block;
mod headers;
mod stream;

use super::rpc::blockchain_info;
use super::state::ServerState;
use crate::primitives::hex;
use crate::wire::safe_text;
use answer::{RestError, RestFormat, RestResult, check_warmup, json, respond};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

/// Returns the routes below `/rest`, and `/headers`.
pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/rest/{file}", get(chaininfo))
        .route("/rest/block/{file}", get(block::whole))
        .route("/rest/block/notxdetails/{file}", get(block::without_details))
        .route("/rest/headers/{file}", get(headers::by_hash))
        .route("/rest/headers/{count}/{file}", get(headers::by_count_and_hash))
        .route("/rest/blockhashbyheight/{file}", get(blockhashbyheight))
        .route("/headers", get(stream::headers))
}

async fn chaininfo(State(state): State<Arc<ServerState>>, Path(file): Path<String>) -> RestResult {
    let format = file.strip_prefix("chaininfo").ok_or_else(|| RestError::not_found("Not found"))?;
    check_warmup(&state)?;
    if format != ".json" {
        return Err(RestError::not_found("output format not found (available: json)"));
    }
    let info = blockchain_info(&state).map_err(|error| RestError::internal(&error.message))?;
    json(&info)
}

async fn blockhashbyheight(
    State(state): State<Arc<ServerState>>,
    Path(file): Path<String>,
) -> RestResult {
    check_warmup(&state)?;
    let (text, format) = RestFormat::split(&file);
    let height: i32 =
        text.parse().ok().filter(|height| *height >= 0).ok_or_else(|| {
            RestError::bad_request(format!("Invalid height: {}", safe_text(text)))
        })?;
    let stored =
        state.chain().header(height.unsigned_abs()).map_err(|e| RestError::internal(&e))?;
    let hash = stored.ok_or_else(|| RestError::not_found("Block height out of range"))?.hash;
    match format.ok_or_else(RestError::unknown_format)? {
        RestFormat::Bin => Ok(respond(RestFormat::Bin, hash.0.to_vec())),
        RestFormat::Hex => Ok(respond(RestFormat::Hex, hex::encode_reversed(&hash.0) + "\n")),
        RestFormat::Json => json(&json!({ "blockhash": hash.to_string() })),
    }
}
