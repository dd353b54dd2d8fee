//! Tests of whether the pool expects more peers.

use super::bench::{Bench, EPOCH, FULL_NODE, secs};
use super::cases::following;
use crate::net::Disconnect;
use crate::net::addrman::{AdvertisedAddress, NetGroup};
use crate::net::pool::{Action, PoolSettings, Search};
use crate::primitives::PeerId;

/// Returns a pool that wants eight peers and has one, which the user named.
fn one_of_eight() -> Bench {
    let add_peers = vec!["node:8333".to_owned()];
    let mut bench =
        Bench::new(PoolSettings { add_peers, wanted: 8, dns: true, ..PoolSettings::default() });
    assert!(bench.poll().contains(&Action::Search(Search::Dns)));
    bench.connect(PeerId(0), FULL_NODE);
    bench.poll();
    bench
}

fn expects(bench: &Bench) -> bool {
    bench.pool.expects_peers(bench.now.since_start, secs(5))
}

#[test]
fn more_peers_are_expected_while_addresses_are_sought_or_waiting_but_not_forever() {
    let mut bench = one_of_eight();
    bench.wait(secs(3));
    bench.poll();
    assert!(expects(&bench), "DNS is being asked");
    let found: Vec<(AdvertisedAddress, NetGroup)> = (1..=100)
        .map(|range| {
            let address = format!("{range}.1.1.1:8333").parse().unwrap();
            (AdvertisedAddress { address, services: FULL_NODE, time: EPOCH }, NetGroup::DNS)
        })
        .collect();
    bench.pool.search_ended(Search::Dns, &found, bench.now);
    assert!(expects(&bench), "none of them is dialled yet");
    let dials = bench.dials(1);
    assert!(dials.len() < found.len());
    for (id, _) in dials {
        bench.lose(id, &Disconnect::Closed);
    }
    assert!(expects(&bench), "others can still be dialled");
    bench.wait(secs(2));
    bench.poll();
    assert!(!expects(&bench), "the first peer has been connected for six seconds");
}

#[test]
fn no_peer_is_expected_without_a_free_slot_or_an_address() {
    let mut bench = one_of_eight();
    bench.pool.search_ended(Search::Dns, &[], bench.now);
    assert!(bench.poll().contains(&Action::Search(Search::FixedSeeds)) && expects(&bench));
    bench.pool.search_ended(Search::FixedSeeds, &[], bench.now);
    bench.poll();
    assert!(!expects(&bench), "every source has been asked");
    let mut bench =
        Bench::with_addresses(following(2), &["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"]);
    assert!(expects(&bench), "there are addresses");
    for (id, _) in bench.dials(1).iter().take(2) {
        assert!(expects(&bench));
        bench.connect(*id, FULL_NODE);
    }
    assert!(!expects(&bench), "no slot is free");
    let connect = vec!["a:1".to_owned()];
    let mut bench = Bench::new(PoolSettings { connect, ..following(8) });
    bench.poll();
    assert!(expects(&bench), "it is being dialled");
    bench.connect(PeerId(0), FULL_NODE);
    bench.poll();
    assert!(!expects(&bench), "no other peer was named");
}
