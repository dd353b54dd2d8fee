//! The messages for the events of a sync.

use crate::format::{count, rough_span};
use crate::primitives::PeerId;
use crate::sync::{Contradiction, SlowBlocks, SyncEvent};

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warning,
}

/// Returns the message for an event, if there is one. `address` gives a peer's address. `follow` says whether the sync
/// follows the chain after it has caught up.
pub(super) fn message(
    event: &SyncEvent,
    follow: bool,
    address: impl Fn(PeerId) -> String + Copy,
) -> Option<(Level, String)> {
    let warned = warning(event, address).map(|text| (Level::Warning, text));
    let logged = || Some((Level::Info, information(event, address)?));
    warned.or_else(|| reorganization(event, follow)).or_else(logged)
}

/// Returns the message for an event that the user should know of.
fn warning(event: &SyncEvent, address: impl Fn(PeerId) -> String) -> Option<String> {
    Some(match event {
        SyncEvent::Contradiction(contradiction) => contradiction_text(contradiction, address),
        SyncEvent::HintsGivenUp { height, proven: false } => format!(
            "the hints are wrong at height {height}, where no peer's chain has the hint: continuing without hints"
        ),
        SyncEvent::HintsContradicted { hint, stored } => format!(
            "the hints are wrong at height {}: expected {}, the verified chain has {stored}: continuing without hints",
            hint.height, hint.hash
        ),
        SyncEvent::LowWork { height } => format!(
            "the peers' chain has less than the minimum chain work: not synced at height {height}, waiting for more"
        ),
        SyncEvent::TooNew(header) => {
            format!("{header}: it is accepted once it is valid; if our clock is wrong, correct it")
        }
        SyncEvent::SideBranchTooLong { height } => format!(
            "a branch beside the chain is too long for its work: not followed above height {height}"
        ),
        SyncEvent::PeersDisagree { best, other } => format!(
            "peers disagree: the most work {:#} is at height {} ({}), another branch reaches height {} ({}) \
             with work {:#}",
            best.chainwork, best.height, best.hash, other.height, other.hash, other.chainwork
        ),
        _ => return None,
    })
}

/// Returns the message for an event that is only logged.
fn information(event: &SyncEvent, address: impl Fn(PeerId) -> String) -> Option<String> {
    Some(match event {
        SyncEvent::LateRange { peer, height } => {
            let address = address(*peer);
            format!("{address} is late: requesting its headers up to height {height} from another peer")
        }
        SyncEvent::HintsGivenUp { height, proven: true } => format!(
            "no peer has the branch that showed its work any more: height {height} is missing"
        ),
        SyncEvent::Proven { fork_height, height } => format!(
            "the branch above height {fork_height} has enough work at height {height}: downloading it again to keep it"
        ),
        SyncEvent::CandidateDiscarded => {
            "the branch that was downloaded again does not have more work than the chain, or no peer has it: \
             continuing from the tip"
                .to_owned()
        }
        SyncEvent::BranchNotKept { height, hash, work } => format!(
            "a branch that ends at height {height} ({hash}) is not kept: its work {work:#} is too little"
        ),
        SyncEvent::SideTip(tip) => format!(
            "another branch reaches height {} ({}) with work {:#}",
            count(tip.height),
            tip.hash,
            tip.chainwork
        ),
        _ => return None,
    })
}

/// Returns the message for a reorganisation. If the sync is to follow the chain, reorganisations are normal. In any
/// other sync the message is a warning, since peers have different chains.
fn reorganization(event: &SyncEvent, follow: bool) -> Option<(Level, String)> {
    let SyncEvent::Reorganization { old, new, depth } = event else { return None };
    let text = format!(
        "reorganisation: old tip {} at height {}, new tip {} at height {}, depth {depth}",
        old.hash,
        count(old.height),
        new.hash,
        count(new.height)
    );
    Some((if follow { Level::Info } else { Level::Warning }, text))
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
        Contradiction::SlowBlocks(SlowBlocks { since, elapsed, percent }) => format!(
            "since height {}, {} ago, work is added at {percent} % of the usual rate: the peers may be hiding blocks",
            count(*since),
            rough_span(*elapsed)
        ),
        Contradiction::TooNewForFew(header) => format!("{header}: most peers do not have it"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, message};
    use crate::primitives::PeerId;
    use crate::sync::{Contradiction, SlowBlocks, SyncEvent};

    #[test]
    fn a_contradiction_is_reported_with_its_numbers() {
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
            (
                Contradiction::SlowBlocks(SlowBlocks {
                    since: 1_000,
                    elapsed: 273_600,
                    percent: 9,
                }),
                "since height 1,000, 3 d 4 h ago, work is added at 9 % of the usual rate: the peers may be hiding \
                 blocks",
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
