//! A SOCKS5 proxy on loopback that records its requests and its own connections.

use super::wait::Watched;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The destination of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A name, which the proxy resolves.
    Name(String, u16),
    /// An address.
    Address(SocketAddr),
}

/// What the proxy has seen and done.
#[derive(Clone, Debug, Default)]
pub struct Proxied {
    /// The destinations of all requests in order.
    pub targets: Vec<Target>,
    /// User name and password of each request; `None` without authentication.
    pub credentials: Vec<Option<(String, String)>>,
    /// The local addresses of the connections that the proxy made.
    pub outgoing: Vec<SocketAddr>,
}

/// How clients log in to a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any user name and password, or none, like Tor.
    Any,
    /// No login, like `ssh -D`.
    Without,
    /// No login. If a client offers a user name and a password, the proxy asks for them and refuses them.
    RefusesLogins,
    /// Only this user name and password.
    Only(&'static str, &'static str),
}

/// A SOCKS5 proxy, which stops when dropped. A connection through the proxy lasts until one of its ends closes.
#[derive(Debug)]
pub struct SocksProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    names: HashMap<String, SocketAddr>,
    access: Access,
    proxied: Watched<Proxied>,
    stopping: AtomicBool,
}

impl SocksProxy {
    /// Starts a proxy that knows these names, and reports any other name as an unreachable host. The proxy accepts any
    /// user name and password, like Tor.
    pub fn start(names: impl IntoIterator<Item = (String, SocketAddr)>) -> Self {
        Self::with(Access::Any, names)
    }

    /// Starts a proxy like [`SocksProxy::start`], with another way to log in.
    pub fn with(access: Access, names: impl IntoIterator<Item = (String, SocketAddr)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let names = names.into_iter().map(|(name, at)| (name.to_lowercase(), at)).collect();
        let shared = Arc::new(Shared {
            names,
            access,
            proxied: Watched::default(),
            stopping: AtomicBool::new(false),
        });
        let listening = Arc::clone(&shared);
        let listener = Some(thread::spawn(move || listening.listen(&listener)));
        Self { address, shared, listener }
    }

    /// Returns the address that the proxy listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what the proxy has seen and done so far.
    pub fn proxied(&self) -> Proxied {
        self.shared.proxied.lock().clone()
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, which then stops.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            listener.join().ok();
        }
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                break;
            }
            let Ok(client) = client else { continue };
            let shared = Arc::clone(self);
            // The client may disconnect at any time.
            thread::spawn(move || shared.serve(client).ok());
        }
    }

    /// Serves one client.
    ///
    /// Source: RFC 1928, and RFC 1929 for user names and passwords.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let Some(credentials) = self.let_in(&mut client)? else { return Ok(()) };
        let target = read_request(&mut client)?;
        self.proxied.change(|proxied| {
            proxied.targets.push(target.clone());
            proxied.credentials.push(credentials);
        });
        let address = match &target {
            Target::Address(address) => Some(*address),
            Target::Name(name, _) => self.names.get(&name.to_lowercase()).copied(),
        };
        let Some(server) = address.and_then(|address| TcpStream::connect(address).ok()) else {
            // Host unreachable.
            return client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]);
        };
        server.set_nodelay(true)?;
        let own = server.local_addr()?;
        self.proxied.change(|proxied| proxied.outgoing.push(own));
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        let forth = thread::spawn(move || pour(&mut from, &mut to));
        let (mut from, mut to) = (server, client);
        pour(&mut from, &mut to);
        forth.join().ok();
        Ok(())
    }

    /// Agrees on a login method with the client, and reads its credentials. Returns `None` if the client is refused,
    /// and `Some(None)` for a client without credentials.
    #[allow(
        clippy::type_complexity,
        reason = "the user and password, if any, of a client that is let in"
    )]
    fn let_in(&self, client: &mut TcpStream) -> io::Result<Option<Option<(String, String)>>> {
        let [version, methods] = read(client)?;
        let mut offered = vec![0; usize::from(methods)];
        client.read_exact(&mut offered)?;
        let with_login = offered.contains(&2) && self.access != Access::Without;
        let only_so = matches!(self.access, Access::Only(..));
        if version != 5 || (only_so && !with_login) || !(with_login || offered.contains(&0)) {
            client.write_all(&[5, 0xff])?;
            return Ok(None);
        }
        let credentials = if with_login {
            client.write_all(&[5, 2])?;
            let (user, password) = read_credentials(client)?;
            let taken = match self.access {
                Access::Any | Access::Without => true,
                Access::RefusesLogins => false,
                Access::Only(the_user, the_password) => {
                    (the_user, the_password) == (&user, &password)
                }
            };
            client.write_all(&[1, u8::from(!taken)])?;
            if !taken {
                return Ok(None);
            }
            Some((user, password))
        } else {
            client.write_all(&[5, 0])?;
            None
        };
        Ok(Some(credentials))
    }
}

/// Listens on a Unix socket, and forwards every client to `proxy` until the process ends.
pub fn front(path: &Path, proxy: SocketAddr) {
    let listener = UnixListener::bind(path).expect("a free path");
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let mut server = TcpStream::connect(proxy).expect("the proxy");
            let mut from = client.try_clone().expect("a socket");
            let mut to = server.try_clone().expect("a socket");
            thread::spawn(move || {
                io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Both).ok();
            });
            thread::spawn(move || {
                io::copy(&mut server, &mut client).ok();
                client.shutdown(Shutdown::Both).ok();
            });
        }
    });
}

/// Starts a server that answers each message of a client with the next of these texts, and closes the connection after
/// the last. An empty text sends nothing. Returns the server's address.
pub fn scripted(answers: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for client in listener.incoming() {
            // The client may disconnect at any time.
            thread::spawn(move || client.and_then(|client| answer(client, answers)).ok());
        }
    });
    address
}

fn answer(mut client: TcpStream, answers: &[&[u8]]) -> io::Result<()> {
    let mut buffer = [0; 4096];
    for answer in answers {
        if client.read(&mut buffer)? == 0 {
            break;
        }
        client.write_all(answer)?;
    }
    client.shutdown(Shutdown::Write)?;
    // Unread bytes would reset the connection.
    io::copy(&mut client, &mut io::sink()).map(drop)
}

/// Copies bytes until one side ends, and closes the other.
fn pour(from: &mut TcpStream, to: &mut TcpStream) {
    io::copy(from, to).ok();
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    stream.set_read_timeout(None)?;
    Ok(bytes)
}

/// Reads a user name and a password.
fn read_credentials(client: &mut TcpStream) -> io::Result<(String, String)> {
    let [1] = read(client)? else {
        return Err(io::Error::other("another version of the authentication"));
    };
    Ok((read_text(client)?, read_text(client)?))
}

/// Reads a text and its length.
fn read_text(client: &mut TcpStream) -> io::Result<String> {
    let [length] = read(client)?;
    let mut text = vec![0; usize::from(length)];
    client.read_exact(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

fn read_request(client: &mut TcpStream) -> io::Result<Target> {
    let [5, 1, 0, kind] = read(client)? else {
        return Err(io::Error::other("no request to connect"));
    };
    let ip: IpAddr = match kind {
        1 => Ipv4Addr::from(read::<4>(client)?).into(),
        4 => Ipv6Addr::from(read::<16>(client)?).into(),
        _ => {
            let name = read_text(client)?;
            return Ok(Target::Name(name, u16::from_be_bytes(read(client)?)));
        }
    };
    Ok(Target::Address(SocketAddr::new(ip, u16::from_be_bytes(read(client)?))))
}
