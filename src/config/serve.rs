//! The settings of `serve`.

use super::error::ValueError;
use super::host_port::HostPort;
use super::values::boolean;
use crate::primitives::hex;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// An address of this computer to listen on: `IP[:PORT]`, or `localhost[:PORT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BindAddress {
    ip: IpAddr,
    port: Option<u16>,
}

impl BindAddress {
    /// Returns the address, with this port if it has none.
    pub(crate) fn with_default_port(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(port))
    }
}

impl FromStr for BindAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || {
            ValueError::new(
                "an IP address of this computer, or localhost, with or without :PORT",
                text,
            )
        };
        let port = text.strip_prefix("localhost");
        let localhost = port.filter(|port| port.is_empty() || port.starts_with(':'));
        let address = localhost
            .map_or_else(|| text.to_owned(), |port| format!("{}{port}", Ipv4Addr::LOCALHOST));
        // `HostPort` refuses port 0, which is valid here: the system then chooses a free port.
        if let Ok(address) = address.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let HostPort { host, port } = address.parse().map_err(|_| error())?;
        let ip = host.parse().map_err(|_| error())?;
        Ok(Self { ip, port })
    }
}

/// Where to listen for peers: on an address, `on` for the loopback address, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nowhere.
    Off,
    /// On this address.
    On(BindAddress),
}

impl FromStr for Listen {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match boolean(text) {
            Ok(false) => Ok(Self::Off),
            Ok(true) => {
                Ok(Self::On(BindAddress { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: None }))
            }
            Err(_) => text.parse().map(Self::On),
        }
    }
}

/// Service bits of the P2P protocol as a hexadecimal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceBits(pub u64);

impl FromStr for ServiceBits {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || ValueError::new("service bits in hex, as 9 for NETWORK and WITNESS", text);
        let digits = text.strip_prefix("0x").unwrap_or(text);
        // `from_str_radix` would accept a sign.
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        bits.map(Self).ok_or_else(error)
    }
}

/// A user and a salted hash of the password: `USER:SALT$HASH`, as in Bitcoin Core's `-rpcauth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcAuth {
    /// The user.
    pub user: String,
    /// The salt's text.
    pub salt: String,
    /// HMAC-SHA256 of the password with the salt's text as key, in hex.
    pub hash: String,
}

impl FromStr for RpcAuth {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error =
            || ValueError::new("USER:SALT$HASH, as Bitcoin Core's rpcauth.py prints it", text);
        let parts =
            text.split_once(':').and_then(|(user, rest)| Some((user, rest.split_once('$')?)));
        let (user, (salt, hash)) = parts.ok_or_else(error)?;
        if hash.len() != 64 || hex::decode(hash).is_err() {
            return Err(error());
        }
        Ok(Self { user: user.to_owned(), salt: salt.to_owned(), hash: hash.to_lowercase() })
    }
}

/// The settings of `serve` from one source; `None` for settings that it does not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServeLayer {
    /// `rpc-bind`: the addresses to listen on for HTTP.
    pub rpc_bind: Option<Vec<BindAddress>>,
    /// `rpc-port`: the port for addresses of `rpc-bind` that have none, and for the default address.
    pub rpc_port: Option<u16>,
    /// `rpc-allow-host`: host names that requests without credentials may have in `Host`.
    pub rpc_allow_host: Option<Vec<HostPort>>,
    /// `rpc-user`: the user who may call methods.
    pub rpc_user: Option<String>,
    /// `rpc-password`: the password of `rpc-user`.
    pub rpc_password: Option<String>,
    /// `rpc-auth`: more users, each with a salted hash of the password.
    pub rpc_auth: Option<Vec<RpcAuth>>,
    /// `rpc-cookie-file`: where the cookie is written.
    pub rpc_cookie_file: Option<PathBuf>,
    /// `listen`: where to listen for peers.
    pub listen: Option<Listen>,
    /// `listen-services`: the services to announce to peers that connect.
    pub listen_services: Option<ServiceBits>,
    /// `rest`: whether to answer REST requests.
    pub rest: Option<bool>,
    /// `page`: whether to show the page.
    pub page: Option<bool>,
    /// `block-notify`: the command for each new tip.
    pub block_notify: Option<String>,
    /// `reorg-notify`: the command for each reorganisation.
    pub reorg_notify: Option<String>,
}

impl ServeLayer {
    /// Sets the setting `key` from text, and returns true. Returns false if `key` is no setting of `serve`, or if it
    /// takes a single value and `values` does not have exactly one.
    ///
    /// # Errors
    /// A value is not valid.
    pub(super) fn set(&mut self, key: &str, values: &[String]) -> Result<bool, ValueError> {
        match key {
            "rpc-bind" => self.rpc_bind = Some(parsed(values)?),
            "rpc-allow-host" => self.rpc_allow_host = Some(parsed(values)?),
            "rpc-auth" => self.rpc_auth = Some(parsed(values)?),
            _ => {
                let [text] = values else { return Ok(false) };
                return self.set_one(key, text);
            }
        }
        Ok(true)
    }

    fn set_one(&mut self, key: &str, text: &str) -> Result<bool, ValueError> {
        match key {
            "rpc-port" => self.rpc_port = Some(port(text)?),
            "rpc-user" => self.rpc_user = Some(text.to_owned()),
            "rpc-password" => self.rpc_password = Some(text.to_owned()),
            "rpc-cookie-file" => self.rpc_cookie_file = Some(PathBuf::from(text)),
            "listen" => self.listen = Some(text.parse()?),
            "listen-services" => self.listen_services = Some(text.parse()?),
            "rest" => self.rest = Some(boolean(text)?),
            "page" => self.page = Some(boolean(text)?),
            "block-notify" => self.block_notify = Some(text.to_owned()),
            "reorg-notify" => self.reorg_notify = Some(text.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns whether this layer sets the setting `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        match key {
            "rpc-bind" => self.rpc_bind.is_some(),
            "rpc-port" => self.rpc_port.is_some(),
            "rpc-allow-host" => self.rpc_allow_host.is_some(),
            "rpc-user" => self.rpc_user.is_some(),
            "rpc-password" => self.rpc_password.is_some(),
            "rpc-auth" => self.rpc_auth.is_some(),
            "rpc-cookie-file" => self.rpc_cookie_file.is_some(),
            "listen" => self.listen.is_some(),
            "listen-services" => self.listen_services.is_some(),
            "rest" => self.rest.is_some(),
            "page" => self.page.is_some(),
            "block-notify" => self.block_notify.is_some(),
            "reorg-notify" => self.reorg_notify.is_some(),
            _ => false,
        }
    }

    /// Returns this layer, with the settings that it does not set taken from the layer below.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            rpc_bind: self.rpc_bind.or(below.rpc_bind),
            rpc_port: self.rpc_port.or(below.rpc_port),
            rpc_allow_host: self.rpc_allow_host.or(below.rpc_allow_host),
            rpc_user: self.rpc_user.or(below.rpc_user),
            rpc_password: self.rpc_password.or(below.rpc_password),
            rpc_auth: self.rpc_auth.or(below.rpc_auth),
            rpc_cookie_file: self.rpc_cookie_file.or(below.rpc_cookie_file),
            listen: self.listen.or(below.listen),
            listen_services: self.listen_services.or(below.listen_services),
            rest: self.rest.or(below.rest),
            page: self.page.or(below.page),
            block_notify: self.block_notify.or(below.block_notify),
            reorg_notify: self.reorg_notify.or(below.reorg_notify),
        }
    }
}

fn parsed<T: FromStr<Err = ValueError>>(values: &[String]) -> Result<Vec<T>, ValueError> {
    values.iter().map(|text| text.parse()).collect()
}

/// Parses a port. Port 0 lets the system choose a free port.
///
/// # Errors
/// The text is not a whole number from 0 to 65535.
pub(crate) fn port(text: &str) -> Result<u16, ValueError> {
    text.parse().map_err(|_| ValueError::new("a port from 0 to 65535", text))
}

/// Parses `on` or `off`, or another word that [`boolean`] accepts.
///
/// # Errors
/// The text is not one of the accepted words.
pub(crate) fn on_or_off(text: &str) -> Result<bool, ValueError> {
    boolean(text).map_err(|_| ValueError::new("on or off", text))
}

#[cfg(test)]
mod tests {
    use super::{BindAddress, Listen, RpcAuth, ServiceBits};

    #[test]
    fn an_address_to_listen_on_is_an_ip_address_or_localhost() {
        let address = |text: &str| {
            text.parse::<BindAddress>().map(|bind| bind.with_default_port(8332).to_string())
        };
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1:8332"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:1", "127.0.0.1:1"),
            ("::1", "[::1]:8332"),
            ("[::1]:5", "[::1]:5"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("localhost", "127.0.0.1:8332"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(address(text).unwrap(), expected);
        }
        assert!(
            ["example.com", "", "localhost.example", "localhost5"]
                .into_iter()
                .all(|text| address(text).is_err())
        );
    }

    #[test]
    fn the_value_of_listen_is_on_or_off_or_an_address() {
        let address = |text: &str| match text.parse::<Listen>() {
            Ok(Listen::On(address)) => Some(address.with_default_port(8333).to_string()),
            Ok(Listen::Off) => None,
            Err(error) => Some(error.got),
        };
        for (text, expected) in [
            ("on", Some("127.0.0.1:8333")),
            ("0.0.0.0", Some("0.0.0.0:8333")),
            ("[::1]:0", Some("[::1]:0")),
            ("off", None),
            ("example.com", Some("example.com")),
        ] {
            assert_eq!(address(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn service_bits_are_a_number_in_hex() {
        for (text, bits) in [("9", 9), ("0x409", 0x409), ("c09", 0xc09), ("0", 0)] {
            assert_eq!(text.parse(), Ok(ServiceBits(bits)));
        }
        for wrong in ["", "0x", "NETWORK", "+9", "10000000000000000"] {
            assert!(wrong.parse::<ServiceBits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_that_is_no_rpcauth_line_is_refused() {
        for wrong in ["", "user", "user:salt", "user:salt$12", "salt$hash"] {
            assert!(wrong.parse::<RpcAuth>().is_err(), "{wrong}");
        }
    }
}
