//! Tests of the user's requests to a running pool.

use super::bench::{Bench, FULL_NODE, secs};
use super::cases::following;
use crate::net::Disconnect;
use crate::net::pool::{
    Action, AddPeerError, DisconnectReason, PeerAdmission, Persistence, PoolSettings,
};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;

fn forever(wanted: usize) -> PoolSettings {
    PoolSettings { persistence: Persistence::Forever, ..following(wanted) }
}

fn addresses(dials: Vec<(PeerId, String)>) -> Vec<String> {
    dials.into_iter().map(|(_, address)| address).collect()
}

fn disconnects(actions: &[Action]) -> Vec<(PeerId, DisconnectReason)> {
    let ends = actions.iter().filter_map(|action| match action {
        Action::Disconnect { id, reason, .. } => Some((*id, reason.clone())),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_peer_that_is_added_is_dialled_at_once_and_again_when_it_is_lost() {
    let mut bench = Bench::new(forever(0));
    assert_eq!(bench.dials(1), []);
    assert_eq!(bench.pool.add_named("1.2.3.4:8333", bench.now), Ok(()));
    assert_eq!(bench.pool.add_named("1.2.3.4:8333", bench.now), Err(AddPeerError::AlreadyAdded));
    let dials = bench.dials(1);
    assert_eq!(dials.len(), 1);
    assert_eq!(bench.connect(dials[0].0, ServiceFlags::NONE), PeerAdmission::Keep);
    assert!(bench.pool.is_named(dials[0].0));
    bench.lose(dials[0].0, &Disconnect::Closed);
    let again = bench.dials(2);
    assert_eq!(addresses(again.clone()), ["1.2.3.4:8333"]);
    // Once the peer is removed, its connection goes on, but the peer is not dialled again.
    assert_eq!(bench.connect(again[0].0, FULL_NODE), PeerAdmission::Keep);
    assert!(bench.pool.remove_named("1.2.3.4:8333"));
    assert!(!bench.pool.remove_named("1.2.3.4:8333"));
    assert_eq!(bench.pool.peers().count(), 1);
    bench.lose(again[0].0, &Disconnect::Closed);
    assert_eq!(bench.dials(600), []);
    assert_eq!(bench.pool.wanted(), 0);
}

#[test]
fn a_peer_to_try_once_is_dialled_once_even_if_others_were_named_as_the_only_peers() {
    let connect = vec!["a:1".to_owned()];
    let mut bench = Bench::new(PoolSettings { connect, ..forever(8) });
    let first = bench.dials(1);
    assert_eq!(bench.connect(first[0].0, FULL_NODE), PeerAdmission::Keep);
    assert_eq!(bench.pool.try_named("b:1", bench.now), Ok(()));
    let once = bench.dials(1);
    assert_eq!(addresses(once.clone()), ["b:1"]);
    bench.lose(once[0].0, &Disconnect::Closed);
    assert_eq!(bench.dials(600), []);
    assert!(!bench.pool.remove_named("a:1"), "it was not added");
}

#[test]
fn a_peer_is_disconnected_by_its_address_or_its_number() {
    let mut bench = Bench::with_addresses(forever(1), &["8.8.8.8:8333"]);
    let id = bench.dials(1)[0].0;
    bench.connect(id, FULL_NODE);
    assert_eq!(bench.pool.find("8.8.8.8:8333"), Some(id));
    assert_eq!(bench.pool.find("8.8.8.8:8334"), None);
    let mut rng = rand::rng();
    assert!(bench.pool.disconnect_requested(id, bench.now, &mut rng));
    assert!(!bench.pool.disconnect_requested(id, bench.now, &mut rng));
    assert_eq!(disconnects(&bench.poll()), [(id, DisconnectReason::Requested)]);
    assert_eq!(bench.dials(10), [], "it is not dialled again at once");
    bench.pool.add_named("1.2.3.4:1", bench.now).unwrap();
    let named = bench.dials(1)[0].0;
    bench.connect(named, FULL_NODE);
    assert!(bench.pool.disconnect_requested(named, bench.now, &mut rng));
    bench.poll();
    assert_eq!(addresses(bench.dials(2)), ["1.2.3.4:1"], "a named peer is dialled again");
}

#[test]
fn all_peers_are_pinged_on_request() {
    let mut bench = Bench::with_addresses(forever(2), &["8.8.8.8:8333", "9.9.9.9:8333"]);
    let dials = bench.dials(1);
    bench.connect(dials[0].0, FULL_NODE);
    bench.poll();
    bench.pool.ping_all();
    assert_eq!(bench.poll(), [Action::Ping { id: dials[0].0 }]);
}

#[test]
fn with_the_network_off_nobody_is_connected_dialled_or_sought() {
    let known = ["8.8.8.8:8333", "9.9.9.9:8333"];
    let settings = PoolSettings { dns: true, add_peers: vec!["a:1".to_owned()], ..forever(8) };
    let mut bench = Bench::with_addresses(settings, &known);
    let dials = bench.dials(1);
    assert_eq!(dials.len(), 3);
    bench.connect(dials[0].0, FULL_NODE);
    bench.pool.set_network_active(false, bench.now);
    assert!(!bench.pool.is_network_active());
    let ended = disconnects(&bench.poll());
    assert!(ended.len() == 3 && ended.iter().all(|(_, why)| *why == DisconnectReason::NetworkOff));
    // A dial that succeeds only now no longer becomes a peer.
    assert!(matches!(bench.connect(dials[1].0, FULL_NODE), PeerAdmission::Disconnect(_)));
    for _ in 0..600 {
        assert_eq!(bench.poll(), []);
        bench.wait(secs(1));
    }
    assert!(!bench.pool.is_exhausted(bench.now));
    assert!(!bench.pool.expects_peers(bench.now.since_start, secs(5)));
    bench.pool.set_network_active(true, bench.now);
    let mut again = addresses(bench.dials(1));
    again.sort();
    assert_eq!(again, ["8.8.8.8:8333", "9.9.9.9:8333", "a:1"]);
}

#[test]
fn a_pool_that_never_ends_is_not_exhausted_when_the_only_peer_misbehaves() {
    let connect = vec!["a:1".to_owned()];
    let mut bench = Bench::new(PoolSettings { connect, ..forever(8) });
    let id = bench.dials(1)[0].0;
    bench.connect(id, FULL_NODE);
    bench.pool.misbehaved(id, bench.now);
    assert!(!bench.pool.is_exhausted(bench.now));
    assert_eq!(bench.dials(590), []);
    assert_eq!(addresses(bench.dials(20)), ["a:1"]);
}
