//! Asking one DNS server.

use super::packet::{Answer, Family, answer, query};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How often a query is sent at most: a datagram may get lost.
const ATTEMPTS: u32 = 2;

/// Longest datagram taken. Without EDNS a server sends 512 bytes at most (RFC 1035 section 2.3.4); some send more.
const MAX_DATAGRAM: usize = 4096;

/// The addresses of a name, IPv4 and IPv6 asked for at the same time.
///
/// # Errors
/// The server does not answer within `deadline`, refuses, or knows no such name; or the name is none.
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
            Ok(answer) => break answer.map_err(|error| named(server, error))?,
            Err(_) if attempts < ATTEMPTS => {}
            Err(_) => {
                let text = format!("DNS server {server} did not answer within {deadline:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    };
    match answer {
        Answer::Addresses(found) => Ok(found),
        Answer::NoSuchName => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such name")))
        }
        Answer::Refused(code) => {
            Err(io::Error::other(format!("DNS server {server} says {code} to {name}")))
        }
        Answer::Truncated => {
            Err(io::Error::other(format!("DNS server {server} truncates its answers over TCP")))
        }
    }
}

/// The error with the server's name in it.
fn named(server: SocketAddr, error: io::Error) -> io::Error {
    let text = error.to_string();
    if error.kind() == io::ErrorKind::InvalidInput || text.starts_with("DNS server") {
        return error;
    }
    io::Error::new(error.kind(), format!("DNS server {server}: {text}"))
}

/// Asks by datagram, and by stream where the answer does not fit in one.
async fn ask(server: SocketAddr, name: &str, family: Family) -> io::Result<Answer> {
    match ask_by_datagram(server, name, family).await? {
        Answer::Truncated => ask_by_stream(server, name, family).await,
        answer => Ok(answer),
    }
}

fn new_query(name: &str, family: Family) -> io::Result<(u16, Vec<u8>)> {
    let id = rand::random();
    let bad = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no host name"));
    Ok((id, query(id, name, family).map_err(bad)?))
}

async fn ask_by_datagram(server: SocketAddr, name: &str, family: Family) -> io::Result<Answer> {
    let (id, query) = new_query(name, family)?;
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    // A new socket and so a new port for each query: with the id, one more thing for a forger to guess. Connected,
    // it takes datagrams of the server only.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else may be a forgery: the true answer can still come.
        if let Some(answer) = answer(&buffer[..length], id, name, family) {
            return Ok(answer);
        }
    }
}

async fn ask_by_stream(server: SocketAddr, name: &str, family: Family) -> io::Result<Answer> {
    let (id, query) = new_query(name, family)?;
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).expect("a query has at most 271 bytes");
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    answer(&message, id, name, family).ok_or_else(|| {
        io::Error::other(format!("DNS server {server} answers something else over TCP"))
    })
}
