//! Tests of the listener over loopback, with peers that behave and peers that do not.

use super::chains::{chain, grow, regtest};
use super::scene::{Client, TestListener, connect_from, runtime, version, wait_for};
use crate::net::addrman::{AddrMan, AdvertisedAddress, NetGroup, Scope, save};
use crate::net::{ConnectionEvent, Dialer, Disconnect, Timers};
use crate::node::listen::{ListenOptions, PeerListener};
use crate::node::peer_options::net_config;
use crate::primitives::{BlockHash, PeerId};
use crate::wire::{Command, GetHeaders, Message, ServiceFlags, encode_frame};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

#[test]
fn a_peer_downloads_the_chain_and_follows_it_through_a_reorganisation() {
    let first = chain(4500);
    let served = TestListener::start(&first, |options| options.services = ServiceFlags(9));
    let mut client = Client::connect(served.address);
    client.say(&version(0));
    let Message::Version(ours) = client.hear_until(Command::VERSION) else { unreachable!() };
    assert_eq!((ours.services, ours.start_height, ours.relay), (ServiceFlags(9), 4500, false));
    client.say(&Message::Verack);
    client.say(&Message::SendHeaders);
    assert!(client.download() == first);
    let longer = grow(&first, 2, 0);
    served.reach(&longer);
    assert_eq!(client.headers(), longer[4501..]);
    let other = grow(&longer[..=4499], 4, 1);
    served.reach(&other);
    assert_eq!(client.headers(), other[4500..]);
    let deep = grow(&other[..=4400], 150, 2);
    served.reach(&deep);
    let Message::Inv(announced) = client.hear_until(Command::INV) else { unreachable!() };
    assert_eq!(announced[0].hash.0, deep.last().unwrap().hash().0);
    let status = served.peers.list().pop().unwrap();
    assert_eq!((status.user_agent.as_str(), served.peers.count()), ("/client/", 1));
    let sent = status.traffic.sent();
    assert!(sent.bytes() > 4500 * 81 && status.traffic.received().bytes() > 100);
    assert!(sent.by_message().iter().any(|sent| sent.0 == "headers" && sent.1 > 4500 * 81));
    drop(client);
    wait_for("the end of the connection", || served.peers.count() == 0);
    assert!(served.peers.traffic().sent >= sent.bytes());
}

/// An answer that was read before its request must not be sent if the peer then requests other headers.
#[test]
fn an_answer_that_was_read_ahead_is_sent_only_for_its_request() {
    let chain = chain(6500);
    let served = TestListener::start(&chain, |_| ());
    let mut client = Client::shake_hands(served.address, 6500);
    for (from, stop, first, last) in [
        (0, None, 1, 2000),
        (2000, None, 2001, 4000),
        (10, None, 11, 2010),
        (2010, Some(2020), 2011, 2020),
        (0, None, 1, 2000),
        (1999, None, 2000, 3999),
        (3999, None, 4000, 5999),
        (5999, None, 6000, 6500),
    ] {
        let stop = stop.map_or(BlockHash::ZERO, |stop: usize| chain[stop].hash());
        let locator = vec![chain[from].hash()];
        client.say(&Message::GetHeaders(GetHeaders { version: 70016, locator, stop }));
        assert!(client.headers() == chain[first..=last], "after {from}");
    }
    // A reorganisation happens between two requests, so the answer that was read ahead is of the old chain.
    client.ask(chain[0].hash());
    assert_eq!(client.headers().len(), 2000);
    let other = grow(&chain[..=1500], 6000, 1);
    served.reach(&other);
    client.hear_until(Command::INV);
    let locator = vec![chain[2000].hash(), chain[1500].hash()];
    let stop = BlockHash::ZERO;
    client.say(&Message::GetHeaders(GetHeaders { version: 70016, locator, stop }));
    assert!(client.headers() == other[1501..=3500]);
}

#[test]
fn a_peer_that_is_behind_is_told_of_the_tip_when_it_connects() {
    let chain = chain(20);
    let served = TestListener::start(&chain, |_| ());
    let mut client = Client::shake_hands(served.address, 3);
    let Message::Inv(announced) = client.hear_until(Command::INV) else { unreachable!() };
    assert_eq!(announced[0].hash.0, chain[20].hash().0);
    let mut client = Client::shake_hands(served.address, 20);
    client.ask(chain[20].hash());
    client.hear_to(Command::HEADERS, |message| assert!(!matches!(message, Message::Inv(_))));
}

#[test]
fn addresses_come_from_the_file_and_are_sent_once() {
    let served = TestListener::start(&chain(1), |_| ());
    let mut addrman = AddrMan::new([1; 32], Scope::Local);
    for host in 1..=100 {
        let address = SocketAddr::from(([127, 0, 1, host], 18444)).into();
        let services = ServiceFlags::NETWORK;
        let time = crate::chainstate::unix_now_secs() - 9000;
        addrman.add(&[AdvertisedAddress { address, services, time }], NetGroup::DNS, time);
    }
    save(served.folder.path(), &addrman.encode(regtest().magic)).unwrap();
    let mut client = Client::shake_hands(served.address, 1);
    client.say(&Message::GetAddr);
    client.say(&Message::GetAddr);
    client.say(&Message::Ping(Some(7)));
    let Message::Addr(told) = client.hear_until(Command::ADDR) else { unreachable!() };
    assert_eq!(told.len(), addrman.len() * 23 / 100);
    client.ask(BlockHash::ZERO);
    client.hear_to(Command::HEADERS, |message| assert!(!matches!(message, Message::Addr(_))));
}

#[test]
fn peers_that_are_silent_or_break_the_protocol_are_disconnected() {
    let short = Timers { handshake: Duration::from_millis(300), ..Timers::default() };
    let served = TestListener::start(&chain(10), |options| options.timers = short);
    let head = |magic: [u8; 4], length: u32| {
        let mut bytes = encode_frame(magic, &Message::Verack);
        bytes[16..20].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    let openings: [Vec<u8>; 5] = [
        Vec::new(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        encode_frame([1, 2, 3, 4], &version(0)),
        head(regtest().magic, 0xffff_ffff),
        encode_frame(regtest().magic, &Message::GetAddr),
    ];
    for opening in openings {
        let mut client = Client::connect(served.address);
        client.stream.write_all(&opening).unwrap();
        assert_eq!(client.hear_to_the_end(), [], "after {opening:02x?}");
    }
    // After the handshake, a message that is too long is refused once its header has arrived.
    let mut client = Client::shake_hands(served.address, 10);
    client.stream.write_all(&head(regtest().magic, 300_000)).unwrap();
    client.hear_to_the_end();
    // A request for a service that we do not offer ends the connection too.
    let mut client = Client::shake_hands(served.address, 10);
    client.say(&Message::Unknown { command: Command::new("mempool"), payload: Vec::new() });
    client.hear_to_the_end();
    wait_for("the end of all connections", || served.peers.count() == 0);
}

#[test]
fn a_peer_that_does_not_read_is_held_back_then_dropped_and_others_are_served_meanwhile() {
    let chain = chain(2000);
    let timers = Timers { send: Duration::from_secs(2), ..Timers::default() };
    let served = TestListener::start(&chain, |options| options.timers = timers);
    let mut slow = Client::shake_hands(served.address, 2000);
    slow.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let request =
        GetHeaders { version: 70016, locator: vec![chain[0].hash()], stop: BlockHash::ZERO };
    let request = encode_frame(regtest().magic, &Message::GetHeaders(request));
    // The answers would take 1.6 GB. The client reads none of them.
    let taken = (0..10_000).take_while(|_| slow.stream.write_all(&request).is_ok()).count();
    let sent = served.peers.traffic().sent;
    assert!(sent < 64 << 20, "{sent} bytes for {taken} requests");
    assert!(Client::shake_hands(served.address, 2000).download() == chain);
    wait_for("the end of the connection", || served.peers.count() == 0);
}

#[test]
fn a_flood_of_requests_does_not_keep_others_waiting() {
    let chain = chain(2000);
    let served = TestListener::start(&chain, |_| ());
    let mut flood = Client::shake_hands(served.address, 2000);
    let mut reader = flood.stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while matches!(reader.read(&mut buffer), Ok(1..)) {}
    });
    for _ in 0..200 {
        flood.ask(chain[0].hash());
    }
    let started = Instant::now();
    assert!(Client::shake_hands(served.address, 2000).download() == chain);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(served);
    reading.join().unwrap();
}

#[test]
fn of_a_thousand_connections_from_one_address_a_few_are_kept_and_other_addresses_find_room() {
    let chain = chain(100);
    let served = TestListener::start(&chain, |_| ());
    let crowd: Vec<TcpStream> =
        (0..1000).filter_map(|_| TcpStream::connect(served.address).ok()).collect();
    wait_for("each connection to be kept or closed", || {
        let closed = crowd.iter().filter(|stream| is_closed(stream)).count();
        closed + served.peers.count() == crowd.len()
    });
    assert!(served.peers.count() < 30, "{}", served.peers.count());
    let elsewhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);
    let mut other = connect_from(elsewhere, served.address);
    assert!(other.download() == chain);
    drop(crowd);
    wait_for("the end of these connections", || served.peers.count() == 1);
    // A client that reconnects at once is served again, however often it does so.
    for _ in 0..100 {
        assert!(Client::shake_hands(served.address, 100).download() == chain);
        wait_for("the end of the connection", || served.peers.count() == 1);
    }
}

fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = (&mut &*stream).read(&mut [0]);
    !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn the_listener_stops_at_once_and_releases_the_store() {
    let chain = chain(2000);
    let served = TestListener::start(&chain, |_| ());
    let mut busy = Client::shake_hands(served.address, 0);
    (0..50).for_each(|_| busy.ask(chain[0].hash()));
    let _idle: Vec<Client> = (0..20).map(|_| Client::shake_hands(served.address, 2000)).collect();
    let started = Instant::now();
    let store = served.stop();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(Arc::strong_count(&store), 1);
}

#[test]
fn a_connection_to_ourselves_is_recognised() {
    let served = {
        let mut nonces = None;
        let served =
            TestListener::start(&chain(1), |options| nonces = Some(options.own_nonces.clone()));
        let own_nonces = nonces.unwrap();
        let mut config = net_config(regtest(), 1, Timers::default());
        config.own_nonces = own_nonces;
        let address = served.address.to_string();
        let reason = runtime().block_on(async move {
            let (sender, mut events) = mpsc::channel(4);
            let _peer = Dialer::default().spawn(PeerId(1), address, Arc::new(config), sender);
            events.recv().await
        });
        let peer = PeerId(1);
        assert_eq!(
            reason,
            Some(ConnectionEvent::Disconnected { peer, reason: Disconnect::Ourselves })
        );
        served
    };
    wait_for("the end of the connection", || served.peers.count() == 0);
}

#[test]
fn an_address_in_use_is_named() {
    let served = TestListener::start(&chain(1), |_| ());
    let taken = SocketAddr::from((Ipv4Addr::UNSPECIFIED, served.address.port()));
    let error =
        PeerListener::bind(ListenOptions::new(regtest(), taken), served.peers.clone()).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("cannot listen for peers on {taken}: ")),
        "{error}"
    );
}
