//! Tests that failures of our own network or proxy are not blamed on addresses.

use super::bench::Bench;
use super::cases::following;
use crate::net::pool::{Persistence, PoolSettings};
use crate::net::{Disconnect, OtherProtocol};
use crate::net::{Proxy, ProxyFault};
use std::io::ErrorKind;

#[test]
fn a_failed_proxy_is_not_blamed_on_addresses() {
    let settings = PoolSettings { proxy_seeds: Some(Vec::new()), ..following(8) };
    let mut bench = Bench::with_addresses(settings, &["8.8.8.8:8333"]);
    let id = bench.dials(1)[0].0;
    bench.lose(id, &proxy_down());
    let address = "8.8.8.8:8333".parse().unwrap();
    let known = bench.pool.addrman().get(&address).unwrap();
    assert_eq!((known.failures, known.last_try), (0, 0));
    assert!(!bench.dials(10).is_empty(), "a pool that persists dials again");
}

fn proxy_down() -> Disconnect {
    let refused = ErrorKind::ConnectionRefused.into();
    Disconnect::Proxy(Proxy::at("127.0.0.1:9050").error(ProxyFault::unreachable(&refused)))
}

#[test]
fn a_brief_pool_gives_up_when_a_proxy_never_worked() {
    let settings = PoolSettings {
        proxy_seeds: Some(Vec::new()),
        persistence: Persistence::Brief,
        ..following(8)
    };
    let mut bench = Bench::with_addresses(settings.clone(), &["8.8.8.8:8333", "9.9.9.9:8333"]);
    let dials = bench.dials(1);
    assert_eq!(dials.len(), 2);
    dials.iter().for_each(|(id, _)| bench.lose(*id, &proxy_down()));
    assert!(bench.pool.is_exhausted(bench.now));
    assert_eq!(bench.dials(10), []);
    // If the proxy has worked before, the pool goes on.
    let mut bench = Bench::with_addresses(settings, &["8.8.8.8:8333", "9.9.9.9:8333"]);
    let dials = bench.dials(1);
    bench.lose(dials[0].0, &Disconnect::HungUp);
    bench.lose(dials[1].0, &proxy_down());
    assert!(!bench.dials(10).is_empty());
}

#[test]
fn a_run_right_after_a_failed_one_dials_at_once() {
    let brief = PoolSettings { persistence: Persistence::Brief, ..following(8) };
    let all = ["8.8.8.8:8333", "9.9.9.9:8333", "1.1.1.1:8333"];
    let mut bench = Bench::with_addresses(brief.clone(), &all);
    let down = Disconnect::Unreachable { kind: ErrorKind::ConnectionRefused, text: String::new() };
    for (id, _) in bench.dials(1) {
        bench.lose(id, &down);
    }
    assert_eq!(bench.dials(5), [], "each address is dialled once");
    let addrman = bench.pool.addrman().clone();
    // The next run begins in the same second, with the same address manager.
    let mut again = Bench::new(brief);
    again.now = bench.now;
    again.pool.replace_addrman(addrman);
    let dialled: Vec<String> = again.dials(1).into_iter().map(|(_, address)| address).collect();
    assert_eq!(dialled.len(), 3, "{dialled:?}");
    assert_eq!(again.dials(5), []);
}

#[test]
fn a_login_page_that_answers_for_every_peer_is_not_blamed_on_addresses() {
    let mut bench = Bench::with_addresses(following(8), &["8.8.8.8:8333"]);
    let id = bench.dials(1)[0].0;
    bench.lose(id, &Disconnect::OtherProtocol { protocol: OtherProtocol::Http });
    assert_eq!(bench.avoided("8.8.8.8:8333"), None);
    assert_eq!(bench.pool.addrman().len(), 1);
}
