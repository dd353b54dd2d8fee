//! Tests the pool of a single request, and the pool of a watch.

use super::bench::{Bench, FULL_NODE};
use crate::net::Disconnect;
use crate::net::pool::{
    Action, DisconnectReason, PeerAdmission, Persistence, PoolSettings, RequiredData, Search,
};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;

const KNOWN: [&str; 3] = ["8.8.8.8:8333", "9.9.9.9:8333", "11.1.1.1:8333"];

/// Polls for 40 seconds, lets every search end without an address, and returns the numbers of the connections that the
/// pool dialled.
fn dial_all(bench: &mut Bench) -> Vec<PeerId> {
    let mut ids = Vec::new();
    for _ in 0..400 {
        for action in bench.poll() {
            match action {
                Action::Dial { id, .. } => ids.push(id),
                Action::Search(search) => bench.pool.search_ended(search, &[], bench.now),
                _ => {}
            }
        }
        bench.wait_tenth();
    }
    ids
}

#[test]
fn a_dismissed_peer_is_not_dialled_again_and_not_blamed() {
    let mut bench =
        Bench::with_addresses(PoolSettings { wanted: 8, ..PoolSettings::default() }, &KNOWN);
    let ids = dial_all(&mut bench);
    assert_eq!(ids.len(), 3);
    assert!(!bench.pool.dialing_is_over(bench.now), "being dialled");
    ids.iter().for_each(|id| assert_eq!(bench.connect(*id, FULL_NODE), PeerAdmission::Keep));
    bench.poll();
    assert!(bench.pool.dialing_is_over(bench.now) && !bench.pool.is_exhausted(bench.now));
    ids.iter().for_each(|id| bench.pool.dismissed(*id, bench.now));
    assert!(dial_all(&mut bench).is_empty());
    assert!(bench.pool.is_exhausted(bench.now));
    assert!(bench.pool.addrman().iter().all(|known| known.failures == 0 && known.successes == 1));
    assert!(KNOWN.iter().all(|address| bench.avoided(address).is_none()));
}

#[test]
fn dialling_is_not_over_while_a_named_peer_has_another_try() {
    let connect = vec!["a:1".to_owned(), "b:1".to_owned()];
    let mut bench = Bench::new(PoolSettings { connect, ..PoolSettings::default() });
    let ids = dial_all(&mut bench);
    bench.connect(ids[0], FULL_NODE);
    bench.pool.dismissed(ids[0], bench.now);
    assert!(!bench.pool.dialing_is_over(bench.now));
    bench.connect(ids[1], FULL_NODE);
    assert!(bench.pool.dialing_is_over(bench.now));
    bench.lose(ids[1], &Disconnect::Closed);
    assert!(!bench.pool.dialing_is_over(bench.now), "there is another try");
}

#[test]
fn peers_for_blocks_must_serve_witnesses_and_for_old_blocks_full_history() {
    let pruned = ServiceFlags::NETWORK_LIMITED | ServiceFlags::WITNESS;
    for (required_data, offered, kept) in [
        (RequiredData::RecentBlocks, pruned, true),
        (RequiredData::RecentBlocks, ServiceFlags::NETWORK, false),
        (RequiredData::RecentBlocks, ServiceFlags::WITNESS, false),
        (RequiredData::AllBlocks, FULL_NODE, true),
        (RequiredData::AllBlocks, pruned, false),
    ] {
        let settings = PoolSettings { wanted: 8, required_data, ..PoolSettings::default() };
        let mut bench = Bench::with_addresses(settings, &KNOWN[..1]);
        let id = bench.dials(1)[0].0;
        let needed = ServiceFlags::NETWORK | ServiceFlags::WITNESS;
        let refused = PeerAdmission::Disconnect(DisconnectReason::Services { needed, offered });
        let expected = if kept { PeerAdmission::Keep } else { refused };
        assert_eq!(bench.connect(id, offered), expected, "{required_data:?}, {offered:?}");
    }
}

#[test]
fn no_getaddr_is_sent_without_gossip() {
    let asked = |no_gossip| {
        let settings = PoolSettings { wanted: 8, no_gossip, ..PoolSettings::default() };
        let mut bench = Bench::with_addresses(settings, &KNOWN[..1]);
        let id = bench.dials(1)[0].0;
        bench.connect(id, FULL_NODE);
        bench.poll().contains(&Action::AskAddresses { id })
    };
    assert!(asked(false) && !asked(true));
}

#[test]
fn a_watch_can_give_up_before_its_first_peer_connects_and_never_afterwards() {
    let settings = PoolSettings {
        wanted: 8,
        persistence: Persistence::OnceConnected,
        ..PoolSettings::default()
    };
    let mut bench = Bench::with_addresses(settings.clone(), &KNOWN[..1]);
    bench.pool.search_ended(Search::FixedSeeds, &[], bench.now);
    let id = dial_all(&mut bench)[0];
    bench.lose(id, &Disconnect::Closed);
    assert!(dial_all(&mut bench).is_empty());
    assert!(bench.pool.is_exhausted(bench.now));

    let mut bench = Bench::with_addresses(settings, &KNOWN[..1]);
    for _ in 0..6 {
        let id = dial_all(&mut bench)[0];
        bench.connect(id, FULL_NODE);
        bench.lose(id, &Disconnect::Closed);
        assert!(!bench.pool.is_exhausted(bench.now));
    }
}
