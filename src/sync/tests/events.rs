//! What is reported, and in which order.

use super::sim_chain::{SimChain, tip_of, work_of};
use super::world::{chain, hash_of, settings};
use crate::chain::{ChainPoint, ConnectOutcome, Hints};
use crate::sync::{Command, HeaderSync, Input, Moment, SyncEvent};
use std::time::Duration;

#[test]
fn a_new_tip_is_reported_once_and_after_the_reorganisation_that_was_stored_with_it() {
    let mut stored = SimChain::new(hash_of(0, 0));
    stored.connect(hash_of(0, 0), &chain(100)[1..]);
    let mut sync = HeaderSync::new(settings(Hints::default()), tip_of(stored.best), &stored);
    let now = Moment { since_start: Duration::ZERO, unix: 0 };
    let old = ChainPoint { height: 101, hash: hash_of(0, 101) };
    let new = ChainPoint { height: 102, hash: hash_of(7, 102) };
    let reorganized = ConnectOutcome::Reorganized {
        fork_height: 100,
        old_height: old.height,
        old_hash: old.hash,
        old_work: work_of(old.height),
        connected: 2,
    };
    let batches = vec![(1, ConnectOutcome::Extended(1)), (2, reorganized)];
    sync.handle(now, Input::Connected { batches, tip: tip_of(new), end: new }, &stored);
    let reported = sync.take_commands().into_iter().filter_map(|command| match command {
        Command::Report(event @ (SyncEvent::NewTip(_) | SyncEvent::Reorganization { .. })) => {
            Some(event)
        }
        _ => None,
    });
    let expected =
        [SyncEvent::Reorganization { old, new, depth: 1 }, SyncEvent::NewTip(tip_of(new))];
    assert_eq!(reported.collect::<Vec<_>>(), expected);
}
