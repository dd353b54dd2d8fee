//! A minimal client of JSON-RPC over HTTP, for bitcoind and for servers that answer like it.

use serde_json::{Value, json};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Why a call gave no result.
#[derive(Debug)]
pub enum RpcError {
    /// No answer came, or the answer is not JSON.
    NoAnswer(io::Error),
    /// The server answered with a JSON-RPC error.
    Refused {
        /// The code of the error.
        code: i64,
        /// The message of the error.
        message: String,
    },
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(error) => write!(f, "no answer: {error}"),
            Self::Refused { code, message } => write!(f, "refused with {code}: {message}"),
        }
    }
}

impl From<io::Error> for RpcError {
    fn from(error: io::Error) -> Self {
        Self::NoAnswer(error)
    }
}

/// A server's address, and the credentials to log in with.
#[derive(Clone, Debug)]
pub struct RpcClient {
    /// The address that the server listens on.
    pub address: SocketAddr,
    /// `user:password`, as a cookie file has it.
    pub credentials: String,
}

impl RpcClient {
    /// Calls a method.
    ///
    /// # Errors
    /// No answer came within a minute, or the server refused.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let request = json!({ "jsonrpc": "1.0", "id": 1, "method": method, "params": params });
        let mut answer = self.post(&request.to_string())?;
        if answer["error"].is_null() {
            return Ok(answer["result"].take());
        }
        Err(RpcError::Refused {
            code: answer["error"]["code"].as_i64().unwrap_or_default(),
            message: answer["error"]["message"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Posts a body, and returns the head and the body of the answer.
    ///
    /// # Errors
    /// No answer came within a minute.
    pub fn post_text(&self, body: &str) -> io::Result<(String, String)> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            base64(self.credentials.as_bytes()),
            body.len()
        );
        self.send(&[head.as_bytes(), body.as_bytes()].concat())
    }

    /// Gets a path, and returns the head and the body of the answer.
    ///
    /// # Errors
    /// No answer came within a minute.
    pub fn get(&self, path: &str) -> io::Result<(String, String)> {
        let host = self.address;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.send(head.as_bytes())
    }

    /// Sends bytes, reads until the server closes the connection, and returns the head and the body of the answer.
    ///
    /// # Errors
    /// The connection fails, or nothing arrives for a minute.
    pub fn send(&self, request: &[u8]) -> io::Result<(String, String)> {
        let minute = Duration::from_secs(60);
        let mut stream = TcpStream::connect_timeout(&self.address, minute)?;
        stream.set_read_timeout(Some(minute))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        Ok((head.to_owned(), body.to_owned()))
    }

    fn post(&self, body: &str) -> io::Result<Value> {
        let (head, body) = self.post_text(body)?;
        // An error has a JSON body too, whatever its HTTP status. Without such a body, the status line is the error.
        serde_json::from_str(&body)
            .map_err(|_| io::Error::other(head.lines().next().unwrap_or_default().to_owned()))
    }
}

/// Encodes bytes in base64 (RFC 4648) with padding, as HTTP's basic authentication requires.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).expect("six bits");
            text.push(if at <= group.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}
