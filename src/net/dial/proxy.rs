//! SOCKS5 proxies: their addresses, logins and errors.

use crate::net::system_text::error_text;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A SOCKS5 proxy.
///
/// The text of a proxy does not contain the user name and password, so that they never get into a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The address on which it listens.
    pub address: ProxyAddress,
    /// The login; without one, each connection makes up its own.
    pub login: Option<Box<Login>>,
}

/// The address of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyAddress {
    /// `host:port`.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A user name and a password, of at most 255 bytes each (RFC 1929).
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(secret)")
    }
}

impl Proxy {
    /// Creates a proxy at `host:port` without a login.
    #[cfg(test)]
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: ProxyAddress::Tcp(address.into()), login: None }
    }

    /// Returns whether the address looks like Tor's: it has one of Tor's default ports, or the path contains `tor`.
    fn looks_like_tor(&self) -> bool {
        match &self.address {
            ProxyAddress::Tcp(address) => [":9050", ":9150"].iter().any(|p| address.ends_with(p)),
            ProxyAddress::Unix(path) => path.to_string_lossy().contains("tor"),
        }
    }

    pub(in crate::net) fn error(&self, fault: ProxyFault) -> ProxyError {
        let proxy = self.to_string();
        ProxyError { proxy, is_tor: self.looks_like_tor(), fault }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            ProxyAddress::Tcp(address) => f.write_str(address),
            ProxyAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The proxy itself failed, which says nothing about the peer behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy {proxy} {}", fault.describe(*is_tor))]
pub struct ProxyError {
    /// The proxy.
    pub proxy: String,
    is_tor: bool,
    /// What is wrong with it.
    pub fault: ProxyFault,
}

/// What is wrong with a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// The proxy cannot be connected to.
    Unreachable {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's error as text.
        text: String,
    },
    /// The proxy did not accept the connection, or did not answer the greeting, in time.
    Silent {
        /// The deadline.
        limit: Duration,
    },
    /// The proxy does not speak SOCKS5.
    NotSocks5 {
        /// What the proxy did instead, as the end of a sentence that begins with "it".
        instead: String,
    },
    /// The proxy requires a user name and password.
    WantsLogin,
    /// The proxy refuses the user name and password.
    RefusesLogin,
}

impl ProxyFault {
    pub(in crate::net) fn unreachable(error: &io::Error) -> Self {
        Self::Unreachable { kind: error.kind(), text: error_text(error) }
    }

    fn describe(&self, is_tor: bool) -> String {
        let running = if is_tor { "is Tor running?" } else { "is it running?" };
        match self {
            Self::Unreachable { kind: io::ErrorKind::ConnectionRefused, .. } => {
                format!("refuses connections: {running}")
            }
            Self::Unreachable { kind: io::ErrorKind::NotFound, text } => {
                format!("is not there: {text}: {running}")
            }
            Self::Unreachable { text, .. } => format!("cannot be reached: {text}"),
            Self::Silent { limit } => {
                format!("did not answer within {limit:?}: is it a SOCKS5 proxy?")
            }
            Self::NotSocks5 { instead } => format!("does not speak SOCKS5: it {instead}"),
            Self::WantsLogin => {
                "wants a user name and a password: --proxy USER:PASSWORD@HOST:PORT".to_owned()
            }
            Self::RefusesLogin => "refuses the user name and the password".to_owned(),
        }
    }
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The peer cannot be connected to, as far as the system or the proxy knows.
    #[error(transparent)]
    Peer(#[from] io::Error),
    /// The proxy failed.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

#[cfg(test)]
mod tests {
    use super::{Login, Proxy, ProxyAddress, ProxyFault};
    use std::io;

    #[test]
    fn an_error_names_the_proxy_and_never_its_password() {
        let login = Login { user: "alice".to_owned(), password: "hunter2".to_owned() };
        let proxy = Proxy { login: Some(Box::new(login)), ..Proxy::at("127.0.0.1:9050") };
        let refused = ProxyFault::unreachable(&io::ErrorKind::ConnectionRefused.into());
        let error = proxy.error(refused.clone());
        let expected = "the proxy 127.0.0.1:9050 refuses connections: is Tor running?";
        assert_eq!(error.to_string(), expected);
        let written = format!("{proxy} {proxy:?} {error:?}");
        assert!(!written.contains("hunter2") && !written.contains("alice"), "{written}");
        let other = Proxy::at("proxy.example:1080").error(refused).to_string();
        assert_eq!(other, "the proxy proxy.example:1080 refuses connections: is it running?");
        let unix = Proxy { address: ProxyAddress::Unix("/run/tor/socks".into()), login: None };
        let absent = ProxyFault::Unreachable { kind: io::ErrorKind::NotFound, text: "x".into() };
        let expected = "the proxy unix:/run/tor/socks is not there: x: is Tor running?";
        assert_eq!(unix.error(absent).to_string(), expected);
    }
}
