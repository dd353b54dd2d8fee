//! JSON-RPC as Bitcoin Core answers it.

mod envelope;
mod error;
mod method;
mod methods;
mod params;

pub(crate) use error::RpcCode;
pub(crate) use methods::blocks::block;
pub(crate) use methods::chain::{blockchain_info, chain_name};

use super::metrics::record_call;
use super::state::ServerState;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use envelope::{RpcBody, RpcCall, RpcRequest, RpcVersion, read_body};
use error::RpcError;
use method::{RpcResult, RpcRun};
use methods::method;
use params::RpcParams;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::yield_now;

/// How many calls a batch may have.
const MAX_BATCH: usize = 10_000;

/// Once the replies of a batch are longer than this in all (bytes), each further call gets an error.
const MAX_REPLIES: usize = 64 << 20;

/// After this many calls of a batch, other requests get their turn.
const CALLS_PER_TURN: usize = 64;

/// About how many bytes a reply has around its result.
const REPLY_FRAME: usize = 256;

/// Answers the body of a request whose credentials were accepted.
pub(super) async fn answer(state: &Arc<ServerState>, body: &[u8]) -> Response {
    match read_body(body, MAX_BATCH) {
        Ok(RpcBody::Single(call, request)) => single(state, call, request).await,
        Ok(RpcBody::Batch(calls)) => batch(state, &calls).await,
        Err(error) => failure(RpcCall::UNREAD, error),
    }
}

async fn batch(state: &Arc<ServerState>, calls: &[&RawValue]) -> Response {
    let mut replies = "[".to_owned();
    let mut before = RpcCall::UNREAD;
    for (at, call) in calls.iter().enumerate() {
        if at > 0 && at.is_multiple_of(CALLS_PER_TURN) {
            yield_now().await;
        }
        let (call, request) = RpcCall::read(call, before);
        let is_too_much = replies.len() > MAX_REPLIES;
        let result = if is_too_much { Err(too_much()) } else { run(state, request).await };
        if !call.is_notification() {
            replies += if replies.len() > 1 { "," } else { "" };
            call.push_reply(&mut replies, &result);
        }
        before = call;
    }
    // The reply to an empty batch is an empty array. A batch of notifications has no reply.
    if replies.len() == 1 && !calls.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    json(StatusCode::OK, replies + "]\n")
}

fn too_much() -> RpcError {
    let most = MAX_REPLIES >> 20;
    RpcError::new(RpcCode::Misc, format!("The batch's replies exceed {most} MiB"))
}

async fn single(state: &Arc<ServerState>, call: RpcCall<'_>, request: RpcRequest<'_>) -> Response {
    let is_request = request.is_ok();
    let result = run(state, request).await;
    if is_request && call.is_notification() {
        return StatusCode::NO_CONTENT.into_response();
    }
    match result {
        Err(error) if is_request && call.version == RpcVersion::Two => {
            reply(StatusCode::OK, call, &Err(error))
        }
        // The HTTP status is an error, too: in version 2.0 only if the call is not a valid request.
        Err(error) => failure(call, error),
        Ok(result) => reply(StatusCode::OK, call, &Ok(result)),
    }
}

/// Replies with an error, which also sets the HTTP status. Source: Bitcoin Core `JSONErrorReply`.
fn failure(call: RpcCall<'_>, error: RpcError) -> Response {
    let status = match error.code {
        code if code == RpcCode::InvalidRequest as i32 => StatusCode::BAD_REQUEST,
        code if code == RpcCode::MethodNotFound as i32 => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    reply(status, call, &Err(error))
}

fn reply(status: StatusCode, call: RpcCall<'_>, result: &RpcResult) -> Response {
    let len = result.as_ref().map_or(0, String::len);
    let mut text = String::with_capacity(len + REPLY_FRAME);
    call.push_reply(&mut text, result);
    json(status, text + "\n")
}

fn json(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

async fn run(state: &Arc<ServerState>, request: RpcRequest<'_>) -> RpcResult {
    let (name, arguments) = request?;
    let method = method(&name)?;
    let params = RpcParams::new(arguments, method.params)
        .map_err(|error| error.unwrap_or_else(|| RpcError::new(RpcCode::Misc, method.help())))?;
    if method.needs_chain && state.is_warming_up() {
        return Err(RpcError::new(RpcCode::InWarmup, "Waiting for the first headers from peers…"));
    }
    let began = Instant::now();
    let result = match method.run {
        RpcRun::Now(run) => run(state, &params),
        RpcRun::Later(run) => run(Arc::clone(state), params).await,
    };
    record_call(method.name, began, result.is_err());
    result
}
