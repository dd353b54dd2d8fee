//! What the pool does behind a proxy, where the seeds are names.

use super::bench::{Bench, EPOCH, FULL, secs};
use crate::net::Disconnect;
use crate::net::addrman::Claim;
use crate::net::pool::{Action, Admission, DisconnectReason, Persistence, Search, Settings};
use crate::wire::ServiceFlags;

fn behind_a_proxy(seeds: usize) -> Bench {
    let names = (0..seeds).map(|at| format!("seed{at}.example:8333")).collect();
    Bench::new(Settings {
        proxy_seeds: Some(names),
        dns: true,
        wanted: 8,
        persistence: Persistence::Always,
        ..Settings::default()
    })
}

#[test]
fn what_the_proxy_takes_for_seeds_is_asked_for_addresses_and_is_no_peer() {
    let mut bench = behind_a_proxy(8);
    let dials = bench.dials(1);
    assert_eq!(dials.len(), 8, "all at once: {dials:?}");
    let told = |host: u8| Claim {
        address: format!("8.{host}.8.8:8333").parse().unwrap(),
        services: FULL,
        time: EPOCH,
    };
    // Whatever they offer: they serve nothing.
    for (id, _) in &dials {
        assert_eq!(bench.connect(*id, ServiceFlags::NONE), Admission::AddrFetch);
    }
    let asked = bench.poll().into_iter();
    let asked = asked.filter(|action| matches!(action, Action::AskAddresses { .. }));
    assert_eq!(
        (asked.count(), bench.pool.connected_count(), bench.pool.peers().count()),
        (8, 0, 0)
    );
    // One address is an announcement of its own, several are the answer.
    bench.pool.addresses(dials[0].0, &[told(1)], bench.now);
    bench.pool.addresses(dials[1].0, &[told(2), told(3)], bench.now);
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
    assert_eq!((gone, dialled), (vec![dials[1].0], 3), "places are free for those that were told");
    bench.wait(secs(31));
    let silent = bench.poll().into_iter();
    let parted = |action: &Action| {
        matches!(
            action,
            Action::Disconnect { reason: DisconnectReason::AddrFetch { count: 0 }, .. }
        )
    };
    assert_eq!(silent.filter(parted).count(), 7);
}

#[test]
fn seeds_behind_a_proxy_that_tell_too_little_are_followed_by_the_shipped_addresses() {
    let mut bench = behind_a_proxy(2);
    let dials = bench.dials(1);
    bench.lose(dials[0].0, &Disconnect::Closed);
    bench.connect(dials[1].0, FULL);
    let shipped = Action::Search(Search::Shipped);
    assert!(!bench.poll().contains(&shipped), "one is still to answer");
    assert!(!bench.pool.is_exhausted(bench.now));
    bench.pool.addresses(dials[1].0, &[], bench.now);
    let mut later = Vec::new();
    for _ in 0..20 {
        later.extend(bench.poll());
        bench.wait_tenth();
    }
    assert!(later.contains(&shipped), "{later:?}");
}
