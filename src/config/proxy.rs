//! Parses `[socks5://][USER:PASSWORD@]` followed by `HOST:PORT` or `unix:PATH`.

use super::error::ValueError;
use super::host_port::HostPort;
use crate::net::{Login, Proxy, ProxyAddress};
use std::path::PathBuf;
use std::str::FromStr;

const EXPECTED: &str = "[socks5://][USER:PASSWORD@]HOST:PORT as 127.0.0.1:9050, or unix:PATH";

/// The accepted schemes. Both schemes mean the same here, since the proxy always resolves names.
const SCHEMES: [&str; 2] = ["socks5://", "socks5h://"];

/// The greatest length of a user name or a password, in bytes. Source: RFC 1929.
const MAX_LOGIN: usize = 255;

impl FromStr for Proxy {
    type Err = ValueError;

    /// Parses a proxy. User name and password are percent-decoded, as `curl` does.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || ValueError::new(EXPECTED, &without_login(text));
        let scheme = SCHEMES.iter().find(|scheme| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let rest = &text[scheme.map_or(0, |scheme| scheme.len())..];
        let (login, address) = split_login(rest);
        let login = login.map(|login| read_login(login).map(Box::new).ok_or_else(error));
        let login = login.transpose()?;
        let address = match address.strip_prefix("unix:") {
            Some("") => return Err(error()),
            Some(path) => ProxyAddress::Unix(PathBuf::from(path)),
            None => {
                // A copied URL may end with a slash.
                let bare = address.strip_suffix('/').filter(|_| scheme.is_some());
                let address = bare.unwrap_or(address);
                let endpoint: HostPort = address.parse().map_err(|_| error())?;
                endpoint.port.ok_or_else(error)?;
                ProxyAddress::Tcp(endpoint.to_string())
            }
        };
        Ok(Self { address, login })
    }
}

/// Splits `USER:PASSWORD@ADDRESS`. A path after `unix:` may have an `@` too.
fn split_login(text: &str) -> (Option<&str>, &str) {
    if text.starts_with("unix:") {
        return (None, text);
    }
    match text.find("@unix:").or_else(|| text.rfind('@')) {
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
        None => (None, text),
    }
}

/// Removes user name and password from a text for an error message. What follows the last `@` is shown only if it is an
/// address with a port: otherwise it may belong to a password.
pub(crate) fn without_login(text: &str) -> String {
    let Some((_, address)) = text.rsplit_once('@') else { return text.to_owned() };
    let bare = address.strip_suffix('/').unwrap_or(address);
    let is_address = bare.parse().is_ok_and(|address: HostPort| address.port.is_some());
    format!("…@{}", if is_address { address } else { "…" })
}

/// Parses `USER:PASSWORD`.
fn read_login(login: &str) -> Option<Login> {
    let (user, password) = login.split_once(':')?;
    let login = Login { user: percent_decoded(user)?, password: percent_decoded(password)? };
    let fits = |text: &str| (1..=MAX_LOGIN).contains(&text.len());
    (fits(&login.user) && fits(&login.password)).then_some(login)
}

/// Decodes each `%XX` in a text, and keeps any other percent sign.
fn percent_decoded(text: &str) -> Option<String> {
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
    use super::Proxy;

    fn parsed(text: &str) -> (String, Option<(String, String)>) {
        let proxy: Proxy = text.parse().unwrap();
        (proxy.to_string(), proxy.login.map(|login| (login.user, login.password)))
    }

    #[test]
    fn every_form_of_a_proxy_is_parsed() {
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
            ("unix:/path/with@sign", "unix:/path/with@sign", None),
            ("unix:@abstract", "unix:@abstract", None),
            ("a:b@unix:/with@sign", "unix:/with@sign", login("a", "b")),
            ("a:b@unix:/run/tor/socks", "unix:/run/tor/socks", login("a", "b")),
        ] {
            assert_eq!(parsed(text), (place.to_owned(), expected), "{text}");
        }
    }

    #[test]
    fn errors_about_a_proxy_do_not_repeat_its_password() {
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
            "alice:p@secret",
        ] {
            let error = text.parse::<Proxy>().unwrap_err().to_string();
            assert!(error.contains("[socks5://][USER:PASSWORD@]HOST:PORT"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let long = format!("{}:b@host:1", "a".repeat(256));
        assert!(long.parse::<Proxy>().is_err());
    }

    #[test]
    fn a_password_is_not_in_the_debug_form() {
        let written = format!("{:?}", "alice:pass-word@host:1".parse::<Proxy>().unwrap());
        assert!(!written.contains("pass-word") && !written.contains("alice"), "{written}");
    }
}
