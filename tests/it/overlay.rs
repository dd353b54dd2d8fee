//! Onion and I2P addresses: through a proxy they are peers like others, without one their names go nowhere.

use crate::support::chain::{extend_chain, now, regtest_chain};
use crate::support::dns::{DnsServer, Zones};
use crate::support::peer::{Announce, ScriptedPeer};
use crate::support::run::Program;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::socks::{SocksProxy, Target};
use crate::support::sync::{kept, light_client};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::chain::params;
use lightclient::primitives::Network;
use lightclient::testing::PeerAddress;
use lightclient::testing::{Scope, load};
use lightclient::wire::{AddrV2Entry, Message, ServiceFlags};
use serde_json::json;
use std::net::Ipv4Addr;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const ONION_PORT: u16 = 18444;
const I2P: &str = "ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p";

/// The two as they are told, I2P's without a port as there are none.
fn told() -> [PeerAddress; 2] {
    let texts = [format!("{ONION}:{ONION_PORT}"), format!("{I2P}:0")];
    texts.map(|text| text.parse().expect("an address of a peer"))
}

fn targets() -> [Target; 2] {
    [Target::Name(ONION.to_owned(), ONION_PORT), Target::Name(I2P.to_owned(), 0)]
}

/// Two peers that only the proxy can reach, one that tells of them, and a DNS server that should never be asked.
struct World {
    onion: ScriptedPeer,
    i2p: ScriptedPeer,
    guide: ScriptedPeer,
    proxy: SocksProxy,
    dns: DnsServer,
    program: Program,
}

fn world() -> World {
    let chain = SharedChain::new(REGTEST, &regtest_chain(300, 1, 600));
    let peer = |range, script: Script| script.on(Ipv4Addr::new(127, range, 0, 1)).start(&chain);
    let tells = Script::honest().answering(|message| {
        let entry = |address: &PeerAddress| AddrV2Entry {
            time: now(),
            services: ServiceFlags::NETWORK | ServiceFlags::WITNESS,
            address: address.net_address(),
            port: address.port,
        };
        let answer = || vec![Message::AddrV2(told().iter().map(entry).collect())];
        (*message == Message::GetAddr).then(answer)
    });
    let (onion, i2p) = (peer(2, Script::honest()), peer(3, Script::honest()));
    let names = [(ONION.to_owned(), onion.address()), (I2P.to_owned(), i2p.address())];
    World {
        guide: peer(1, tells),
        proxy: SocksProxy::start(names),
        dns: Zones::default().with(ONION, [onion.address().ip()]).serve(),
        program: light_client(BINARY, REGTEST),
        onion,
        i2p,
    }
}

impl World {
    fn with_proxy(&self, args: &[&str]) -> Vec<String> {
        let proxy = self.proxy.address().to_string();
        let more = ["--proxy".to_owned(), proxy, "--dns-server".to_owned(), self.dns_server()];
        args.iter().map(|&arg| arg.to_owned()).chain(more).collect()
    }

    fn dns_server(&self) -> String {
        self.dns.address().to_string()
    }
}

#[test]
fn a_sync_reaches_onion_and_i2p_peers_through_the_proxy_by_their_names_and_keeps_them() {
    let world = world();
    let World { onion, i2p, guide, proxy, program, .. } = &world;
    let sync = ["sync", "--no-dns", "--min-chain-work", "0", "--follow"];
    let guide = guide.connect();
    let first = [&sync[..], &["-v", "--add-peer", &guide]].concat();
    let mut running = program.start(&world.with_proxy(&first));
    [onion, i2p].iter().for_each(|peer| peer.wait_ready(1, PATIENCE));
    running.wait_for_stderr("caught up at height 300: following", PATIENCE);
    // A block that only the onion peer announces is fetched through it.
    let headers = extend_chain(&regtest_chain(300, 1, 600), 1, 77, 600);
    onion.extend(&headers[301..], Announce::Headers);
    running.wait_for_stdout(&headers[301].hash().to_string(), PATIENCE);
    let folder = program.data_dir().join("regtest");
    poll_for("both in the address manager, as ones that answered", PATIENCE, || {
        let addrman = load(&folder, params(REGTEST).magic, Scope::Local).ok()??;
        let answered = |address| addrman.get(&address).is_some_and(|known: &_| known.successes > 0);
        told().into_iter().all(answered).then_some(())
    });
    running.terminate();
    let _ = running.wait(PATIENCE).expect_code(143);
    kept(program, REGTEST).assert_is(&headers);
    for target in targets() {
        assert!(proxy.proxied().targets.contains(&target), "{target:?}");
    }
    // The address manager is enough for the next run, and only through the proxy.
    let before = proxy.proxied().targets.len();
    program.run(&world.with_proxy(&sync[..4])).expect_success();
    let later = proxy.proxied().targets[before..].to_vec();
    assert!(later.iter().any(|target| targets().contains(target)), "{later:?}");
    let before = (proxy.proxied().targets.len(), onion.seen().connections.len());
    let direct = ["--dns-server", &world.dns_server()];
    program.run(&[&sync[..4], &direct].concat()).expect_code(3);
    assert_eq!((proxy.proxied().targets.len(), onion.seen().connections.len()), before);
    assert_eq!(world.dns.queries(), []);
}

#[test]
fn a_crawl_asks_onion_and_i2p_peers_through_a_proxy_and_only_then() {
    let world = world();
    let guide = world.guide.connect();
    let crawl = ["peers", "--connect", &guide, "--crawl", "10", "--timeout", "5", "--json"];
    let rows = world.program.run(&world.with_proxy(&crawl)).expect_success().json();
    let rows = rows.as_array().unwrap();
    let mut reached: Vec<&str> = rows
        .iter()
        .filter(|row| row["connected"] == true)
        .map(|row| row["address"].as_str().unwrap())
        .collect();
    reached.sort_unstable();
    let [onion, i2p] = told().map(|address| address.to_string());
    assert_eq!(reached, [guide.as_str(), &onion, &i2p], "{rows:?}");
    let asked = |peer: &ScriptedPeer| peer.seen().has("getaddr");
    assert!(asked(&world.onion) && asked(&world.i2p));
    assert!(targets().iter().all(|target| world.proxy.proxied().targets.contains(target)));

    let before = world.proxy.proxied().targets.len();
    let dns_server = world.dns_server();
    let direct = [&crawl[..], &["--dns-server", &dns_server]].concat();
    let rows = world.program.run(&direct).expect_success().json();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(rows[0]["addresses"], json!(2), "they are counted");
    assert_eq!(world.proxy.proxied().targets.len(), before);
    assert_eq!(world.dns.queries(), []);
}

#[test]
fn pings_reach_both_through_the_proxy() {
    let world = world();
    for (address, target) in told().iter().zip(targets()) {
        // The user names no port 0: I2P's is that of the network, and I2P ignores it.
        let named = address.to_string().replace(":0", "");
        let args = world.with_proxy(&["ping", &named, "-c", "1", "--json"]);
        assert_eq!(world.program.run(&args).expect_success().json()["received"], 1);
        let (Target::Name(asked, _), Some(Target::Name(got, _))) =
            (target, world.proxy.proxied().targets.last().cloned())
        else {
            panic!("names expected")
        };
        assert_eq!(got, asked);
    }
    assert_eq!(world.dns.queries(), []);
}

#[test]
fn without_a_proxy_their_names_are_an_error_and_asked_of_nobody() {
    let world = world();
    let dns_server = world.dns_server();
    let (with_port, upper) =
        (format!("{ONION}:{ONION_PORT}"), format!("{}.", ONION.to_uppercase()));
    for name in [ONION, &with_port, &upper, I2P] {
        for command in [
            &["ping", name, "-c", "1"][..],
            &["sync", "--connect", name],
            &["sync", "--add-peer", name],
            &["peers", "--connect", name],
            &["mempool", "--connect", name],
        ] {
            let ended = world.program.run(&[command, &["--dns-server", &dns_server]].concat());
            let ended = ended.expect_code(2);
            assert!(ended.stderr.contains("needs --proxy"), "{command:?}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    // Nor is the proxy itself looked for there.
    let proxy = format!("{ONION}:9050");
    let args = ["ping", "127.0.0.1", "-c", "1", "--proxy", &proxy, "--dns-server", &dns_server];
    let ended = world.program.run(&args).expect_code(3);
    assert!(ended.stderr.contains("needs a proxy"), "{}", ended.stderr);
    assert_eq!(world.dns.queries(), []);
}
