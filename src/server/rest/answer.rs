//! The answers and errors of REST.

use crate::primitives::BlockHash;
use crate::server::state::ServerState;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The result of a request.
pub(super) type RestResult = Result<Response, RestError>;

/// The format of an answer, which the extension of the path selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestFormat {
    /// `.bin`: bytes.
    Bin,
    /// `.hex`: hex digits and a line feed.
    Hex,
    /// `.json`.
    Json,
}

impl RestFormat {
    /// Splits a file name at its last dot. If the extension is missing or unknown, returns the whole file name and
    /// `None`; if it is empty, the name without the dot and `None`.
    ///
    /// Source: Bitcoin Core `ParseDataFormat`.
    pub(crate) fn split(file: &str) -> (&str, Option<Self>) {
        let Some((name, extension)) = file.rsplit_once('.') else { return (file, None) };
        match extension {
            "" => (name, None),
            "bin" => (name, Some(Self::Bin)),
            "hex" => (name, Some(Self::Hex)),
            "json" => (name, Some(Self::Json)),
            _ => (file, None),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Bin => "application/octet-stream",
            Self::Hex => "text/plain",
            Self::Json => "application/json",
        }
    }
}

/// An error: the HTTP status and a line of text.
#[derive(Debug)]
pub(crate) struct RestError {
    status: StatusCode,
    message: String,
}

impl RestError {
    /// Returns an error with this status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Returns the error for a request that cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Returns the error for a block, header or path that does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Returns the error for an unknown extension.
    pub(crate) fn unknown_format() -> Self {
        Self::not_found("output format not found (available: .bin, .hex, .json)")
    }

    /// Returns the error for a fault of this program.
    pub(crate) fn internal(cause: &impl ToString) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string())
    }

    /// Returns the error for requests before the first header besides genesis is stored.
    pub(crate) fn warming_up() -> Self {
        let message = "Service temporarily unavailable: Waiting for the first headers from peers…";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl IntoResponse for RestError {
    /// Source: Bitcoin Core `RESTERR`.
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, "text/plain")];
        (self.status, content_type, self.message + "\r\n").into_response()
    }
}

/// Returns an answer in this format.
pub(crate) fn respond(format: RestFormat, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, format.content_type())], body.into()).into_response()
}

/// Returns a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> RestResult {
    let text = serde_json::to_string(value).map_err(|error| RestError::internal(&error))?;
    Ok(respond(RestFormat::Json, text + "\n"))
}

/// Parses the hash of a block.
///
/// # Errors
/// The text is not 64 hex digits.
pub(super) fn parse_hash(text: &str) -> Result<BlockHash, RestError> {
    text.parse().map_err(|_| RestError::bad_request(format!("Invalid hash: {text}")))
}

/// Returns an error while [`ServerState::is_warming_up`]. Source: Bitcoin Core `CheckWarmup`.
pub(super) fn check_warmup(state: &ServerState) -> Result<(), RestError> {
    if state.is_warming_up() { Err(RestError::warming_up()) } else { Ok(()) }
}
