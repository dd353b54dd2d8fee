//! The server for P2P peers beside a sync, for `serve --listen`.

use super::error::CliError;
use crate::client::Client;
use crate::config::{AppConfig, Listen, ServeLayer, ServiceBits};
use crate::node::PeerServer;
use crate::output::Output;
use crate::wire::ServiceFlags;
use serde_json::json;
use std::net::SocketAddr;

/// The address to listen on for peers, and the services to offer to them.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerServerOptions {
    address: SocketAddr,
    services: ServiceFlags,
}

/// Returns the options of the server for peers; `None` if it is off.
///
/// # Errors
/// `listen-services` is set, and `listen` is not.
pub(super) fn peer_server_options(
    config: &AppConfig,
) -> Result<Option<PeerServerOptions>, CliError> {
    let ServeLayer { listen, listen_services, .. } = &config.serve;
    match listen {
        Some(Listen::On(address)) => {
            let ServiceBits(bits) = listen_services.unwrap_or_default();
            let address = address.with_default_port(config.params.port);
            Ok(Some(PeerServerOptions { address, services: ServiceFlags(bits) }))
        }
        None if listen_services.is_some() => {
            Err(CliError::Usage("--listen-services needs --listen".to_owned()))
        }
        Some(Listen::Off) | None => Ok(None),
    }
}

/// Starts to serve peers for a client that is about to sync.
///
/// # Errors
/// The server cannot listen on the address, or standard output cannot be written to.
pub(super) fn start_peer_server(
    options: PeerServerOptions,
    client: &Client,
    out: &mut Output,
) -> Result<PeerServer, CliError> {
    let server = client
        .listen(options.address, options.services)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let address = server.address();
    if out.is_json() {
        let line = json!({ "event": "listening-for-peers", "address": address.to_string() });
        out.json_line(&line)?;
    } else {
        out.line(&format!("listening for peers on {address}"))?;
    }
    out.flush()?;
    Ok(server)
}
