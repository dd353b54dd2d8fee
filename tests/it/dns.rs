//! Tests of DNS queries: seeds, their subdomains, and servers whose answers are slow, wrong or forged.

use crate::support::chain::regtest_chain;
use crate::support::deaf::Deaf;
use crate::support::dns::{DnsServer, FORGED, Manner, Zones};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::light_client;
use lightclient::primitives::Network;
use lightclient::testing::{MAX_ADDRESSES_PER_SEED, Resolver, SeedAnswer, SeedQueries};
use lightclient::wire::ServiceFlags;
use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// A timeout that is longer than any answer on loopback takes.
const DEADLINE: Duration = Duration::from_secs(10);

fn four(host: u8) -> IpAddr {
    Ipv4Addr::new(127, 1, 2, host).into()
}

fn six(host: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into()
}

async fn lookup(server: &DnsServer, name: &str) -> std::io::Result<Vec<IpAddr>> {
    Resolver::Server(server.address()).lookup(name, DEADLINE).await
}

async fn ask(
    server: &DnsServer,
    seeds: &[&str],
    deadline: Duration,
) -> BTreeMap<String, SeedAnswer> {
    let wanted = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
    let resolver = Resolver::Server(server.address());
    let answers = SeedQueries::start(resolver, seeds, wanted, deadline).all().await;
    answers.into_iter().map(|answer| (answer.seed.clone(), answer)).collect()
}

#[tokio::test]
async fn both_address_families_are_queried_with_their_own_ids_and_ports() {
    let server = Zones::default().with("seed.test", [four(1), four(2), six(1)]).serve();
    assert_eq!(lookup(&server, "Seed.TEST").await.unwrap(), [four(1), four(2), six(1)]);
    for _ in 0..10 {
        lookup(&server, "seed.test").await.unwrap();
    }
    let queries = server.queries();
    assert_eq!(queries.iter().filter(|query| query.six).count(), 11);
    assert_eq!(queries.len(), 22, "one query for each family and look-up");
    let ids: HashSet<u16> = queries.iter().map(|query| query.id).collect();
    assert!(ids.len() >= 20, "22 random ids of 65536: {ids:?}");
    let ports: HashSet<u16> = queries.iter().map(|query| query.from.port()).collect();
    assert!(ports.len() >= 15, "ports: {ports:?}");
}

#[tokio::test]
async fn a_name_needs_addresses_of_one_family_only() {
    let server = Zones::default().with("four", [four(1)]).with("six", [six(1)]).with("none", []);
    let server = server.serve();
    assert_eq!(lookup(&server, "four").await.unwrap(), [four(1)]);
    assert_eq!(lookup(&server, "six").await.unwrap(), [six(1)]);
    for name in ["none", "unknown"] {
        assert_eq!(lookup(&server, name).await.unwrap_err().kind(), ErrorKind::NotFound, "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_udp_is_fetched_over_tcp() {
    let all: Vec<IpAddr> = (0..200).map(four).collect();
    let zones = Zones::default().with_manner("long", all.clone(), Manner::Truncates);
    let server = zones.serve();
    assert_eq!(lookup(&server, "long").await.unwrap(), all);
    let streams = server.queries().iter().filter(|query| query.stream).count();
    assert_eq!(streams, 2, "one for each family");
}

#[tokio::test]
async fn answers_with_a_wrong_id_name_family_or_sender_are_ignored() {
    let zones = Zones::default().with_manner("forged", [four(1), six(1)], Manner::ForgedFirst);
    let server = zones.serve();
    for _ in 0..20 {
        let found = lookup(&server, "forged").await.unwrap();
        assert_eq!(found, [four(1), six(1)], "{FORGED} is a forger's");
    }
    assert_eq!(server.queries().len(), 40, "none was asked twice");
}

#[tokio::test]
async fn a_lost_query_is_sent_again() {
    let server = Zones::default().with_manner("lossy", [four(1)], Manner::LosesFirst).serve();
    let resolver = Resolver::Server(server.address());
    let found = resolver.lookup("lossy", Duration::from_millis(400)).await.unwrap();
    assert_eq!(found, [four(1)]);
    assert_eq!(server.queries().len(), 4, "two for each family");
}

#[tokio::test]
async fn failing_silent_and_malformed_servers_are_errors_within_the_deadline() {
    let zones = Zones::default()
        .with_manner("failing", [four(1)], Manner::Fails)
        .with_manner("silent", [four(1)], Manner::Silent)
        .with_manner("garbage", [four(1)], Manner::Garbage);
    let server = zones.serve();
    let resolver = Resolver::Server(server.address());
    for (name, told, kind) in [
        ("failing", "ServerFailure", ErrorKind::InvalidData),
        ("silent", "did not answer within 0.3 s", ErrorKind::TimedOut),
        ("garbage", "did not answer within 0.3 s", ErrorKind::TimedOut),
    ] {
        let start = Instant::now();
        let error = resolver.lookup(name, Duration::from_micros(299_999)).await.unwrap_err();
        assert!(error.to_string().contains(told), "{name}: {error}");
        // The kind `Other` would be reported as a proxy's failure.
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_seed_is_queried_by_its_plain_name_if_its_subdomain_is_unknown() {
    let server = Zones::default()
        .with("x9.filtering", [four(1), six(1)])
        .with("filtering", [four(99)])
        .with("plain", [four(2)])
        .with("x9.empty", [])
        .with("empty", [four(3)])
        .serve();
    let answers = ask(&server, &["filtering", "plain", "empty", "gone"], DEADLINE).await;
    let of = |seed: &str| answers[seed].addresses.clone();
    assert_eq!(of("filtering"), [four(1), six(1)]);
    assert_eq!(of("plain"), [four(2)]);
    assert_eq!(of("empty"), [four(3)]);
    assert_eq!(of("gone").len(), 0);
    let asked = |name: &str| server.queries().iter().any(|query| query.name == name);
    assert!(!asked("filtering"), "the subdomain was enough");
    assert!(asked("x9.gone") && asked("gone"));
}

#[tokio::test]
async fn a_dead_seed_delays_no_other_seed_and_only_until_its_deadline() {
    let server = Zones::default()
        .with("x9.quick", [four(1)])
        .with_manner("x9.dead", [four(2)], Manner::Silent)
        .with_manner("dead", [four(2)], Manner::Silent)
        // The server answers no query for a subdomain.
        .with_manner("x9.half", [], Manner::Silent)
        .with("half", [four(3)])
        .serve();
    let deadline = Duration::from_secs(2);
    let resolver = Resolver::Server(server.address());
    let start = Instant::now();
    let mut queries = SeedQueries::start(
        resolver,
        &["dead", "half", "quick"],
        ServiceFlags::NETWORK | ServiceFlags::WITNESS,
        deadline,
    );
    let mut order = Vec::new();
    while let Some(answer) = queries.next().await {
        order.push((answer.seed, answer.addresses, start.elapsed()));
    }
    assert_eq!((order[0].0.as_str(), &order[0].1[..]), ("quick", &[four(1)][..]));
    assert!(order[0].2 < deadline / 2, "{order:?}");
    assert_eq!((order[1].0.as_str(), &order[1].1[..]), ("half", &[four(3)][..]));
    assert_eq!((order[2].0.as_str(), &order[2].1[..]), ("dead", &[][..]));
    assert!(order[2].2 < deadline + Duration::from_secs(5), "{order:?}");
}

#[tokio::test]
async fn one_seed_gives_no_more_than_its_share() {
    let many = (0..=255).flat_map(|host| [four(host), Ipv4Addr::new(127, 9, 9, host).into()]);
    let server = Zones::default().with_manner("x9.many", many, Manner::Truncates).serve();
    let answers = ask(&server, &["many"], DEADLINE).await;
    assert_eq!(answers["many"].addresses.len(), MAX_ADDRESSES_PER_SEED);
}

#[tokio::test]
async fn names_of_overlay_networks_are_never_resolved() {
    let server = Zones::default().with("abc.onion", [four(1)]).with("abc.i2p", [four(1)]).serve();
    for name in ["abc.onion", "ABC.Onion.", "onion", "sub.abc.onion", "abc.b32.i2p", "abc.i2p."] {
        for resolver in [Resolver::Server(server.address()), Resolver::System] {
            let error = resolver.lookup(name, DEADLINE).await.unwrap_err();
            assert!(error.to_string().contains("needs a proxy"), "{name}: {error}");
        }
    }
    assert_eq!(server.queries(), []);
    // These words in the middle of a name make it no overlay name.
    lookup(&server, "onion.test").await.unwrap_err();
    assert_eq!(server.queries().len(), 2);
}

#[test]
fn a_named_peer_is_reached_even_if_the_first_addresses_of_its_name_are_dead() {
    let chain = SharedChain::new(Network::Regtest, &regtest_chain(10, 1, 600));
    let peer = Script::honest().on(Ipv4Addr::new(127, 9, 9, 4)).start(&chain);
    let port = peer.address().port();
    let dead = [1, 2, 3].map(|host| Ipv4Addr::new(127, 9, 9, host));
    let _deaf = dead.map(|ip| Deaf::at(SocketAddr::from((ip, port))));
    let all = dead.map(IpAddr::from).into_iter().chain([peer.address().ip()]);
    let server = Zones::default().with("peer.test", all).serve();
    let program = light_client(env!("CARGO_BIN_EXE_lightclient"), Network::Regtest);
    let (dns_server, name) = (server.address().to_string(), format!("peer.test:{port}"));
    for command in [
        &["ping", &name, "-c", "1"][..],
        &["sync", "--min-chain-work", "0", "--connect", &name],
        &["sync", "--min-chain-work", "0", "--no-dns", "--add-peer", &name],
    ] {
        let ended = program.run(&[command, &["--dns-server", &dns_server]].concat());
        let ended = ended.expect_success();
        // Three dead addresses come first, which take a quarter of a second each.
        assert!(ended.elapsed < Duration::from_secs(5), "{command:?}: {:?}", ended.elapsed);
    }
}

#[test]
fn a_dns_server_that_answers_for_no_seed_is_named() {
    let seed = "dummySeed.invalid";
    let names = [seed.to_owned(), format!("x9.{seed}")];
    let zones = names
        .iter()
        .fold(Zones::default(), |zones, name| zones.with_manner(name, [four(1)], Manner::Fails));
    let failing = zones.serve();
    let nobody = "127.254.254.254:1".to_owned();
    let program = light_client(env!("CARGO_BIN_EXE_lightclient"), Network::Regtest);
    for (server, said) in [(failing.address().to_string(), " says "), (nobody, ": ")] {
        let ended = program.run(&["sync", "--dns-server", &server]).expect_code(3);
        let said = format!("DNS server {server}{said}");
        assert_eq!(ended.stderr.matches(&said).count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("no peer could be used"), "{}", ended.stderr);
    }
}
