//! `lightclient serve` follows the chain, and answers requests over HTTP as Bitcoin Core does.

use super::advice;
use super::args::{ChainArgs, PeerPoolArgs};
use super::context::CommandContext;
use super::error::CliError;
use super::peer_server::peer_server_options;
use super::servers::ServeOptions;
use super::sync::{sync_options, watch_sync};
use super::value_parsers;
use crate::config::{
    AppConfig, BindAddress, HostPort, Layer, Listen, RpcAuth, ServeLayer, ServiceBits, port,
};
use crate::node::SyncOptions;
use crate::server::{RpcCredentials, ServerOptions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;

const EXAMPLES: &str = "\
Examples:
  lightclient serve                       Follow mainnet, answer on port 8332
  lightclient serve --rpc-port 9332       On another port, if bitcoind runs too
  lightclient serve --listen 0.0.0.0      Serve headers to Bitcoin nodes, too
  bitcoin-cli -rpccookiefile=COOKIE getblockcount
                                          Query it like bitcoind";

/// The name of the cookie's file. Source: Bitcoin Core `COOKIEAUTH_FILE`.
const COOKIE_FILE: &str = ".cookie";

/// About how many bytes of pages are kept in memory: room for 400,000 headers. The hash index is kept in addition.
const PAGE_CACHE_BYTES: usize = 32 << 20;

fn refuse_timeout(_: &str) -> Result<Duration, String> {
    Err("`serve` runs until it is stopped".to_owned())
}

/// Arguments of `serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("timeout", |arg| arg.hide(true).value_parser(refuse_timeout))
)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    peers: PeerPoolArgs,
    #[command(flatten)]
    chain: ChainArgs,
    /// Listen on this address (repeatable) [env: LIGHTCLIENT_RPC_BIND] [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR[:PORT]")]
    rpc_bind: Vec<BindAddress>,
    /// Listen on this port [env: LIGHTCLIENT_RPC_PORT] [default: that of Bitcoin Core's RPC]
    #[arg(long, value_name = "PORT", value_parser = port)]
    rpc_port: Option<u16>,
    /// Also answer requests that have this host name and no credentials, as from a monitor or a container (repeatable)
    /// [env: LIGHTCLIENT_RPC_ALLOW_HOST] [default: IP addresses and localhost only]
    #[arg(long, value_name = "HOST[:PORT]")]
    rpc_allow_host: Vec<HostPort>,
    /// User who may call methods, with --rpc-password [env: LIGHTCLIENT_RPC_USER]
    #[arg(long, value_name = "USER")]
    rpc_user: Option<String>,
    /// Password of --rpc-user; safer in the environment or the settings file [env: LIGHTCLIENT_RPC_PASSWORD]
    #[arg(long, value_name = "PASSWORD")]
    rpc_password: Option<String>,
    /// User and salted hash of the password, as Bitcoin Core's rpcauth.py prints them (repeatable) [env:
    /// LIGHTCLIENT_RPC_AUTH]
    #[arg(long, value_name = "USER:SALT$HASH")]
    rpc_auth: Vec<RpcAuth>,
    /// Write the cookie to this file; it is used if no password is set [env: LIGHTCLIENT_RPC_COOKIE_FILE]
    /// [default: .cookie in the network's folder]
    #[arg(long, value_name = "FILE")]
    rpc_cookie_file: Option<PathBuf>,
    /// Serve headers to Bitcoin nodes and wallets that connect to this address [env: LIGHTCLIENT_LISTEN] [default
    /// address: 127.0.0.1 and the network's P2P port]
    #[arg(long, value_name = "ADDR[:PORT]|on|off", num_args = 0..=1, default_missing_value = "on")]
    listen: Option<Listen>,
    /// Announce these services to peers that connect; by default none, since blocks and transactions are not served.
    /// With 9 (NETWORK and WITNESS), clients that require both connect too, but get "notfound" for blocks: for private
    /// networks only [env: LIGHTCLIENT_LISTEN_SERVICES]
    #[arg(long, value_name = "HEX")]
    listen_services: Option<ServiceBits>,
    /// Answer REST requests, which need no credentials [env: LIGHTCLIENT_REST] [default: on]
    #[arg(long, value_name = "on|off")]
    #[arg(value_parser = value_parsers::on_or_off(), hide_possible_values = true)]
    rest: Option<bool>,
    /// Show the page at /, which needs no credentials [env: LIGHTCLIENT_PAGE] [default: on]
    #[arg(long, value_name = "on|off")]
    #[arg(value_parser = value_parsers::on_or_off(), hide_possible_values = true)]
    page: Option<bool>,
    /// Run this command for each new tip; %s is its hash [env: LIGHTCLIENT_BLOCK_NOTIFY]
    #[arg(long, value_name = "COMMAND")]
    block_notify: Option<String>,
    /// Run this command for each reorganisation; %old and %new are the hashes of the tips [env:
    /// LIGHTCLIENT_REORG_NOTIFY]
    #[arg(long, value_name = "COMMAND")]
    reorg_notify: Option<String>,
}

impl ServeArgs {
    /// Returns the settings that these options set.
    pub(super) fn layer(&self) -> Layer {
        let own = Layer {
            serve: ServeLayer {
                rpc_bind: (!self.rpc_bind.is_empty()).then(|| self.rpc_bind.clone()),
                rpc_port: self.rpc_port,
                rpc_allow_host: (!self.rpc_allow_host.is_empty())
                    .then(|| self.rpc_allow_host.clone()),
                rpc_user: self.rpc_user.clone(),
                rpc_password: self.rpc_password.clone(),
                rpc_auth: (!self.rpc_auth.is_empty()).then(|| self.rpc_auth.clone()),
                rpc_cookie_file: self.rpc_cookie_file.clone(),
                listen: self.listen,
                listen_services: self.listen_services,
                rest: self.rest,
                page: self.page,
                block_notify: self.block_notify.clone(),
                reorg_notify: self.reorg_notify.clone(),
            },
            ..Layer::default()
        };
        own.over(self.peers.layer()).over(self.chain.layer())
    }
}

/// Runs the command.
///
/// # Errors
/// A setting is not valid, the store cannot be used, a server cannot listen on an address, or a signal ended the
/// program.
pub(super) fn run(context: &mut CommandContext) -> Result<(), CliError> {
    let options =
        SyncOptions { follow: true, never_give_up: true, ..sync_options(&context.config)? };
    let serve = ServeOptions {
        http: server_options(&context.config)?,
        peers: peer_server_options(&context.config)?,
    };
    let mut store = context.open_store()?;
    store.keep_in_memory(PAGE_CACHE_BYTES);
    let store = Arc::new(store);
    let (outcome, signal) = watch_sync(options, &store, Some(&serve), context)?;
    info!("served {} new headers", outcome.headers_added);
    // If there was no signal, a client called the RPC method `stop`. That is no failure.
    signal.map_or(Ok(()), |signal| Err(CliError::Interrupted(signal)))
}

fn server_options(config: &AppConfig) -> Result<ServerOptions, CliError> {
    let serve = &config.serve;
    let port = serve.rpc_port.unwrap_or(config.params.rpc_port);
    let bind: Vec<SocketAddr> = match &serve.rpc_bind {
        Some(bind) => bind.iter().map(|address| address.with_default_port(port)).collect(),
        None => vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)],
    };
    let password = match (&serve.rpc_user, &serve.rpc_password) {
        (Some(user), _) if user.contains(':') => {
            return Err(CliError::Usage(format!("--rpc-user {user}: a user name has no colon")));
        }
        (Some(user), Some(password)) => Some((user.clone(), password.clone())),
        (None, None) => None,
        (Some(_), None) => {
            return Err(CliError::Usage("--rpc-user needs --rpc-password".to_owned()));
        }
        (None, Some(_)) => {
            return Err(CliError::Usage("--rpc-password needs --rpc-user".to_owned()));
        }
    };
    let default_cookie = || config.folder().join(COOKIE_FILE);
    Ok(ServerOptions {
        bind,
        allowed_hosts: serve.rpc_allow_host.clone().unwrap_or_default(),
        credentials: RpcCredentials {
            users: serve.rpc_auth.clone().unwrap_or_default(),
            password,
            cookie_file: serve.rpc_cookie_file.clone().unwrap_or_else(default_cookie),
        },
        rest: serve.rest.unwrap_or(true),
        page: serve.page.unwrap_or(true),
        block_notify: serve.block_notify.clone(),
        reorg_notify: serve.reorg_notify.clone(),
        command_options: advice::options(config),
    })
}
