//! Addresses where nobody can be reached: one that neither accepts nor refuses connections, and one that refuses them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

/// An address that does not accept a connection within this time is taken as deaf.
const SILENCE: Duration = Duration::from_millis(200);

/// A listener whose queue is full. The system silently drops every further attempt to connect, as if the host did not
/// exist.
#[derive(Debug)]
pub struct Deaf {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Deaf {
    /// Makes an address of the loopback network deaf. Port 0 stands for a free port.
    ///
    /// # Panics
    /// If the address is in use, or never stops accepting connections.
    pub fn at(address: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _inside = runtime.enter();
        let Refusing { address, socket } = Refusing::at(address);
        let listener = socket.listen(1).and_then(tokio::net::TcpListener::into_std);
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, SILENCE) {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue of {address} is never full");
        }
        Self { address, _listener: listener.expect("a bound socket listens"), _queued: queued }
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A bound socket that does not listen. The system refuses connections to it, and gives its port to nobody else.
#[derive(Debug)]
pub struct Refusing {
    address: SocketAddr,
    socket: TcpSocket,
}

impl Refusing {
    /// Makes an address of the loopback network refuse connections. Port 0 stands for a free port.
    ///
    /// # Panics
    /// If the address is in use.
    pub fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(address).unwrap_or_else(|error| panic!("binding {address}: {error}"));
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { address, socket }
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
