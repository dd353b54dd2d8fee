//! Tests of the ways to name a proxy, and of the errors when the proxy fails.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use crate::support::chain::regtest_chain;
use crate::support::dns::{DnsServer, Zones};
use crate::support::peer::ScriptedPeer;
use crate::support::run::Program;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::socks::{Access, SocksProxy, front, scripted};
use crate::support::sync::light_client;
use lightclient::primitives::Network;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

/// The name of regtest's DNS seed, and its port.
const SEED: &str = "dummySeed.invalid";

/// Three peers, a fourth behind the seed's name that sends their addresses, and a DNS server that must not be asked.
struct World {
    peers: Vec<ScriptedPeer>,
    seed: ScriptedPeer,
    dns: DnsServer,
    program: Program,
}

fn world() -> World {
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(300, 1, 600));
    let on = |range| Script::honest().on(Ipv4Addr::new(127, range, 0, 7));
    let peers: Vec<ScriptedPeer> = [2, 3, 4].map(|range| on(range).start(&chain)).into();
    let known = peers.iter().map(ScriptedPeer::address).collect();
    let seed = on(1).addresses(known).start(&chain);
    let program = light_client(env!("CARGO_BIN_EXE_lightclient"), Network::Regtest);
    World { peers, seed, dns: Zones::default().serve(), program }
}

#[test]
fn a_proxy_is_named_as_a_url_with_a_login_or_as_a_unix_socket() {
    let world = world();
    let names = [(SEED.to_owned(), world.peers[0].address())];
    let ping = |proxy: &str| world.program.run(&["ping", SEED, "-c", "1", "--proxy", proxy]);
    let any = SocksProxy::start(names.clone());
    for scheme in ["socks5://", "socks5h://", ""] {
        ping(&format!("{scheme}{}", any.address())).expect_success();
    }
    let socket = world.program.data_dir().join("tor socks");
    fs::create_dir_all(world.program.data_dir()).unwrap();
    front(&socket, any.address());
    ping(&format!("unix:{}", socket.display())).expect_success();
    assert_eq!(any.proxied().targets.len(), 4);

    let only = SocksProxy::with(Access::Only("alice", "hunter:2"), names);
    let at = only.address();
    ping(&format!("alice:hunter:2@{at}")).expect_success();
    ping(&format!("socks5://alice:hunter%3A2@{at}")).expect_success();
    let used = only.proxied().credentials;
    assert_eq!(used, vec![Some(("alice".to_owned(), "hunter:2".to_owned())); 2]);
    let wrong = ping(&format!("alice:hunter3@{at}")).expect_code(3);
    let said = format!("error: the proxy {at} refuses the user name and the password\n");
    assert_eq!(wrong.stderr, said);
    let without = ping(&at.to_string()).expect_code(3);
    let said = format!("error: the proxy {at} wants a user name and a password");
    assert!(without.stderr.starts_with(&said), "{}", without.stderr);
}

#[test]
fn a_server_that_is_no_socks5_proxy_is_described() {
    let world = world();
    let web = scripted(&[b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"]);
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = mute.local_addr().unwrap();
    let absent = world.program.data_dir().join("absent");
    for (proxy, said) in [
        (web.to_string(), format!("the proxy {web} does not speak SOCKS5: it answers HTTP")),
        (
            silent.to_string(),
            format!("the proxy {silent} did not answer within 1.6s: is it a SOCKS5 proxy?"),
        ),
        (
            format!("unix:{}", absent.display()),
            format!("the proxy unix:{} is not there: ", absent.display()),
        ),
    ] {
        let member = world.peers[0].connect();
        let args = ["ping", &member, "-c", "1", "--timeout", "2", "--proxy", &proxy];
        let ended = world.program.run(&args).expect_code(3);
        assert!(ended.stderr.starts_with(&format!("error: {said}")), "{}", ended.stderr);
        assert!(!ended.stderr.contains("check the address"), "{}", ended.stderr);
    }
}

#[test]
fn while_the_proxy_is_down_no_address_counts_as_failed_and_no_password_is_logged() {
    let world = world();
    let proxy = SocksProxy::start([(SEED.to_owned(), world.seed.address())]);
    let dns = world.dns.address().to_string();
    let through = proxy.address().to_string();
    world.program.run(&["sync", "--proxy", &through, "--dns-server", &dns]).expect_success();
    drop(proxy);
    let addrman = || fs::read(world.program.data_dir().join("regtest/addresses.dat")).unwrap();
    let before = addrman();
    let with_login = format!("alice:hunter2@{through}");
    let args = ["sync", "-vv", "--proxy", &with_login, "--dns-server", &dns];
    let ended = world.program.run(&args).expect_code(3);
    assert!(ended.stderr.contains("refuses connections"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    assert_eq!(addrman(), before, "nothing was learnt of any address");
    let bad = world.program.run(&["sync", "--proxy", "alice:hunter2@nowhere"]).expect_code(2);
    assert!(!bad.stderr.contains("hunter2"), "{}", bad.stderr);
}
