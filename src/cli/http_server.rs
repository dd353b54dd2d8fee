//! Starts the HTTP server of `serve`, and keeps it running after the sync has ended.

use super::error::CliError;
use crate::client::{Client, ClientError};
use crate::node::SyncOutcome;
use crate::output::Output;
use crate::server::{Server, ServerOptions};
use rustix::fs::statvfs;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{error, warn};

/// How often the free space is checked after a full disk has ended the sync.
const SPACE_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The free space, in bytes, with which the sync goes on: 32 segments of sled's log, so that the sync does not fail
/// again at once.
const NEEDED_SPACE: u64 = 16 << 20;

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
///
/// If the sync ended because the disk of the network's `folder` was full, this also returns once the disk has free
/// space again. Returns true only in this case.
pub(super) fn keep_serving(
    server: &Server,
    outcome: &Result<SyncOutcome, ClientError>,
    folder: &Path,
) -> bool {
    let mut stopping = server.state().stopping();
    if *stopping.borrow() {
        return false;
    }
    let reason = match outcome {
        Ok(outcome) => format!("the sync has ended: {}", outcome.stopped.name()),
        Err(error) if error.is_disk_full() => {
            "the disk is full: new headers are stored once it has free space".to_owned()
        }
        Err(error) => format!("the sync cannot go on: {error}"),
    };
    error!("{reason}: the stored chain is still served");
    server.state().set_fault(reason);
    let runtime = Builder::new_current_thread().enable_time().build();
    if let (Ok(runtime), Err(error)) = (runtime, outcome)
        && error.is_disk_full()
    {
        return runtime.block_on(has_free_space_before_stop(folder, stopping));
    }
    // An error means that all senders were dropped, so that the value cannot change any more.
    let _ = pollster::block_on(stopping.wait_for(|stop| *stop));
    false
}

async fn has_free_space_before_stop(folder: &Path, mut stopping: watch::Receiver<bool>) -> bool {
    while timeout(SPACE_CHECK_INTERVAL, stopping.wait_for(|stop| *stop)).await.is_err() {
        let free = statvfs(folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free >= NEEDED_SPACE {
            return true;
        }
    }
    false
}
