//! A SOCKS5 proxy: where it is, how to log in to it, and what can be wrong with it.

use crate::net::system_text::words;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A SOCKS5 proxy.
///
/// Written without its user name and password, so that no log has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it listens.
    pub address: ProxyAddress,
    /// How to log in to it; without, each connection makes up a name of its own.
    pub login: Option<Box<Login>>,
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyAddress {
    /// `host:port`.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A user name and its password, of at most 255 bytes each (RFC 1929).
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
    /// A proxy at `host:port` without a login.
    #[cfg(test)]
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: ProxyAddress::Tcp(address.into()), login: None }
    }

    /// Whether it listens where Tor does by default.
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

/// The proxy itself is of no use, so that nothing can be said of the peer behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy {proxy} {}", fault.said(*is_tor))]
pub struct ProxyError {
    /// Which proxy.
    pub proxy: String,
    is_tor: bool,
    /// What is wrong with it.
    pub fault: ProxyFault,
}

/// What is wrong with a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// No connection to it can be made.
    Unreachable {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's words.
        text: String,
    },
    /// It did not greet us in time.
    Silent {
        /// The deadline.
        limit: Duration,
    },
    /// What it sends is no SOCKS5.
    NotSocks5 {
        /// What it does instead.
        instead: String,
    },
    /// It takes nobody without a user name and password.
    WantsLogin,
    /// It refuses the user name and password.
    RefusesLogin,
}

impl ProxyFault {
    pub(in crate::net) fn unreachable(error: &io::Error) -> Self {
        Self::Unreachable { kind: error.kind(), text: words(error) }
    }

    fn said(&self, is_tor: bool) -> String {
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
    /// To the peer itself, as far as the system or the proxy knows.
    #[error(transparent)]
    Peer(#[from] io::Error),
    /// The proxy is of no use.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

#[cfg(test)]
mod tests {
    use super::{Login, Proxy, ProxyAddress, ProxyFault};
    use std::io;

    #[test]
    fn a_proxy_is_blamed_by_its_address_and_its_password_is_never_written() {
        let login = Login { user: "alice".to_owned(), password: "hunter2".to_owned() };
        let proxy = Proxy { login: Some(Box::new(login)), ..Proxy::at("127.0.0.1:9050") };
        let refused = ProxyFault::unreachable(&io::ErrorKind::ConnectionRefused.into());
        let error = proxy.error(refused.clone());
        let said = "the proxy 127.0.0.1:9050 refuses connections: is Tor running?";
        assert_eq!(error.to_string(), said);
        let written = format!("{proxy} {proxy:?} {error:?}");
        assert!(!written.contains("hunter2") && !written.contains("alice"), "{written}");
        let other = Proxy::at("proxy.example:1080").error(refused).to_string();
        assert_eq!(other, "the proxy proxy.example:1080 refuses connections: is it running?");
        let unix = Proxy { address: ProxyAddress::Unix("/run/tor/socks".into()), login: None };
        let absent = ProxyFault::Unreachable { kind: io::ErrorKind::NotFound, text: "x".into() };
        let said = "the proxy unix:/run/tor/socks is not there: x: is Tor running?";
        assert_eq!(unix.error(absent).to_string(), said);
    }
}
