//! `/rest/headers`: up to 2000 headers of the best chain, from the one with the requested hash on.

use super::answer::{RestError, RestFormat, RestResult, check_warmup, json, parse_hash, respond};
use crate::core_json::HeaderInfo;
use crate::primitives::{BlockHash, Header, hex};
use crate::query::HeaderSpan;
use crate::server::state::ServerState;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use std::sync::Arc;

/// Most headers in an answer. Source: Bitcoin Core `MAX_REST_HEADERS_RESULTS`.
const MAX_HEADERS: u32 = 2000;

/// The number of headers if the request has no `count`.
const DEFAULT_COUNT: &str = "5";

/// The parameters after the question mark.
#[derive(Deserialize)]
pub(super) struct HeadersQuery {
    count: Option<String>,
}

pub(super) async fn by_hash(
    State(state): State<Arc<ServerState>>,
    Path(file): Path<String>,
    Query(query): Query<HeadersQuery>,
) -> RestResult {
    let count = query.count.unwrap_or_else(|| DEFAULT_COUNT.to_owned());
    answer(state, file, count).await
}

pub(super) async fn by_count_and_hash(
    State(state): State<Arc<ServerState>>,
    Path((count, file)): Path<(String, String)>,
) -> RestResult {
    answer(state, file, count).await
}

async fn answer(state: Arc<ServerState>, file: String, count: String) -> RestResult {
    check_warmup(&state)?;
    let (text, format) = RestFormat::split(&file);
    let number = count.parse().ok().filter(|number| (1..=MAX_HEADERS).contains(number));
    let count = number.ok_or_else(|| {
        RestError::bad_request(format!(
            "Header count is invalid or out of acceptable range (1-{MAX_HEADERS}): {count}"
        ))
    })?;
    let hash = parse_hash(text)?;
    let format = format.ok_or_else(RestError::unknown_format)?;
    let read = state.make_large(move |state| read_headers(state, &hash, count, format)).await;
    read.map_err(|error| RestError::internal(&error))?
}

fn read_headers(
    state: &ServerState,
    hash: &BlockHash,
    count: u32,
    format: RestFormat,
) -> RestResult {
    // As in Bitcoin Core, only headers of the best chain are returned.
    let span = state.chain().headers_from(hash, count);
    let span = span.map_err(|error| RestError::internal(&error))?;
    let headers = span.as_ref().map(HeaderSpan::headers).unwrap_or_default();
    match format {
        RestFormat::Json => {
            let infos = span.map(|span| span.infos()).unwrap_or_default();
            json(&infos.into_iter().map(HeaderInfo::without_block).collect::<Vec<_>>())
        }
        RestFormat::Bin => Ok(respond(format, Header::encode_all(headers))),
        RestFormat::Hex => Ok(respond(format, hex::encode(&Header::encode_all(headers)) + "\n")),
    }
}
