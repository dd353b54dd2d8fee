//! Starts the HTTP server of `serve`, and keeps it running after the sync has ended.

use super::error::CliError;
use crate::client::{Client, ClientError};
use crate::node::SyncOutcome;
use crate::output::Output;
use crate::server::{Server, ServerOptions};
use serde_json::json;
use std::sync::Arc;
use tracing::{error, warn};

/// Starts the HTTP server for a client that is about to sync, and prints its addresses.
///
/// # Errors
/// The server cannot listen on an address or write the cookie file, or standard output cannot be written to.
pub(super) fn start(
    options: &ServerOptions,
    client: &Arc<Client>,
    out: &mut Output,
) -> Result<Server, CliError> {
    let server = Server::start(options, Arc::clone(client), client.stop_sender())
        .map_err(|error| CliError::Failed(error.to_string()))?;
    for address in server.addresses() {
        if out.is_json() {
            out.json_line(&json!({ "event": "listening", "address": address.to_string() }))?;
        } else {
            out.line(&format!("listening on http://{address}"))?;
        }
        if !address.ip().is_loopback() {
            warn!(
                "{address} can be reached from other computers: requests and passwords are sent there without encryption"
            );
        }
    }
    out.flush()?;
    Ok(server)
}

/// Keeps the server running after the sync has ended by itself, until a signal or the RPC method `stop` ends it.
pub(super) fn keep_serving(server: &Server, outcome: &Result<SyncOutcome, ClientError>) {
    let mut stopping = server.state().stopping();
    if *stopping.borrow() {
        return;
    }
    let reason = match outcome {
        Ok(outcome) => format!("the sync has ended: {}", outcome.stopped.name()),
        Err(error) => format!("the sync cannot go on: {error}"),
    };
    error!("{reason}: the stored chain is still served");
    server.state().set_fault(reason);
    // An error means that all senders are gone, so that the value cannot change any more.
    let _ = pollster::block_on(stopping.wait_for(|stop| *stop));
}
