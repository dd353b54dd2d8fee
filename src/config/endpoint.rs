//! `HOST[:PORT]`.

use super::error::ValueError;
use std::fmt;
use std::str::FromStr;

/// A host by name or address, with a port where one was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// Name, IPv4 or IPv6 address, without brackets.
    pub host: String,
    /// The port, or the default of whatever it is for.
    pub port: Option<u16>,
}

impl FromStr for Endpoint {
    type Err = ValueError;

    /// `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`, `[::1]` or a bare IPv6 address.
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
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(error());
        }
        // I2P has no ports, and its addresses are written with this one.
        let least = u16::from(!host.ends_with(".b32.i2p"));
        let is_number = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
        let port = port.map(|port| match port.parse::<u16>() {
            Ok(number) if number >= least => Ok(number),
            _ if is_number(port) => Err(ValueError::new("a port from 1 to 65535", text)),
            _ => Err(error()),
        });
        Ok(Self { host: host.to_owned(), port: port.transpose()? })
    }
}

impl Endpoint {
    /// `host:port`, with this port where none was given.
    pub(crate) fn with_default_port(&self, port: u16) -> String {
        Self { port: self.port.or(Some(port)), ..self.clone() }.to_string()
    }
}

impl fmt::Display for Endpoint {
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
    use super::Endpoint;

    fn parsed(text: &str) -> Option<(String, Option<u16>)> {
        text.parse::<Endpoint>().ok().map(|endpoint| (endpoint.host, endpoint.port))
    }

    #[test]
    fn names_and_addresses_with_and_without_ports() {
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
        assert_eq!("[::1]:8333".parse::<Endpoint>().unwrap().to_string(), "[::1]:8333");
    }

    #[test]
    fn a_port_that_is_none_is_told_as_such() {
        for text in ["127.0.0.1:99999", "host:0", "[::1]:65536"] {
            let said = text.parse::<Endpoint>().unwrap_err().to_string();
            assert_eq!(said, format!("expected a port from 1 to 65535, got {text:?}"));
        }
    }

    #[test]
    fn what_no_host_could_be_is_refused() {
        for text in
            ["", ":8333", "host:", "host:0", "host:70000", "host:x", "a b", "[::1", "http://a"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
