//! Recognises other protocols by the first bytes that a server sends.

use std::fmt;

/// A protocol that this program does not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OtherProtocol {
    /// HTTP: a web server, a network's login page, or a proxy.
    Http,
    /// TLS.
    Tls,
    /// SSH.
    Ssh,
    /// JSON, as Electrum servers and other RPC servers send it.
    Json,
    /// Text that begins with a code of three digits, as mail and FTP servers send it.
    Greeting,
    /// Bytes that look random, with which encrypted connections between Bitcoin nodes begin (BIP324).
    Encrypted,
}

/// Length of the public key (ElligatorSwift) with which a BIP324 connection begins.
const KEY_LEN: usize = 64;
/// Lengths of a message's magic and command.
const MAGIC_LEN: usize = 4;
const COMMAND_LEN: usize = 12;

impl OtherProtocol {
    /// Returns the protocol that begins with these bytes; `None` if they may be Bitcoin's, or are not recognised.
    pub fn by_first_bytes(bytes: &[u8]) -> Option<Self> {
        let starts = |start: &[u8]| bytes.starts_with(start);
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        Some(match bytes {
            _ if starts(b"HTTP") => Self::Http,
            _ if starts(b"SSH-") => Self::Ssh,
            // Records of type alert or handshake, of SSL 3.0 to TLS 1.3. Source: RFC 8446 section 5.1.
            [0x15 | 0x16, 3, 0..=4, ..] => Self::Tls,
            [b'{' | b'[', ..] => Self::Json,
            _ if digits == 3 && matches!(bytes.get(3), Some(b' ' | b'-')) => Self::Greeting,
            _ if bytes.len() >= KEY_LEN
                && !is_command(&bytes[MAGIC_LEN..MAGIC_LEN + COMMAND_LEN]) =>
            {
                Self::Encrypted
            }
            _ => return None,
        })
    }
}

/// Returns whether these bytes can be a command: one or more ASCII characters from `!` to `~`, padded with zeros.
fn is_command(bytes: &[u8]) -> bool {
    let name = bytes.iter().take_while(|byte| byte.is_ascii_graphic()).count();
    name > 0 && bytes[name..].iter().all(|byte| *byte == 0)
}

impl fmt::Display for OtherProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
            Self::Json => "JSON (an Electrum server?)",
            Self::Greeting => "a mail or file server's greeting",
            Self::Encrypted => "encrypted bytes (a peer that takes only BIP324 connections?)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::OtherProtocol;

    #[test]
    fn protocols_are_recognised_by_their_first_bytes() {
        let key: Vec<u8> = (0..64).map(|at: u8| at.wrapping_mul(167) ^ 0x5a).collect();
        for (bytes, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some(OtherProtocol::Http)),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Some(OtherProtocol::Ssh)),
            // An alert as OpenSSL sends it: fatal, wrong version number.
            (b"\x15\x03\x01\x00\x02\x02\x46", Some(OtherProtocol::Tls)),
            (b"{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32700}}\n", Some(OtherProtocol::Json)),
            (b"220 mail.example ESMTP\r\n", Some(OtherProtocol::Greeting)),
            (&key, Some(OtherProtocol::Encrypted)),
            (&key[..40], None),
            (b"", None),
            // A `version` message of an unknown network.
            (&[&b"\x01\x02\x03\x04version\0\0\0\0\0"[..], &[0; 60]].concat(), None),
        ] {
            assert_eq!(OtherProtocol::by_first_bytes(bytes), expected, "{bytes:?}");
        }
    }
}
