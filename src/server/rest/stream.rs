//! `/headers`: streams a range of headers of any length, as fast as the client reads.

use super::answer::{RestError, RestResult, check_warmup};
use crate::files::{FileFormat, HeaderWriter, Sink};
use crate::query::HeaderRange;
use crate::server::state::{MAX_STREAMS, ServerState};
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use futures_util::stream::unfold;
use serde::Deserialize;
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::spawn_blocking;
use tracing::debug;

/// About how many bytes are sent at once.
const PIECE: usize = 64 << 10;

/// How many pieces may wait for a client that reads slowly.
const PIECES: usize = 8;

/// The parameters after the question mark.
#[derive(Deserialize)]
pub(super) struct StreamQuery {
    from: Option<u32>,
    to: Option<u32>,
    format: Option<String>,
}

pub(super) async fn headers(
    State(state): State<Arc<ServerState>>,
    query: Result<Query<StreamQuery>, QueryRejection>,
) -> RestResult {
    check_warmup(&state)?;
    let Query(query) = query.map_err(|_| {
        RestError::bad_request("expected from and to as heights, and format, each at most once")
    })?;
    let (format, content_type) = match query.format.as_deref() {
        Some("bin") | None => (FileFormat::Bin, "application/octet-stream"),
        Some("csv") => (FileFormat::Csv, "text/csv"),
        Some("jsonl") => (FileFormat::Jsonl, "application/jsonl"),
        Some(_) => return Err(RestError::bad_request("expected format=bin, csv or jsonl")),
    };
    let tip = state.tip().height;
    let (from, to) = (query.from.unwrap_or(0), query.to.unwrap_or(tip));
    if from > to || to > tip {
        let message = format!("expected heights with from <= to <= {tip}, the tip");
        return Err(RestError::bad_request(message));
    }
    let permit = state.stream_permit().ok_or_else(|| {
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        RestError::new(status, format!("{MAX_STREAMS} streams are open: try again later"))
    })?;
    let (pieces, sent) = channel(PIECES);
    let write = move || {
        let _permit = permit;
        write_range(&state, (tip, from, to), format, pieces);
    };
    drop(spawn_blocking(write));
    let body = Body::from_stream(unfold(sent, |mut sent| async move {
        sent.recv().await.map(|piece| (piece, sent))
    }));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// Writes headers until the end of the range, or until the client is gone or reading fails.
fn write_range(
    state: &ServerState,
    (tip, from, to): (u32, u32, u32),
    format: FileFormat,
    pieces: Sender<io::Result<Bytes>>,
) {
    let mut reader = state.chain();
    let range = HeaderRange::new(&mut reader, tip, from, to);
    let mut out = PieceWriter { piece: Vec::with_capacity(PIECE), pieces: pieces.clone() };
    let written = (|| {
        let mut writer = HeaderWriter::new(range, format, state.params().interval)?;
        let mut sink = Sink::create(Path::new("-"), &mut out)?;
        while writer.step(&mut sink)?.is_some() {}
        sink.finish()
    })();
    if let Err(error) = written {
        debug!("http: /headers ended early: {error}");
        // The error breaks the connection, so that a client does not take a part for the whole. Sending the error fails
        // if the client is gone.
        let _ = pieces.blocking_send(Err(io::Error::other(error)));
    }
}

/// Collects bytes into pieces, and sends each piece.
struct PieceWriter {
    piece: Vec<u8>,
    pieces: Sender<io::Result<Bytes>>,
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.pieces.blocking_send(Ok(Bytes::from(piece)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
