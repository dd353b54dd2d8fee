//! An address that takes no connection and refuses none.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

/// How long a connection is waited for until the address counts as deaf.
const SILENCE: Duration = Duration::from_millis(200);

/// A listener whose queue is full of connections that nobody accepts: the system drops every further attempt without
/// a word, as happens to what is sent to a host that is not there.
#[derive(Debug)]
pub struct Deaf {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Deaf {
    /// Takes that address of the loopback network.
    ///
    /// # Panics
    /// If it is in use, or never stops taking connections.
    pub fn at(address: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _inside = runtime.enter();
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(address).unwrap_or_else(|error| panic!("listening on {address}: {error}"));
        let listener = socket.listen(1).and_then(tokio::net::TcpListener::into_std);
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, SILENCE) {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue of {address} is never full");
        }
        Self { _listener: listener.expect("a bound socket listens"), _queued: queued }
    }
}
