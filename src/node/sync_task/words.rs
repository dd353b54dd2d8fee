//! What a sync reports, in words.

use crate::format::{count, rough_span};
use crate::primitives::PeerId;
use crate::sync::{Contradiction, SyncEvent};

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warning,
}

/// The message for an event, if there is one. `address` gives a peer's address; `follow` says whether the sync is to go on
/// after it has caught up.
pub(super) fn message(
    event: &SyncEvent,
    follow: bool,
    address: impl Fn(PeerId) -> String,
) -> Option<(Level, String)> {
    let (level, text) = match event {
        SyncEvent::NewWork(_)
        | SyncEvent::NewTip(_)
        | SyncEvent::SideTip { .. }
        | SyncEvent::CaughtUp => return None,
        SyncEvent::Contradiction(contradiction) => {
            (Level::Warning, contradiction_text(contradiction, address))
        }
        SyncEvent::LateRange { peer, height } => (
            Level::Info,
            format!(
                "{} is late: its headers up to {height} are asked of another peer",
                address(*peer)
            ),
        ),
        SyncEvent::HintsGivenUp { height, proven: true } => (
            Level::Info,
            format!(
                "no peer has the branch any more that showed its work: height {height} is missing"
            ),
        ),
        SyncEvent::HintsGivenUp { height, proven: false } => (
            Level::Warning,
            format!(
                "the hints are wrong at height {height}: no peer's chain has that one: going on without"
            ),
        ),
        SyncEvent::HintsContradicted { hint, stored } => (
            Level::Warning,
            format!(
                "the hints are wrong at height {}: expected {}, the verified chain has {stored}: going on without",
                hint.height, hint.hash
            ),
        ),
        SyncEvent::LowWork { height } => (
            Level::Warning,
            format!(
                "the peers' chain has less than the minimum chain work: not synced at height {height}, \
                 waiting for more"
            ),
        ),
        SyncEvent::TooNew(header) => (
            Level::Warning,
            format!("{header}: it is taken when it becomes valid; if the clock is wrong, set it"),
        ),
        SyncEvent::Proven { fork_height, height } => (
            Level::Info,
            format!(
                "the branch above height {fork_height} has enough work at height {height}: downloading it for keeps"
            ),
        ),
        SyncEvent::CandidateDiscarded => (
            Level::Info,
            "the branch that was downloaded for keeps does not take over: going on from the tip"
                .to_owned(),
        ),
        branch => return branch_message(branch, follow),
    };
    Some((level, text))
}

/// The message for an event about a branch.
fn branch_message(event: &SyncEvent, follow: bool) -> Option<(Level, String)> {
    Some(match event {
        SyncEvent::BranchNotKept { height, hash, work } => (
            Level::Info,
            format!(
                "a branch that ends at height {height} ({hash}) is not kept: its work {work:#} is too little"
            ),
        ),
        SyncEvent::SideBranchTooLong { height } => (
            Level::Warning,
            format!(
                "a branch beside the chain is not followed beyond height {height}: too long for its work"
            ),
        ),
        SyncEvent::PeersDisagree { best, other } => (
            Level::Warning,
            format!(
                "peers disagree: the most work {:#} is at height {} ({}), another branch reaches height {} ({}) \
                 with work {:#}",
                best.chainwork, best.height, best.hash, other.height, other.hash, other.chainwork
            ),
        ),
        SyncEvent::Reorganization { old, new, depth } => (
            // Whoever follows the chain expects it; in a single sync it means that peers have two chains.
            if follow { Level::Info } else { Level::Warning },
            format!(
                "reorganisation: old tip {} at height {}, new tip {} at height {}, depth {depth}",
                old.hash,
                count(old.height),
                new.hash,
                count(new.height)
            ),
        ),
        _ => return None,
    })
}

fn contradiction_text(contradiction: &Contradiction, address: impl Fn(PeerId) -> String) -> String {
    match contradiction {
        Contradiction::StopHeightNotReached { height, stop } => format!(
            "the chain ends at height {}: the stop height {} was not reached",
            count(*height),
            count(*stop)
        ),
        Contradiction::Undelivered { announced, height } => {
            let who = match announced.as_slice() {
                [(peer, _)] => address(*peer),
                several => format!("{} peers", several.len()),
            };
            let most = announced.iter().map(|(_, height)| *height).max().unwrap_or_default();
            format!(
                "{who} announced blocks up to height {}, and delivered none above {}",
                count(most),
                count(*height)
            )
        }
        Contradiction::MissingHint { height, hint } => format!(
            "no peer has more than height {}, though the hints go up to {}: the chain is longer",
            count(*height),
            count(*hint)
        ),
        Contradiction::OldTip { height, age } => format!(
            "the last block, at height {}, is {} old: no peer has a newer one",
            count(*height),
            rough_span(*age)
        ),
        Contradiction::TooNewForFew(header) => format!("{header}: most peers do not have it"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, message};
    use crate::primitives::PeerId;
    use crate::sync::{Contradiction, SyncEvent};

    #[test]
    fn what_contradicts_a_complete_chain_is_said_with_its_numbers() {
        let address = |_| "127.0.0.1:18444".to_owned();
        let (one, height) = (vec![(PeerId(7), 20_000)], 1_000);
        let several = vec![(PeerId(7), 3_000), (PeerId(8), 20_000), (PeerId(9), 7_000)];
        for (contradiction, expected) in [
            (
                Contradiction::StopHeightNotReached { height, stop: 9_000 },
                "the chain ends at height 1,000: the stop height 9,000 was not reached",
            ),
            (
                Contradiction::Undelivered { announced: one, height },
                "127.0.0.1:18444 announced blocks up to height 20,000, and delivered none above 1,000",
            ),
            (
                Contradiction::Undelivered { announced: several, height },
                "3 peers announced blocks up to height 20,000, and delivered none above 1,000",
            ),
            (
                Contradiction::MissingHint { height, hint: 2_016 },
                "no peer has more than height 1,000, though the hints go up to 2,016: the chain is longer",
            ),
            (
                Contradiction::OldTip { height, age: 273_600 },
                "the last block, at height 1,000, is 3 d 4 h old: no peer has a newer one",
            ),
        ] {
            let event = SyncEvent::Contradiction(contradiction);
            assert_eq!(
                message(&event, false, address),
                Some((Level::Warning, expected.to_owned()))
            );
        }
    }
}
