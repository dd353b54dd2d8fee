//! Parses `HOST[:PORT]`.

use super::error::ValueError;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A host name or address, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    /// The name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// The port; `None` means the default port.
    pub port: Option<u16>,
}

impl FromStr for HostPort {
    type Err = ValueError;

    /// Parses `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`, `[::1]` or an IPv6 address without brackets.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || ValueError::new("HOST[:PORT]", text);
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(error)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(error()),
            }
        } else {
            match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            }
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        // A zone may follow an IPv6 address: fe80::1%eth0.
        let is_ipv6 =
            |host: &str| host.split('%').next().is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
        let is_valid = host.chars().all(is_host) && (!host.contains(':') || is_ipv6(host));
        if host.is_empty() || !is_valid {
            return Err(error());
        }
        // I2P has no ports, and its addresses are written with port 0.
        let min_port = u16::from(!host.ends_with(".b32.i2p"));
        let is_number = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
        let port = port.map(|port| match port.parse::<u16>() {
            Ok(number) if number >= min_port => Ok(number),
            _ if is_number(port) => Err(ValueError::new("a port from 1 to 65535", text)),
            _ => Err(error()),
        });
        Ok(Self { host: host.to_owned(), port: port.transpose()? })
    }
}

impl HostPort {
    /// Returns `host:port`, with `port` if the address has none.
    pub(crate) fn with_default_port(&self, port: u16) -> String {
        Self { port: self.port.or(Some(port)), ..self.clone() }.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    fn parsed(text: &str) -> Option<(String, Option<u16>)> {
        text.parse::<HostPort>().ok().map(|endpoint| (endpoint.host, endpoint.port))
    }

    #[test]
    fn names_and_addresses_are_parsed_with_and_without_ports() {
        for (text, host, port) in [
            ("seed.example.org", "seed.example.org", None),
            ("localhost:18444", "localhost", Some(18444)),
            ("10.0.0.1:8333", "10.0.0.1", Some(8333)),
            ("[2001:db8::1]:8333", "2001:db8::1", Some(8333)),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
            ("abc.b32.i2p:0", "abc.b32.i2p", Some(0)),
        ] {
            assert_eq!(parsed(text), Some((host.to_owned(), port)), "{text}");
        }
        assert_eq!("[::1]:8333".parse::<HostPort>().unwrap().to_string(), "[::1]:8333");
    }

    #[test]
    fn the_error_for_a_wrong_port_names_the_valid_ports() {
        for text in ["127.0.0.1:99999", "host:0", "[::1]:65536"] {
            let error = text.parse::<HostPort>().unwrap_err().to_string();
            assert_eq!(error, format!("expected a port from 1 to 65535, got {text:?}"));
        }
    }

    #[test]
    fn text_without_a_host_or_with_a_wrong_port_is_refused() {
        for text in
            ["", ":8333", "host:", "host:0", "host:70000", "host:x", "a b", "[::1", "http://a"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn only_ipv6_addresses_may_have_several_colons_or_brackets() {
        for text in ["a:b:1", "[host:10]", "[05205:10]:8333", "1:2:3", "%eth0:::1"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parsed("[fe80::1%eth0]:8333"), Some(("fe80::1%eth0".to_owned(), Some(8333))));
    }
}
