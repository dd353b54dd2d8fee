//! Queries one DNS server.

use super::packet::{DnsAnswer, Family, answer, query};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How often a query is sent at most, since datagrams can be lost.
const ATTEMPTS: u32 = 2;

/// Longest datagram that is accepted. Without EDNS a server may send 512 bytes (RFC 1035, section 2.3.4); some send
/// more.
const MAX_DATAGRAM: usize = 4096;

/// Asks for the IPv4 and IPv6 addresses of a name at the same time.
///
/// # Errors
/// No address was found, and the query for at least one of the two families failed: the server cannot be reached, did
/// not answer within `deadline` or refused, or the name does not exist or is invalid.
pub(super) async fn lookup(
    server: SocketAddr,
    name: &str,
    deadline: Duration,
) -> io::Result<Vec<IpAddr>> {
    let ask = |family| addresses(server, name, family, deadline);
    let (four, six) = tokio::join!(ask(Family::Ipv4), ask(Family::Ipv6));
    match (four, six) {
        (Ok(four), Ok(six)) => Ok([four, six].concat()),
        // One family is enough to dial.
        (Ok(found), Err(error)) | (Err(error), Ok(found)) => {
            if found.is_empty() {
                Err(error)
            } else {
                Ok(found)
            }
        }
        (Err(error), Err(_)) => Err(error),
    }
}

async fn addresses(
    server: SocketAddr,
    name: &str,
    family: Family,
    deadline: Duration,
) -> io::Result<Vec<IpAddr>> {
    let each = deadline / ATTEMPTS;
    let mut attempts = 0;
    let answer = loop {
        attempts += 1;
        match timeout(each, ask(server, name, family)).await {
            Ok(answer) => break answer.map_err(|error| with_server(server, error))?,
            Err(_) if attempts < ATTEMPTS => {}
            Err(_) => {
                let seconds = deadline.as_secs_f64();
                let text = format!("DNS server {server} did not answer within {seconds:.1} s");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    };
    match answer {
        DnsAnswer::Addresses(found) => Ok(found),
        DnsAnswer::NoSuchName => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such name")))
        }
        DnsAnswer::Refused(code) => {
            Err(invalid(format!("DNS server {server} says {code} to {name}")))
        }
        DnsAnswer::Truncated => {
            Err(invalid(format!("DNS server {server} truncates its answers over TCP")))
        }
    }
}

/// Returns an error about an answer. Its kind is not [`io::ErrorKind::Other`], which says that a proxy failed.
fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Adds the server's address to an error, unless the error has it already or is about the name.
fn with_server(server: SocketAddr, error: io::Error) -> io::Error {
    let text = error.to_string();
    if error.kind() == io::ErrorKind::InvalidInput || text.starts_with("DNS server") {
        return error;
    }
    io::Error::new(error.kind(), format!("DNS server {server}: {text}"))
}

/// Asks over UDP, and again over TCP if the answer was truncated.
async fn ask(server: SocketAddr, name: &str, family: Family) -> io::Result<DnsAnswer> {
    match ask_over_udp(server, name, family).await? {
        DnsAnswer::Truncated => ask_over_tcp(server, name, family).await,
        answer => Ok(answer),
    }
}

fn new_query(name: &str, family: Family) -> io::Result<(u16, Vec<u8>)> {
    let id = rand::random();
    let bad = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no host name"));
    Ok((id, query(id, name, family).map_err(bad)?))
}

async fn ask_over_udp(server: SocketAddr, name: &str, family: Family) -> io::Result<DnsAnswer> {
    let (id, query) = new_query(name, family)?;
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    // A new socket has a new port, which a forger has to guess along with the id. A connected socket accepts datagrams
    // only from the server.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else may be a forgery, and the true answer may still come.
        if let Some(answer) = answer(&buffer[..length], id, name, family) {
            return Ok(answer);
        }
    }
}

async fn ask_over_tcp(server: SocketAddr, name: &str, family: Family) -> io::Result<DnsAnswer> {
    let (id, query) = new_query(name, family)?;
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).expect("a query has at most 271 bytes");
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    answer(&message, id, name, family)
        .ok_or_else(|| invalid(format!("DNS server {server} answers something else over TCP")))
}
