//! Tests of single decisions of the pool.

use super::bench::{Bench, EPOCH, FULL_NODE, at, secs};
use crate::net::Disconnect;
use crate::net::addrman::{AdvertisedAddress, AvoidReason, PeerAddress};
use crate::net::pool::{
    Action, DisconnectReason, MAX_FRUITLESS, PeerAdmission, Persistence, PoolSettings, Search,
};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use std::time::Duration;

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:8333";

pub(super) fn following(wanted: usize) -> PoolSettings {
    PoolSettings { wanted, persistence: Persistence::Always, ..PoolSettings::default() }
}

fn pings(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Ping { .. })).count()
}

#[test]
fn with_connect_no_other_peer_is_dialled_sought_or_remembered() {
    let connect = vec!["a:1".to_owned(), "b:1".to_owned(), "A:1".to_owned()];
    let mut bench = Bench::with_addresses(
        PoolSettings { connect, dns: true, ..following(8) },
        &["8.8.8.8:8333"],
    );
    let actions = bench.poll();
    let dialled = |action: &Action| {
        let Action::Dial { address, .. } = action else { return false };
        ["a:1", "b:1"].contains(&address.as_str())
    };
    assert!(actions.len() == 2 && actions.iter().all(dialled), "{actions:?}");
    assert_eq!(
        bench.connect(PeerId(0), ServiceFlags::NONE),
        PeerAdmission::Keep,
        "the user named it"
    );
    let advertised = AdvertisedAddress {
        address: "9.9.9.9:8333".parse().unwrap(),
        services: FULL_NODE,
        time: EPOCH,
    };
    bench.pool.addresses_received(PeerId(0), &[advertised], bench.now);
    assert_eq!(bench.dials(100), []);
    assert!(bench.pool.addrman().get(&advertised.address).is_none() && !bench.pool.is_unsaved());
}

#[test]
fn a_named_peer_that_misbehaves_is_given_up_and_the_pool_ends_with_the_last_one() {
    let connect = vec!["a:1".to_owned(), "b:1".to_owned()];
    let mut bench = Bench::new(PoolSettings { connect, ..following(8) });
    assert_eq!(bench.dials(1).len(), 2);
    bench.connect(PeerId(0), FULL_NODE);
    bench.pool.misbehaved(PeerId(0), bench.now);
    assert_eq!(bench.dials(3600), []);
    assert!(!bench.pool.is_exhausted(bench.now));
    bench.lose(PeerId(1), &Disconnect::Closed);
    assert_eq!(bench.dials(2), [(PeerId(2), "b:1".to_owned())]);
    bench.lose(PeerId(2), &Disconnect::Obsolete { min: 2, got: 1 });
    assert_eq!(bench.dials(3600), []);
    assert!(bench.pool.is_exhausted(bench.now));
}

#[test]
fn added_peers_are_dialled_first_and_take_the_slots_of_found_ones() {
    let add_peers = vec!["node:8333".to_owned()];
    let known = ["8.8.8.8:8333", "9.9.9.9:8333"];
    let mut bench = Bench::with_addresses(PoolSettings { add_peers, ..following(2) }, &known);
    let dials = bench.dials(1);
    assert_eq!(dials[0].1, "node:8333");
    let found: Vec<PeerId> = dials[1..].iter().map(|(id, _)| *id).collect();
    found.iter().for_each(|id| assert_eq!(bench.connect(*id, FULL_NODE), PeerAdmission::Keep));
    bench.poll();
    assert_eq!(bench.connect(PeerId(0), ServiceFlags::NONE), PeerAdmission::Keep);
    let actions = bench.poll();
    let disconnected = |action: &Action| {
        matches!(action, Action::Disconnect { reason: DisconnectReason::LeastUseful, .. })
    };
    assert_eq!(actions.iter().filter(|action| disconnected(action)).count(), 1, "{actions:?}");
    assert!(bench.pool.is_named(PeerId(0)) && bench.pool.connected_count() == 2);
}

#[test]
fn a_peer_that_is_named_and_found_is_dialled_once() {
    let add_peers = vec!["8.8.8.8:8333".to_owned()];
    let known = ["8.8.8.8:8333", "9.9.9.9:8333"];
    let mut bench = Bench::with_addresses(PoolSettings { add_peers, ..following(8) }, &known);
    let mut dialled: Vec<String> =
        bench.dials(10).into_iter().map(|(_, address)| address).collect();
    dialled.sort_unstable();
    assert_eq!(dialled, known);
}

#[test]
fn services_decide_which_peers_are_kept() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"];
    let settings = PoolSettings { avoids_blake2b_fork: true, ..following(8) };
    let mut bench = Bench::with_addresses(settings, &known);
    let dials = bench.dials(2);
    // The tip is recent, so a peer that keeps only the last blocks is enough.
    assert_eq!(bench.connect(dials[0].0, ServiceFlags::NETWORK_LIMITED), PeerAdmission::Keep);
    bench.pool.set_tip(at(101), EPOCH - 2 * 24 * 3600, bench.now);
    let (needed, offered) = (ServiceFlags::NETWORK, ServiceFlags::NETWORK_LIMITED);
    let refused = PeerAdmission::Disconnect(DisconnectReason::Services { needed, offered });
    assert_eq!(bench.connect(dials[1].0, offered), refused);
    let other = FULL_NODE | ServiceFlags::BLAKE2B_FORK;
    assert_eq!(
        bench.connect(dials[2].0, other),
        PeerAdmission::Disconnect(DisconnectReason::OtherChain)
    );
    let address: PeerAddress = dials[2].1.parse().unwrap();
    assert!(bench.pool.addrman().get(&address).is_none(), "not kept by the address manager");
    assert_eq!(bench.avoided(&dials[2].1), Some(AvoidReason::Discouraged));
    let advertised = AdvertisedAddress {
        address: "12.1.1.1:8333".parse().unwrap(),
        services: other,
        time: EPOCH,
    };
    bench.pool.addresses_received(dials[0].0, &[advertised], bench.now);
    assert_eq!(bench.dials(600), [], "an address that offers too little is not dialled again");
}

#[test]
fn service_bit_28_means_nothing_on_networks_without_a_split() {
    let mut bench = Bench::with_addresses(following(8), &["8.8.8.8:8333"]);
    let id = bench.dials(1)[0].0;
    assert_eq!(bench.connect(id, FULL_NODE | ServiceFlags::BLAKE2B_FORK), PeerAdmission::Keep);
}

#[test]
fn an_address_that_leads_to_ourselves_is_avoided() {
    let mut bench = Bench::with_addresses(following(8), &["8.8.8.8:8333"]);
    let dials = bench.dials(1);
    bench.lose(dials[0].0, &Disconnect::Ourselves);
    assert_eq!(bench.avoided("8.8.8.8:8333"), Some(AvoidReason::Own));
    assert_eq!(bench.dials(600), []);
}

#[test]
fn a_peer_that_misbehaved_is_avoided_for_a_day() {
    let mut bench = Bench::with_addresses(following(8), &["8.8.8.8:8333"]);
    let dials = bench.dials(1);
    bench.connect(dials[0].0, FULL_NODE);
    bench.pool.misbehaved(dials[0].0, bench.now);
    assert_eq!(bench.avoided("8.8.8.8:8333"), Some(AvoidReason::Discouraged));
    assert_eq!(bench.dials(600), []);
    bench.wait(secs(24 * 3600));
    assert_eq!(bench.avoided("8.8.8.8:8333"), None);
}

#[test]
fn a_lost_peer_is_dialled_again_within_seconds() {
    let mut bench = Bench::with_addresses(following(8), &["8.8.8.8:8333"]);
    let dials = bench.dials(1);
    bench.connect(dials[0].0, FULL_NODE);
    bench.lose(dials[0].0, &Disconnect::Closed);
    assert_eq!(bench.dials(4).len(), 1);
}

#[test]
fn when_no_slot_is_free_dials_are_cancelled_without_blame() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333", "12.1.1.1:8333"];
    let mut bench = Bench::with_addresses(following(1), &known);
    let dials = bench.dials(2);
    assert_eq!(dials.len(), 4, "one for the free slot, the others a moment later");
    assert_eq!(bench.connect(dials[3].0, FULL_NODE), PeerAdmission::Keep);
    // Another dial succeeds at the same moment.
    assert_eq!(
        bench.connect(dials[0].0, FULL_NODE),
        PeerAdmission::Disconnect(DisconnectReason::Surplus)
    );
    let cancelled = bench.poll().into_iter().filter(|action| {
        matches!(action, Action::Disconnect { reason: DisconnectReason::Surplus, .. })
    });
    assert_eq!(cancelled.count(), 2);
    let blamed = bench.pool.addrman().iter().filter(|known| known.failures > 0);
    assert_eq!(blamed.count(), 0);
    bench.lose(dials[3].0, &Disconnect::Closed);
    assert!(bench.dials(1).len() >= 3, "the others are dialled again at once");
}

#[test]
fn a_brief_pool_dials_each_address_once_and_is_exhausted() {
    let settings = PoolSettings { wanted: 8, dns: true, ..PoolSettings::default() };
    let mut bench = Bench::with_addresses(settings, &["8.8.8.8:8333", "9.9.9.9:8333"]);
    let mut dialled = 0;
    for _ in 0..400 {
        for action in bench.poll() {
            match action {
                Action::Dial { id, .. } => {
                    dialled += 1;
                    bench.lose(id, &Disconnect::Closed);
                }
                Action::Search(search) => bench.pool.search_ended(search, &[], bench.now),
                _ => {}
            }
        }
        bench.wait_tenth();
    }
    assert_eq!(dialled, 2);
    assert!(bench.pool.is_exhausted(bench.now));
}

#[test]
fn a_brief_pool_is_not_exhausted_before_it_dials_a_lost_peer_again() {
    let settings = PoolSettings { wanted: 8, dns: true, ..PoolSettings::default() };
    for tenths in 0..10 {
        let mut bench = Bench::with_addresses(settings.clone(), &["8.8.8.8:8333"]);
        let id = dial_without_results(&mut bench).unwrap();
        assert_eq!(bench.connect(id, FULL_NODE), PeerAdmission::Keep);
        (0..400 + tenths).for_each(|_| {
            assert_eq!(dial_without_results(&mut bench), None);
            bench.wait_tenth();
        });
        bench.lose(id, &Disconnect::Closed);
        while dial_without_results(&mut bench).is_none() {
            assert!(!bench.pool.is_exhausted(bench.now), "{:?}", bench.now);
            bench.wait_tenth();
        }
    }
}

/// Polls, and lets every search end without an address. Returns the first connection that the pool dials.
fn dial_without_results(bench: &mut Bench) -> Option<PeerId> {
    let mut dialled = None;
    for action in bench.poll() {
        match action {
            Action::Search(search) => bench.pool.search_ended(search, &[], bench.now),
            Action::Dial { id, .. } => dialled = dialled.or(Some(id)),
            _ => {}
        }
    }
    dialled
}

#[test]
fn after_a_sleep_all_peers_are_pinged_and_the_dead_ones_disconnected() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333"];
    let mut bench = Bench::with_addresses(following(2), &known);
    let dials = bench.dials(1);
    dials.iter().for_each(|(id, _)| drop(bench.connect(*id, FULL_NODE)));
    bench.poll();
    bench.wait_tenth();
    assert_eq!(pings(&bench.poll()), 0);
    bench.now.unix += 8 * 3600;
    assert_eq!(pings(&bench.poll()), 2);
    bench.pool.ping_answered(dials[0].0, Duration::from_millis(30), bench.now);
    bench.wait(secs(11));
    let actions = bench.poll();
    let gone = |action: &Action| {
        let Action::Disconnect { id, reason: DisconnectReason::Unresponsive { .. }, .. } = action
        else {
            return false;
        };
        *id == dials[1].0
    };
    assert!(actions.iter().any(gone), "{actions:?}");
    assert_eq!(bench.pool.connected_count(), 1);
    // After a pause of the process, both clocks are ahead.
    bench.wait(secs(3600));
    assert_eq!(pings(&bench.poll()), 1);
}

#[test]
fn round_trip_times_are_kept_and_go_into_the_addrman() {
    let mut bench = Bench::with_addresses(following(8), &["8.8.8.8:8333"]);
    let id = bench.dials(1)[0].0;
    bench.connect(id, FULL_NODE);
    for millis in [30, 90, 70] {
        bench.pool.ping_answered(id, Duration::from_millis(millis), bench.now);
    }
    let rtt = bench.pool.peers().next().unwrap().rtt;
    assert_eq!((rtt.last, rtt.min), (Duration::from_millis(70), Duration::from_millis(30)));
    // The handshake took 50 ms. Each of the three pings contributes an eighth.
    let expected =
        ((50.0 * 7.0 / 8.0 + 30.0 / 8.0) * 7.0 / 8.0 + 90.0 / 8.0) * 7.0 / 8.0 + 70.0 / 8.0;
    assert!((rtt.smoothed.as_secs_f64() * 1000.0 - expected).abs() < 0.001, "{rtt:?}");
    let address = "8.8.8.8:8333".parse().unwrap();
    assert_eq!(bench.pool.addrman().get(&address).unwrap().latency, Some(rtt.smoothed));
}

#[test]
fn onion_addresses_need_a_proxy_and_the_proxy_resolves_the_seeds() {
    let mut bench = Bench::with_addresses(following(8), &[ONION]);
    assert_eq!(bench.dials(60), []);
    let names = Some(vec!["seed.example:8333".to_owned()]);
    let settings = PoolSettings { proxy_seeds: names, dns: true, ..following(8) };
    let mut bench = Bench::new(settings);
    let actions = bench.poll();
    assert!(
        !actions.contains(&Action::Search(Search::Dns)),
        "the proxy resolves names: {actions:?}"
    );
    let dialled: Vec<String> = bench.dials(1).into_iter().map(|(_, address)| address).collect();
    let mut all: Vec<String> = actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Dial { address, .. } => Some(address),
            _ => None,
        })
        .collect();
    all.extend(dialled);
    assert_eq!(all, ["seed.example:8333"]);
    // The seed sends an onion address.
    bench.connect(PeerId(0), FULL_NODE);
    let advertised =
        AdvertisedAddress { address: ONION.parse().unwrap(), services: FULL_NODE, time: EPOCH };
    bench.pool.addresses_received(PeerId(0), &[advertised], bench.now);
    assert_eq!(bench.dials(2), [(PeerId(1), ONION.to_owned())]);
}

/// For `seconds`, lets every dialled address connect and close at once. Returns the number of connections.
fn connections_that_end(bench: &mut Bench, seconds: u64) -> u32 {
    let mut count = 0;
    for _ in 0..seconds {
        for (id, _) in bench.dials(1) {
            if bench.connect(id, FULL_NODE) == PeerAdmission::Keep {
                count += 1;
                bench.lose(id, &Disconnect::Closed);
            }
        }
    }
    count
}

#[test]
fn the_pool_gives_up_when_every_peer_closes_at_once_however_many_there_are() {
    let addresses: Vec<String> = (1..120).map(|at| format!("{at}.8.8.8:8333")).collect();
    let known: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let brief = PoolSettings { wanted: 8, ..PoolSettings::default() };
    let mut bench = Bench::with_addresses(brief.clone(), &known);
    let count = connections_that_end(&mut bench, 60);
    assert!((MAX_FRUITLESS..MAX_FRUITLESS + 32).contains(&count), "{count}");
    assert!(bench.pool.is_exhausted(bench.now) && bench.dials(60).is_empty());
    // A pool with named peers gives up too. A pool that persists does not.
    let named = PoolSettings { connect: addresses.clone(), ..brief };
    let mut bench = Bench::new(named);
    assert!(connections_that_end(&mut bench, 60) < MAX_FRUITLESS + 120);
    assert!(bench.pool.is_exhausted(bench.now));
    let mut bench = Bench::with_addresses(following(8), &known);
    assert!(connections_that_end(&mut bench, 60) > 2 * MAX_FRUITLESS);
    assert!(!bench.pool.is_exhausted(bench.now));
}

#[test]
fn one_useful_peer_makes_the_pool_dial_again() {
    let addresses: Vec<String> = (1..120).map(|at| format!("{at}.8.8.8:8333")).collect();
    let known: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut bench =
        Bench::with_addresses(PoolSettings { wanted: 8, ..PoolSettings::default() }, &known);
    let good = bench.dials(1)[0].0;
    assert_eq!(bench.connect(good, FULL_NODE), PeerAdmission::Keep);
    connections_that_end(&mut bench, 60);
    // The good peer is kept, and no other is dialled.
    assert!(!bench.pool.is_exhausted(bench.now) && bench.dials(10).is_empty());
    bench.pool.record_useful(good);
    assert!(!bench.dials(10).is_empty());
}
