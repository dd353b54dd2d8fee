//! `[socks5://][USER:PASSWORD@]HOST:PORT`, or `unix:PATH`.

use super::endpoint::Endpoint;
use super::error::ValueError;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const EXPECTED: &str = "[socks5://][USER:PASSWORD@]HOST:PORT as 127.0.0.1:9050, or unix:PATH";

/// Schemes that mean the same here: names are always the proxy's to resolve.
const SCHEMES: [&str; 2] = ["socks5://", "socks5h://"];

/// Most bytes of a user name, and of a password. Source: RFC 1929.
const MAX_LOGIN: usize = 255;

/// A SOCKS5 proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProxyUrl {
    /// Where it listens.
    pub address: ProxyPlace,
    /// User name and password.
    pub login: Option<Box<(String, String)>>,
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProxyPlace {
    /// A host, with a port.
    Tcp(Endpoint),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Debug for ProxyUrl {
    /// Without user name and password, so that no log has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = self.login.as_ref().map(|_| "secret");
        f.debug_struct("ProxyUrl").field("address", &self.address).field("login", &login).finish()
    }
}

impl FromStr for ProxyUrl {
    type Err = ValueError;

    /// Percent signs in user name and password are read as in a URL, as `curl` does.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || ValueError::new(EXPECTED, &without_login(text));
        let scheme = SCHEMES.iter().find(|scheme| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let rest = &text[scheme.map_or(0, |scheme| scheme.len())..];
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => {
                (Some(Box::new(read_login(login).ok_or_else(error)?)), address)
            }
            None => (None, rest),
        };
        let address = match address.strip_prefix("unix:") {
            Some("") => return Err(error()),
            Some(path) => ProxyPlace::Unix(PathBuf::from(path)),
            None => {
                // A slash at the end is how people copy URLs.
                let bare = address.strip_suffix('/').filter(|_| scheme.is_some());
                let address = bare.unwrap_or(address);
                let endpoint: Endpoint = address.parse().map_err(|_| error())?;
                endpoint.port.ok_or_else(error)?;
                ProxyPlace::Tcp(endpoint)
            }
        };
        Ok(Self { address, login })
    }
}

/// The text for an error message, in which a password has no place.
fn without_login(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, address)| format!("…@{address}"))
}

fn read_login(login: &str) -> Option<(String, String)> {
    let (user, password) = login.split_once(':')?;
    let login = (decoded(user)?, decoded(password)?);
    let fits = |text: &str| (1..=MAX_LOGIN).contains(&text.len());
    (fits(&login.0) && fits(&login.1)).then_some(login)
}

/// A text with its `%XX` decoded; any other percent sign is one.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{ProxyPlace, ProxyUrl};

    fn parsed(text: &str) -> (String, Option<(String, String)>) {
        let proxy: ProxyUrl = text.parse().unwrap();
        let place = match proxy.address {
            ProxyPlace::Tcp(endpoint) => endpoint.to_string(),
            ProxyPlace::Unix(path) => format!("unix:{}", path.display()),
        };
        (place, proxy.login.map(|login| *login))
    }

    #[test]
    fn every_form_that_people_write_a_proxy_in_is_read() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, place, expected) in [
            ("127.0.0.1:9050", "127.0.0.1:9050", None),
            ("socks5://127.0.0.1:9050", "127.0.0.1:9050", None),
            ("SOCKS5H://localhost:9050/", "localhost:9050", None),
            ("[::1]:9050", "[::1]:9050", None),
            ("socks5://[::1]:9050", "[::1]:9050", None),
            ("alice:secret@proxy.example:1080", "proxy.example:1080", login("alice", "secret")),
            ("socks5://alice:p@ss:w@[::1]:1", "[::1]:1", login("alice", "p@ss:w")),
            ("socks5://al%40ce:100%25%zz@h:1", "h:1", login("al@ce", "100%%zz")),
            ("unix:/run/tor/socks", "unix:/run/tor/socks", None),
            ("a:b@unix:/run/tor/socks", "unix:/run/tor/socks", login("a", "b")),
        ] {
            assert_eq!(parsed(text), (place.to_owned(), expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_socks5_proxy_is_refused_without_repeating_a_password() {
        for text in [
            "",
            ":",
            "127.0.0.1",
            "socks5://",
            "socks5://host",
            "socks4://127.0.0.1:9050",
            "http://127.0.0.1:8080",
            "unix:",
            "host:0",
            "alice@host:1",
            "alice:@host:1",
            "alice:secret@host",
            "socks5://alice:secret@host",
        ] {
            let said = text.parse::<ProxyUrl>().unwrap_err().to_string();
            assert!(said.contains("[socks5://][USER:PASSWORD@]HOST:PORT"), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
        let long = format!("{}:b@host:1", "a".repeat(256));
        assert!(long.parse::<ProxyUrl>().is_err());
    }

    #[test]
    fn a_password_is_not_in_the_debug_form() {
        let written = format!("{:?}", "alice:pass-word@host:1".parse::<ProxyUrl>().unwrap());
        assert!(!written.contains("pass-word") && !written.contains("alice"), "{written}");
    }
}
