//! The height that is reported for a header without proof of work.

use super::sim_chain::{SimChain, tip_of};
use super::world::{chain, hash_of, settings};
use crate::chain::{BatchFault, Hints, Violation};
use crate::primitives::{BlockHash, Moment, PeerId};
use crate::sync::{BatchId, HeaderSync, Input, Linked, PeerSupply, Reply, SyncCommand};
use std::time::Duration;

const NOW: Moment = Moment { since_start: Duration::ZERO, unix: 0 };
const HONEST: PeerId = PeerId(1);
const LIAR: PeerId = PeerId(2);

/// A sync with an honest peer and a liar.
struct Case {
    sync: HeaderSync,
    stored: SimChain,
}

impl Case {
    /// Returns a sync at this height. The liar owes an answer. The honest peer has just answered with 600 headers,
    /// which wait to be connected.
    fn at(height: u32) -> Self {
        let mut stored = SimChain::new(hash_of(0, 0));
        stored.connect(hash_of(0, 0), &chain(height)[1..]);
        let parent = hash_of(0, height.saturating_sub(1));
        let sync = HeaderSync::new(settings(Hints::default()), tip_of(stored.best), &stored);
        let mut case = Self { sync, stored };
        for peer in [HONEST, LIAR] {
            let round_trip = Duration::from_millis(5);
            case.handle(Input::PeerConnected { peer, announced: 5_000, round_trip });
            case.handle(Input::CheckTip(peer));
        }
        case.handle(Input::PeerSupply(PeerSupply::NoMoreExpected));
        case.answer(HONEST, 1, parent, hash_of(0, height + 600), 600);
        case
    }

    fn handle(&mut self, input: Input) {
        self.sync.handle(NOW, input, &self.stored);
    }

    /// Lets a peer answer with `count` headers.
    fn answer(
        &mut self,
        peer: PeerId,
        batch: BatchId,
        parent: BlockHash,
        last: BlockHash,
        count: u32,
    ) {
        let parent = Some(parent);
        let reply = Reply { parent, first_time: 0, last, count, foreign_parent: None };
        self.handle(Input::Headers { peer, reply, batch });
    }

    /// Reports that a header in a batch of the liar has no work, and returns the reason with which the liar is dropped.
    fn fault(&mut self, batch: BatchId, good: u32, parent_height: Option<u32>) -> String {
        let index = usize::try_from(good).unwrap();
        let violation = Violation::TimeTooOld { median: 0, got: 0 };
        let fault = Some(BatchFault { index, hash: hash_of(9, 99), violation });
        let last = hash_of(9, 98);
        let linked = Linked { good, last, fault, parent_height, hint_mismatch: None };
        self.sync.take_commands();
        self.handle(Input::Linked { batch, linked });
        let dropped = self.sync.take_commands().into_iter().find_map(|command| match command {
            SyncCommand::Disconnect { peer, reason } if peer == LIAR => Some(reason.to_string()),
            _ => None,
        });
        dropped.expect("its sender is dropped")
    }
}

#[test]
fn a_header_without_work_has_the_height_after_its_parent_whatever_others_have_sent() {
    let mut case = Case::at(0);
    case.answer(LIAR, 2, hash_of(0, 0), hash_of(9, 3), 3);
    let text = case.fault(2, 1, None);
    assert!(text.starts_with("height 2: "), "{text}");
}

#[test]
fn the_height_of_a_header_without_work_counts_earlier_answers_of_its_sender() {
    let mut case = Case::at(0);
    case.answer(LIAR, 2, hash_of(0, 0), hash_of(9, 2_000), 2_000);
    let asks_liar =
        |command: &SyncCommand| matches!(command, SyncCommand::Request { peer: LIAR, .. });
    assert!(case.sync.poll(NOW, &case.stored).iter().any(asks_liar));
    case.answer(LIAR, 3, hash_of(9, 2_000), hash_of(9, 2_003), 3);
    let text = case.fault(3, 1, None);
    assert!(text.starts_with("height 2002: "), "{text}");
}

#[test]
fn no_height_is_guessed_for_a_header_whose_parent_is_not_known() {
    for (parent_height, expected) in [(Some(31), "height 33: time-too-old"), (None, "time-too-old")]
    {
        let mut case = Case::at(32);
        case.answer(LIAR, 2, hash_of(0, 31), hash_of(9, 34), 3);
        let text = case.fault(2, 1, parent_height);
        assert!(text.starts_with(expected), "{text}");
    }
}
