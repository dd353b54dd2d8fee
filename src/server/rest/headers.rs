//! `/rest/headers`: up to 2000 headers of the best chain, from the one with the requested hash on.

use super::answer::{RestError, RestFormat, RestResult, check_warmup, json, parse_hash, respond};
use crate::core_json::HeaderInfo;
use crate::primitives::{BlockHash, Header, hex};
use crate::query::{ChainReader, HeaderRange, Located};
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
    let failed = |error| RestError::internal(&error);
    let mut reader = state.chain();
    let from = match reader.locate(hash).map_err(failed)? {
        Some(Located::Active(from)) => Some(from),
        // As in Bitcoin Core, only headers of the best chain are returned.
        Some(Located::Side(_)) | None => None,
    };
    if format == RestFormat::Json {
        let infos = from.map(|from| infos(&mut reader, from, count)).transpose()?;
        return json(&infos.unwrap_or_default());
    }
    let headers = match from {
        Some(from) => reader.run(from, count).map_err(failed)?.headers,
        None => Vec::new(),
    };
    if format == RestFormat::Bin {
        return Ok(respond(format, Header::encode_all(&headers)));
    }
    Ok(respond(format, hex::encode(&Header::encode_all(&headers)) + "\n"))
}

/// Returns what `getblockheader` prints for up to `count` headers of the best chain from a height on.
fn infos(reader: &mut ChainReader, from: u32, count: u32) -> Result<Vec<HeaderInfo>, RestError> {
    let failed = |error| RestError::internal(&error);
    let tip = reader.tip().map_err(failed)?.height;
    let to = from.saturating_add(count - 1).min(tip);
    let span = HeaderRange::new(reader, tip, from, to).next_span(count).map_err(failed)?;
    let infos = span.map(|span| span.infos()).unwrap_or_default();
    Ok(infos.into_iter().map(HeaderInfo::without_block).collect())
}
