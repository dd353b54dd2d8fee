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
    /// Who may call methods.
    pub credentials: RpcCredentials,
    /// Whether to answer `/rest` and `/headers`.
    pub rest: bool,
    /// Whether to show the page at `/`.
    pub page: bool,
    /// The command for each new tip; `%s` is its hash.
    pub block_notify: Option<String>,
    /// The command for each reorganisation; `%old` and `%new` are the hashes of the tips.
    pub reorg_notify: Option<String>,
}

/// Who may call methods.
#[derive(Clone, Debug)]
pub(crate) struct RpcCredentials {
    /// Users with a salted hash of their password, as Bitcoin Core's `-rpcauth`.
    pub users: Vec<RpcAuth>,
    /// A user with a password, as Bitcoin Core's `-rpcuser` and `-rpcpassword`.
    pub password: Option<(String, String)>,
    /// The file of the cookie, which is written if there is no password, and removed when the server ends.
    pub cookie_file: PathBuf,
}
