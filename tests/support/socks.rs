//! A SOCKS5 proxy on loopback that writes down what it is asked for, and from where it reached out.

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

/// What a client asked to be connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A name, for the proxy to resolve.
    Name(String, u16),
    /// An address.
    Address(SocketAddr),
}

/// What the proxy has seen and done.
#[derive(Clone, Debug, Default)]
pub struct Proxied {
    /// Whom it was asked to connect to, in order.
    pub targets: Vec<Target>,
    /// User name and password of each of these requests; `None` where it was made without authentication.
    pub credentials: Vec<Option<(String, String)>>,
    /// Its own ends of the connections it made.
    pub outgoing: Vec<SocketAddr>,
}

/// How clients log in to a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As Tor: with any user name and password, or without.
    Any,
    /// As `ssh -D`: without.
    Without,
    /// As some that are configured so: it takes a user name and a password where they are offered, and refuses them;
    /// without any it lets everybody in.
    RefusesLogins,
    /// With this user name and password only.
    Only(&'static str, &'static str),
}

/// A proxy. It stops when dropped; connections through it end with their ends.
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
    /// Starts a proxy that knows these names; of any other it says that the host is unreachable. As Tor, it takes any
    /// user name and password where they are offered.
    pub fn start(names: impl IntoIterator<Item = (String, SocketAddr)>) -> Self {
        Self::with(Access::Any, names)
    }

    /// As [`SocksProxy::start`], with this way to log in.
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen and done so far.
    pub fn proxied(&self) -> Proxied {
        self.shared.proxied.lock().clone()
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is to stop.
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
            // A client that breaks off is its own test's business.
            thread::spawn(move || shared.serve(client).ok());
        }
    }

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

    /// Agrees on a method with the client, and takes its credentials; `None` if it is turned away.
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

/// Listens on a Unix socket and leads every client to `proxy`, for as long as the process lives.
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

/// Copies until one side ends, and tells the other.
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

/// A user name and a password, whatever they are.
fn read_credentials(client: &mut TcpStream) -> io::Result<(String, String)> {
    let [1] = read(client)? else {
        return Err(io::Error::other("another version of the authentication"));
    };
    Ok((read_text(client)?, read_text(client)?))
}

/// A text behind its length.
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
