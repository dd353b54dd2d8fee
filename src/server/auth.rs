//! Authenticates RPC clients by a cookie file, a password, or salted hashes of passwords, as Bitcoin Core does.
//!
//! Source: Bitcoin Core `RPCAuthorized` (`httprpc.cpp`), `GenerateAuthCookie` (`rpc/request.cpp`).

use super::options::RpcCredentials;
use crate::config::RpcAuth;
use crate::primitives::hex;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use rand::Rng;
use sha2::Sha256;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use subtle::{Choice, ConstantTimeEq};

/// The user name in a cookie file. Source: Bitcoin Core `COOKIEAUTH_USER`.
const COOKIE_USER: &str = "__cookie__";

/// Returns whether the user and the password match a salted hash.
fn matches_hash(known: &RpcAuth, user: &str, password: &str) -> Choice {
    let mut mac = Hmac::<Sha256>::new_from_slice(known.salt.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(password.as_bytes());
    let hash = hex::encode(&mac.finalize().into_bytes());
    are_equal(user, &known.user) & are_equal(&hash, &known.hash)
}

/// Compares two texts so that the time taken does not reveal where they differ, but only whether their lengths do.
fn are_equal(left: &str, right: &str) -> Choice {
    left.as_bytes().ct_eq(right.as_bytes())
}

/// Checks the credentials of requests. Removes the cookie file when dropped.
#[derive(Debug)]
pub(super) struct RpcAuthenticator {
    passwords: Vec<(String, String)>,
    users: Vec<RpcAuth>,
    cookie: Option<PathBuf>,
}

impl RpcAuthenticator {
    /// Makes an authenticator that accepts these credentials. If [`RpcCredentials::password`] is `None`, writes a
    /// random password to the cookie file.
    ///
    /// # Errors
    /// The cookie cannot be written.
    pub(super) fn new(credentials: &RpcCredentials) -> io::Result<Self> {
        let users = credentials.users.clone();
        let mut authenticator = Self { passwords: Vec::new(), users, cookie: None };
        match &credentials.password {
            Some(password) => authenticator.passwords.push(password.clone()),
            None => {
                let mut bytes = [0; 32];
                rand::rng().fill_bytes(&mut bytes);
                let secret = hex::encode(&bytes);
                write_cookie(&credentials.cookie_file, &secret)?;
                authenticator.passwords.push((COOKIE_USER.to_owned(), secret));
                authenticator.cookie = Some(credentials.cookie_file.clone());
            }
        }
        Ok(authenticator)
    }

    /// Returns whether a request has credentials that are accepted.
    ///
    /// # Security
    /// The request's credentials are compared with all accepted ones, so that the time taken does not reveal which of
    /// them match.
    pub(super) fn accepts(&self, headers: &HeaderMap) -> bool {
        let Some(credentials) = basic_credentials(headers) else { return false };
        let Some((user, password)) = credentials.split_once(':') else { return false };
        let by_password = self
            .passwords
            .iter()
            .map(|(known_user, known)| are_equal(user, known_user) & are_equal(password, known));
        let by_hash = self.users.iter().map(|known| matches_hash(known, user, password));
        by_password.chain(by_hash).fold(Choice::from(0), |any, one| any | one).into()
    }
}

impl Drop for RpcAuthenticator {
    fn drop(&mut self) {
        if let Some(path) = &self.cookie {
            // If the file cannot be removed, the next process replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the user and the password of HTTP's Basic authentication, with a colon between them.
fn basic_credentials(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?.trim();
    String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()
}

/// Writes a cookie file that only its owner can read. Writes it under another name first and renames it, so that no
/// client reads a part of it.
fn write_cookie(path: &Path, secret: &str) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    write!(file, "{COOKIE_USER}:{secret}")?;
    drop(file);
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::{COOKIE_USER, RpcAuthenticator, RpcCredentials};
    use crate::config::RpcAuth;
    use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    use data_encoding::BASE64;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn headers(credentials: &str) -> HeaderMap {
        let value = format!("Basic {}", BASE64.encode(credentials.as_bytes()));
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
    }

    fn credentials(folder: &Path) -> RpcCredentials {
        let cookie_file = folder.join(".cookie");
        RpcCredentials { users: Vec::new(), password: None, cookie_file }
    }

    #[test]
    fn a_cookie_is_for_its_owner_alone_and_is_removed_with_the_authenticator() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(folder.path());
        let authenticator = RpcAuthenticator::new(&credentials).unwrap();
        let cookie = fs::read_to_string(&credentials.cookie_file).unwrap();
        let mode = fs::metadata(&credentials.cookie_file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(authenticator.accepts(&headers(&cookie)));
        assert!(!authenticator.accepts(&headers(&format!("{COOKIE_USER}:"))));
        assert!(!authenticator.accepts(&HeaderMap::new()));
        drop(authenticator);
        assert!(!credentials.cookie_file.exists());
    }

    #[test]
    fn an_rpcauth_line_of_bitcoin_core_accepts_its_password() {
        // From Bitcoin Core's test/functional/rpc_users.py.
        let line = "rt:93648e835a54c573682c2eb19f882535$\
                    7681e9c5b74bdd85e78166031d2058e1069b3ed7ed967c93fc63abba06f31144";
        let folder = tempfile::tempdir().unwrap();
        let users = vec![line.parse::<RpcAuth>().unwrap()];
        let password = Some(("me".to_owned(), "secret".to_owned()));
        let credentials = RpcCredentials { users, password, ..credentials(folder.path()) };
        let authenticator = RpcAuthenticator::new(&credentials).unwrap();
        assert!(authenticator.accepts(&headers("rt:cA773lm788buwYe4g4WT+05pKyNruVKjQ25x3n0DQcM=")));
        assert!(authenticator.accepts(&headers("me:secret")));
        assert!(
            !authenticator.accepts(&headers("rt:secret"))
                && !authenticator.accepts(&headers("me:"))
        );
        assert!(!credentials.cookie_file.exists());
    }
}
