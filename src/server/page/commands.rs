//! Commands that print what a header's page shows.

use crate::output::shell_quoted;
use crate::primitives::Network;
use crate::server::options::{RpcCredentials, ServerOptions};
use crate::server::rpc::chain_name;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path;

/// The options with which commands reach this server and its stored chain, quoted for a shell.
#[derive(Debug)]
pub(super) struct Commands {
    /// The options of `lightclient`, with a space before each.
    lightclient: String,
    /// The options of `bitcoin-cli`, with a space before each.
    bitcoin_cli: String,
    /// The address for REST; `None` if the server does not answer REST, or listens on no address.
    rest: Option<SocketAddr>,
}

impl Commands {
    /// Returns the commands of a server that listens on these addresses.
    pub(super) fn new(options: &ServerOptions, addresses: &[SocketAddr], network: Network) -> Self {
        let mut reachable = addresses.iter().copied().map(reachable);
        let address = reachable.clone().find(|address| address.ip() == Ipv4Addr::LOCALHOST);
        let address = address.or_else(|| reachable.next());
        Self {
            lightclient: options.command_options.clone(),
            bitcoin_cli: bitcoin_cli_options(&options.credentials, address, network),
            rest: address.filter(|_| options.rest),
        }
    }

    /// Returns the commands for the header with this hash.
    pub(super) fn of_header(&self, hash: &str) -> Vec<String> {
        let mut commands = vec![
            format!("lightclient{} query {hash} --json", self.lightclient),
            format!("bitcoin-cli{} getblockheader {hash}", self.bitcoin_cli),
        ];
        commands.extend(self.rest.map(|address| {
            let place = format!("{address}/rest/headers/{hash}.json?count=1");
            format!("curl {}", shell_quoted(&place))
        }));
        commands
    }
}

/// Returns an address at which a program on this computer reaches a server that listens on `address`.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Returns the options of `bitcoin-cli`. They never contain a password: `bitcoin-cli` asks the user for it.
fn bitcoin_cli_options(
    credentials: &RpcCredentials,
    address: Option<SocketAddr>,
    network: Network,
) -> String {
    let mut options = String::new();
    // Writing to a String cannot fail.
    let mut push = |option: &str| {
        let _ = write!(options, " {}", shell_quoted(option));
    };
    if network != Network::Mainnet {
        push(&format!("-chain={}", chain_name(network)));
    }
    if let Some(address) = address {
        if address.ip() != Ipv4Addr::LOCALHOST {
            push(&format!("-rpcconnect={}", address.ip()));
        }
        push(&format!("-rpcport={}", address.port()));
    }
    if let Some((user, _)) = &credentials.password {
        push(&format!("-rpcuser={user}"));
        push("-stdinrpcpass");
    } else {
        let file = &credentials.cookie_file;
        let file = path::absolute(file).unwrap_or_else(|_| file.clone());
        push(&format!("-rpccookiefile={}", file.display()));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::Commands;
    use crate::primitives::Network;
    use crate::server::{RpcCredentials, ServerOptions};

    fn commands(password: Option<(&str, &str)>, rest: bool, addresses: &[&str]) -> Vec<String> {
        let password = password.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let cookie_file = "/my data/.cookie".into();
        let options = ServerOptions {
            bind: Vec::new(),
            allowed_hosts: Vec::new(),
            credentials: RpcCredentials { users: Vec::new(), password, cookie_file },
            rest,
            page: true,
            block_notify: None,
            reorg_notify: None,
            command_options: " --signet".to_owned(),
        };
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Commands::new(&options, &addresses, Network::Signet).of_header("00ff")
    }

    #[test]
    fn commands_name_the_port_the_network_and_the_cookie() {
        assert_eq!(
            commands(None, true, &["10.0.0.1:80", "0.0.0.0:9332"]),
            [
                "lightclient --signet query 00ff --json",
                "bitcoin-cli -chain=signet -rpcport=9332 '-rpccookiefile=/my data/.cookie' \
                    getblockheader 00ff",
                "curl '127.0.0.1:9332/rest/headers/00ff.json?count=1'",
            ]
        );
    }

    #[test]
    fn commands_name_the_user_but_not_the_password() {
        assert_eq!(
            commands(Some(("it's me", "secret")), false, &["[::1]:9332"])[1..],
            ["bitcoin-cli -chain=signet -rpcconnect=::1 -rpcport=9332 '-rpcuser=it'\\''s me' \
                -stdinrpcpass getblockheader 00ff"]
        );
    }
}
