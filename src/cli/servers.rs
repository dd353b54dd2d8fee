//! The servers beside a sync, for `serve`: one over HTTP and, with `--listen`, one for peers.

use super::error::CliError;
use super::http_server::{keep_serving, start};
use super::peer_server::{PeerServerOptions, start_peer_server};
use crate::client::{Client, ClientError};
use crate::node::{PeerServer, SyncOutcome};
use crate::output::Output;
use crate::server::{Server, ServerOptions};
use std::path::Path;
use std::sync::Arc;

/// The options of the servers.
#[derive(Debug)]
pub(super) struct ServeOptions {
    /// The HTTP server.
    pub(super) http: ServerOptions,
    /// The server for peers, if there is one.
    pub(super) peers: Option<PeerServerOptions>,
}

/// The servers beside a sync.
#[derive(Debug)]
pub(super) struct Servers {
    http: Server,
    peers: Option<PeerServer>,
}

impl Servers {
    /// Starts the servers for a client that is about to sync.
    ///
    /// # Errors
    /// A server cannot listen on an address, or the cookie file or standard output cannot be written to.
    pub(super) fn start(
        options: &ServeOptions,
        client: &Arc<Client>,
        out: &mut Output,
    ) -> Result<Self, CliError> {
        let peers =
            options.peers.map(|options| start_peer_server(options, client, out)).transpose()?;
        Ok(Self { http: start(&options.http, client, out)?, peers })
    }

    /// Keeps answering after the sync has ended by itself, until a signal or the RPC method `stop` ends the program, or
    /// until a disk that was full has free space again. Returns true only if free space was the reason.
    pub(super) fn keep_serving(
        &self,
        outcome: &Result<SyncOutcome, ClientError>,
        folder: &Path,
    ) -> bool {
        keep_serving(&self.http, outcome, folder)
    }

    /// Stops the servers, and ends all their connections.
    pub(super) fn end(self) {
        if let Some(peers) = self.peers {
            peers.end();
        }
        self.http.end();
    }
}
