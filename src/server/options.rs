//! The options of a server.

use crate::config::{HostPort, RpcAuth};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The options of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    /// The addresses to listen on.
    pub bind: Vec<SocketAddr>,
    /// Host names under which requests without credentials are answered, besides IP addresses and `localhost`.
    pub allowed_hosts: Vec<HostPort>,
    /// Who may call RPC methods.
    pub credentials: RpcCredentials,
    /// Whether to answer `/rest` and `/headers`.
    pub rest: bool,
    /// Whether to show the page at `/`.
    pub page: bool,
    /// The command to run for each new tip; `%s` in it stands for the tip's hash.
    pub block_notify: Option<String>,
    /// The command to run for each reorganisation; `%old` and `%new` in it stand for the hashes of the old and the new
    /// tip.
    pub reorg_notify: Option<String>,
    /// The options with which `lightclient` reads the same chain, quoted for a shell, with a space before each.
    pub command_options: String,
}

/// Who may call RPC methods.
#[derive(Clone, Debug)]
pub(crate) struct RpcCredentials {
    /// Users with a salted hash of their password, as Bitcoin Core's `-rpcauth`.
    pub users: Vec<RpcAuth>,
    /// A user with a password, as Bitcoin Core's `-rpcuser` and `-rpcpassword`.
    pub password: Option<(String, String)>,
    /// The cookie file. The server writes it if [`Self::password`] is `None`, and removes it at its end.
    pub cookie_file: PathBuf,
}
