//! A SOCKS5 client. Source: RFC 1928, and RFC 1929 for user names and passwords.

use super::proxy::{Login, ProxyFault};
use crate::net::conn::OtherProtocol;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const WITH_LOGIN: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// How long to wait for the rest of an answer that is not SOCKS5.
const REST_DEADLINE: Duration = Duration::from_millis(200);

/// Types of addresses.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Greets a proxy, and logs in if the proxy asks for that.
///
/// # Errors
/// The connection broke, or the proxy requires a login that is not given, refuses the login or does not speak SOCKS5.
pub(super) async fn greet<S>(stream: &mut S, login: Option<&Login>) -> Result<(), ProxyFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offer: &[u8] =
        if login.is_some() { &[VERSION, 2, NO_LOGIN, WITH_LOGIN] } else { &[VERSION, 1, NO_LOGIN] };
    let mut chosen = [0; 2];
    exchange(stream, offer, &mut chosen).await?;
    match (chosen, login) {
        ([VERSION, NO_LOGIN], _) => Ok(()),
        ([VERSION, WITH_LOGIN], Some(login)) => log_in(stream, login).await,
        ([VERSION, NO_METHOD], None) => Err(ProxyFault::WantsLogin),
        ([VERSION, NO_METHOD], Some(_)) => Err(ProxyFault::RefusesLogin),
        _ => Err(ProxyFault::NotSocks5 { instead: instead(stream, &chosen).await }),
    }
}

/// Sends one part of the greeting, and reads the answer.
async fn exchange<S>(stream: &mut S, sent: &[u8], answer: &mut [u8]) -> Result<(), ProxyFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchanged = async {
        stream.write_all(sent).await?;
        stream.read_exact(answer).await
    };
    exchanged.await.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => hung_up(),
        _ => ProxyFault::unreachable(&error),
    })
}

fn hung_up() -> ProxyFault {
    ProxyFault::NotSocks5 { instead: "hangs up".to_owned() }
}

/// Describes an answer that is not SOCKS5, by its first bytes.
async fn instead<S: AsyncRead + Unpin>(stream: &mut S, first: &[u8]) -> String {
    let mut answer = first.to_vec();
    let mut more = [0; 64];
    // A few bytes are enough to recognise a protocol.
    if let Ok(Ok(count)) = timeout(REST_DEADLINE, stream.read(&mut more)).await {
        answer.extend_from_slice(&more[..count]);
    }
    match OtherProtocol::by_first_bytes(&answer) {
        Some(protocol) => format!("answers {protocol}"),
        None => "answers something else".to_owned(),
    }
}

async fn log_in<S>(stream: &mut S, login: &Login) -> Result<(), ProxyFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut sent = vec![LOGIN_VERSION];
    for text in [&login.user, &login.password] {
        let length = u8::try_from(text.len()).map_err(|_| ProxyFault::RefusesLogin)?;
        sent.push(length);
        sent.extend_from_slice(text.as_bytes());
    }
    let mut answer = [0; 2];
    match exchange(stream, &sent, &mut answer).await {
        // After a refusal the server closes the connection (RFC 1929); some servers do so without an answer.
        Err(ProxyFault::NotSocks5 { .. }) => Err(ProxyFault::RefusesLogin),
        Err(fault) => Err(fault),
        Ok(()) if answer[1] == 0 => Ok(()),
        Ok(()) => Err(ProxyFault::RefusesLogin),
    }
}

/// Asks the proxy to connect to a host, which is an address or a name that the proxy resolves.
///
/// # Errors
/// Of kind [`io::ErrorKind::Other`] if the proxy refused, hung up or did not answer in SOCKS5, or if the name is too
/// long; of any other kind if the connection to the proxy broke.
pub(super) async fn request<S>(stream: &mut S, host: &str, port: u16) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut sent = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            sent.push(IPV4);
            sent.extend_from_slice(&ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            sent.push(IPV6);
            sent.extend_from_slice(&ip.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len())
                .map_err(|_| io::Error::other(format!("{host:?}: longer than 255 bytes")))?;
            sent.extend_from_slice(&[NAME, length]);
            sent.extend_from_slice(host.as_bytes());
        }
    }
    sent.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&sent).await?;
    read_reply(stream).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it hung up"),
        _ => error,
    })
}

async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [VERSION, code, _, kind] = head else {
        return Err(io::Error::other("its reply is not SOCKS5"));
    };
    if code != 0 {
        return Err(io::Error::other(refusal(code)));
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(io::Error::other("its reply is not SOCKS5")),
    };
    // The address that the proxy connected from is not needed.
    stream.read_exact(&mut vec![0; length + 2]).await?;
    Ok(())
}

/// Describes a reply code. Source: RFC 1928, section 6; for codes from 0xf0 on, Tor's proposal 304.
fn refusal(code: u8) -> String {
    let text = match code {
        1 => "it cannot connect",
        2 => "its rules do not allow this connection",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "no answer in time",
        7 => "it does not support the command to connect",
        8 => "it does not know this kind of address",
        0xf0 => "the onion service is unknown",
        0xf1..=0xf3 => "the onion service cannot be reached",
        0xf4 | 0xf5 => "the onion service wants an authorization",
        0xf6 => "this is not a valid onion address",
        0xf7 => "the onion service did not answer in time",
        _ => return format!("code {code}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{greet, request};
    use crate::net::dial::{Login, ProxyFault};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// Greets a proxy that answers each message with the next of these byte strings.
    async fn greeted(login: Option<&Login>, answers: &[&[u8]]) -> Result<(), ProxyFault> {
        let (mut ours, mut theirs) = duplex(1024);
        let proxy = async {
            let mut sent = [0; 1024];
            for answer in answers {
                assert!(theirs.read(&mut sent).await.unwrap() > 0, "the proxy was sent nothing");
                theirs.write_all(answer).await.unwrap();
            }
            drop(theirs);
        };
        tokio::join!(greet(&mut ours, login), proxy).0
    }

    #[tokio::test]
    async fn the_proxy_decides_whether_we_log_in() {
        let login = Login { user: "u".to_owned(), password: "p".to_owned() };
        assert_eq!(greeted(None, &[&[5, 0]]).await, Ok(()));
        assert_eq!(greeted(Some(&login), &[&[5, 0]]).await, Ok(()));
        assert_eq!(greeted(Some(&login), &[&[5, 2], &[1, 0]]).await, Ok(()));
        let refused = Err(ProxyFault::RefusesLogin);
        assert_eq!(greeted(Some(&login), &[&[5, 2], &[1, 1]]).await, refused);
        assert_eq!(greeted(Some(&login), &[&[5, 2], &[]]).await, refused);
        assert_eq!(greeted(None, &[&[5, 0xff]]).await, Err(ProxyFault::WantsLogin));
    }

    #[tokio::test]
    async fn a_protocol_other_than_socks5_is_named() {
        for (answer, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "answers HTTP"),
            (&[0, 91, 0, 0, 0, 0, 0, 0], "answers something else"),
            (&[], "hangs up"),
        ] {
            let Err(ProxyFault::NotSocks5 { instead }) = greeted(None, &[answer]).await else {
                panic!("{answer:?}");
            };
            assert_eq!(instead, expected);
        }
    }

    #[tokio::test]
    async fn a_request_carries_the_name_or_address_and_a_refusal_is_explained() {
        for (host, code, sent) in [
            ("1.2.3.4", 0, &[5, 1, 0, 1, 1, 2, 3, 4, 0x20, 0x8d][..]),
            ("a.onion", 0, b"\x05\x01\x00\x03\x07a.onion\x20\x8d"),
            ("::1", 4, &[5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 0x8d]),
        ] {
            let (mut ours, mut theirs) = duplex(1024);
            let proxy = async {
                let mut got = vec![0; sent.len()];
                theirs.read_exact(&mut got).await.unwrap();
                theirs.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                got
            };
            let (done, got) = tokio::join!(request(&mut ours, host, 8333), proxy);
            assert_eq!(got, sent, "{host}");
            assert_eq!(
                done.err().map(|e| e.to_string()),
                (code != 0).then(|| "host unreachable".into())
            );
        }
    }
}
