//! Whether more peers may be connected soon.

use super::bench::{Bench, EPOCH, FULL, secs};
use super::cases::following;
use crate::net::Disconnect;
use crate::net::addrman::{Claim, NetGroup};
use crate::net::pool::{Action, Search, Settings};
use crate::primitives::PeerId;

/// A pool with one peer that the user named, which is connected, and the rest of eight places free.
fn one_of_eight() -> Bench {
    let add_peers = vec!["node:8333".to_owned()];
    let mut bench = Bench::new(Settings { add_peers, wanted: 8, dns: true, ..Settings::default() });
    assert!(bench.poll().contains(&Action::Search(Search::Dns)));
    bench.connect(PeerId(0), FULL);
    bench.poll();
    bench
}

fn expects(bench: &Bench) -> bool {
    bench.pool.expects_peers(bench.now.since_start, secs(5))
}

#[test]
fn more_peers_are_expected_while_addresses_are_looked_for_or_wait_but_not_for_ever() {
    let mut bench = one_of_eight();
    bench.wait(secs(3));
    bench.poll();
    assert!(expects(&bench), "DNS is being asked");
    let told: Vec<(Claim, NetGroup)> = (1..=100)
        .map(|range| {
            let address = format!("{range}.1.1.1:8333").parse().unwrap();
            (Claim { address, services: FULL, time: EPOCH }, NetGroup::DNS)
        })
        .collect();
    bench.pool.found(Search::Dns, &told, bench.now);
    assert!(expects(&bench), "none of them is dialled yet");
    let dials = bench.dials(1);
    assert!(dials.len() < told.len());
    for (id, _) in dials {
        bench.lose(id, &Disconnect::Closed);
    }
    assert!(expects(&bench), "others can still be dialled");
    bench.wait(secs(2));
    bench.poll();
    assert!(!expects(&bench), "the first peer has been connected for six seconds");
}

#[test]
fn nobody_is_expected_where_there_is_no_place_or_nobody_to_be_found() {
    let mut bench = one_of_eight();
    bench.pool.found(Search::Dns, &[], bench.now);
    assert!(bench.poll().contains(&Action::Search(Search::Shipped)) && expects(&bench));
    bench.pool.found(Search::Shipped, &[], bench.now);
    bench.poll();
    assert!(!expects(&bench), "every source has been asked");
    let mut bench =
        Bench::knowing(following(2), &["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"]);
    assert!(expects(&bench), "there are addresses");
    for (id, _) in bench.dials(1).iter().take(2) {
        assert!(expects(&bench));
        bench.connect(*id, FULL);
    }
    assert!(!expects(&bench), "every place is taken");
    let connect = vec!["a:1".to_owned()];
    let mut bench = Bench::new(Settings { connect, ..following(8) });
    bench.poll();
    assert!(expects(&bench), "it is being dialled");
    bench.connect(PeerId(0), FULL);
    bench.poll();
    assert!(!expects(&bench), "nobody else was named");
}
