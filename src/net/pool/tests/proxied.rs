//! Tests the pool behind a proxy, which resolves the seeds' names.

use super::bench::{Bench, EPOCH, FULL_NODE, secs};
use crate::net::Disconnect;
use crate::net::addrman::AdvertisedAddress;
use crate::net::pool::{
    Action, DisconnectReason, PeerAdmission, Persistence, PoolSettings, Search,
};
use crate::wire::ServiceFlags;

fn behind_a_proxy(seeds: usize) -> Bench {
    let names = (0..seeds).map(|at| format!("seed{at}.example:8333")).collect();
    Bench::new(PoolSettings {
        proxy_seeds: Some(names),
        dns: true,
        wanted: 8,
        persistence: Persistence::Always,
        ..PoolSettings::default()
    })
}

#[test]
fn a_seed_dialled_through_a_proxy_is_asked_for_addresses_and_is_not_a_peer() {
    let mut bench = behind_a_proxy(8);
    let dials = bench.dials(1);
    assert_eq!(dials.len(), 8, "all at once: {dials:?}");
    let advertised = |host: u8| AdvertisedAddress {
        address: format!("8.{host}.8.8:8333").parse().unwrap(),
        services: FULL_NODE,
        time: EPOCH,
    };
    // Seeds need not offer any services.
    for (id, _) in &dials {
        assert_eq!(bench.connect(*id, ServiceFlags::NONE), PeerAdmission::AddrFetch);
    }
    let asked = bench.poll().into_iter();
    let asked = asked.filter(|action| matches!(action, Action::AskAddresses { .. }));
    assert_eq!(
        (asked.count(), bench.pool.connected_count(), bench.pool.peers().count()),
        (8, 0, 0)
    );
    // A single address is taken for the node's own; several are the answer.
    bench.pool.addresses_received(dials[0].0, &[advertised(1)], bench.now);
    bench.pool.addresses_received(dials[1].0, &[advertised(2), advertised(3)], bench.now);
    let (mut gone, mut dialled) = (Vec::new(), 0);
    for action in bench.poll() {
        match action {
            Action::Disconnect { id, reason: DisconnectReason::AddrFetch { count: 2 }, .. } => {
                gone.push(id)
            }
            Action::Dial { .. } => dialled += 1,
            Action::Save => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gone, dialled), (vec![dials[1].0], 3), "the addresses that came are dialled");
    bench.wait(secs(31));
    let late = bench.poll().into_iter();
    let disconnected = |action: &Action| {
        matches!(
            action,
            Action::Disconnect { reason: DisconnectReason::AddrFetch { count: 0 }, .. }
        )
    };
    assert_eq!(late.filter(disconnected).count(), 7);
}

#[test]
fn the_fixed_seeds_follow_if_seeds_dialled_through_a_proxy_send_too_few_addresses() {
    let mut bench = behind_a_proxy(2);
    let dials = bench.dials(1);
    bench.lose(dials[0].0, &Disconnect::Closed);
    bench.connect(dials[1].0, FULL_NODE);
    let search = Action::Search(Search::FixedSeeds);
    assert!(!bench.poll().contains(&search), "one seed has not answered yet");
    assert!(!bench.pool.is_exhausted(bench.now));
    bench.pool.addresses_received(dials[1].0, &[], bench.now);
    let mut later = Vec::new();
    for _ in 0..20 {
        later.extend(bench.poll());
        bench.wait_tenth();
    }
    assert!(later.contains(&search), "{later:?}");
}
