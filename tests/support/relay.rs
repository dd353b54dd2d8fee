//! A relay that delays a connection in both directions.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Starts a relay on loopback that forwards one connection to `server`, and returns the relay's address. Every byte is
/// delayed by `delay` in either direction. The relay's threads end with the connection.
pub fn long_line(server: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client comes");
        let server = TcpStream::connect(server).expect("the server is there");
        let copy = |stream: &TcpStream| stream.try_clone().expect("another handle of it");
        carry(copy(&client), copy(&server), delay);
        carry(server, client, delay);
    });
    address
}

/// Forwards bytes in one direction until one end is closed, and then closes the other end.
fn carry(mut from: TcpStream, to: TcpStream, delay: Duration) {
    to.set_nodelay(true).expect("a connected socket takes the option");
    let (sender, queue) = channel();
    thread::spawn(move || deliver(&queue, to));
    thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            // Sending fails once the other end is closed.
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
}

fn deliver(queue: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, bytes) in queue {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}
