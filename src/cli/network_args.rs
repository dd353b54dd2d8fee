//! Options for reaching peers.

use super::error::CliError;
use crate::config::{AppConfig, DnsServer, HostPort, Layer, seconds};
use crate::node::{PeerOptions, Proxy, Resolver, needs_proxy};
use std::time::Duration;

/// Options of every command that connects to peers.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ProxyAndDnsArgs {
    /// Connect through this SOCKS5 proxy, which also resolves names; may be USER:PASSWORD@HOST:PORT or unix:PATH [env:
    /// LIGHTCLIENT_PROXY]
    #[arg(long, value_name = "HOST:PORT")]
    pub proxy: Option<Proxy>,
    /// Resolve names with this DNS server [env: LIGHTCLIENT_DNS_SERVER] [default: as the system does]
    #[arg(long, value_name = "IP[:PORT]")]
    pub dns_server: Option<DnsServer>,
}

impl ProxyAndDnsArgs {
    /// Returns the settings that these options set.
    pub(crate) fn layer(&self) -> Layer {
        Layer { proxy: self.proxy.clone(), dns_server: self.dns_server, ..Layer::default() }
    }
}

/// Options of commands that choose their peers.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ConnectArgs {
    /// Connect to this peer only (repeatable) [env: LIGHTCLIENT_CONNECT]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub connect: Vec<HostPort>,
    /// Don't ask DNS for peers [env: LIGHTCLIENT_NO_DNS]
    #[arg(long)]
    pub no_dns: bool,
    #[command(flatten)]
    reach: ProxyAndDnsArgs,
    /// How long to wait, in seconds [env: LIGHTCLIENT_TIMEOUT]
    #[arg(long, value_name = "SECS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
}

impl ConnectArgs {
    /// Returns the settings that these options set.
    pub(crate) fn layer(&self) -> Layer {
        let own = Layer {
            connect: (!self.connect.is_empty()).then(|| self.connect.clone()),
            // Without the flag, the environment or the settings file may still turn DNS off.
            no_dns: self.no_dns.then_some(true),
            timeout: self.timeout,
            ..Layer::default()
        };
        own.over(self.reach.layer())
    }
}

/// Returns which peers to connect to, and how to reach them, as the settings say.
///
/// # Errors
/// A named peer needs a proxy, and none is set.
pub(super) fn peer_options(config: &AppConfig) -> Result<PeerOptions, CliError> {
    let named = |peers: &[HostPort]| -> Result<Vec<String>, CliError> {
        peers.iter().try_for_each(|peer| check_reach(peer, config))?;
        Ok(peers.iter().map(|peer| peer.with_default_port(config.params.port)).collect())
    };
    Ok(PeerOptions {
        params: config.params,
        connect: named(&config.connect)?,
        add_peers: named(&config.add_peers)?,
        wanted: usize::from(config.peers.0),
        dns: config.dns,
        resolver: config.dns_server.map_or(Resolver::System, |DnsServer(at)| Resolver::Server(at)),
        proxy: config.proxy.clone(),
        ..PeerOptions::new(config.params)
    })
}

/// Refuses a peer that can only be reached through a proxy if no proxy is set.
///
/// # Errors
/// The peer is an onion or I2P name, and no proxy is set.
pub(super) fn check_reach(peer: &HostPort, config: &AppConfig) -> Result<(), CliError> {
    if config.proxy.is_none() && needs_proxy(&peer.host) {
        return Err(CliError::Usage(format!("{}: needs --proxy, as 127.0.0.1:9050", peer.host)));
    }
    Ok(())
}
