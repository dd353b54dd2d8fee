//! The comparison of the stored chain with the hints.

use super::input::StoredChain;
use super::{SyncCommand, SyncEvent};
use crate::chain::Hints;

/// What the comparison of the stored chain with the hints has shown.
#[derive(Debug)]
pub(super) struct HintCheck {
    /// Whether the stored chain has every hint that it was compared with, and the shipped hints were not given up.
    pub(super) hold: bool,
    /// Height of the last hint that was compared.
    checked: Option<u32>,
}

impl HintCheck {
    /// Compares the stored chain with the last hint at or below its tip.
    pub(super) fn new(
        hints: &Hints,
        tip: u32,
        chain: &dyn StoredChain,
        commands: &mut Vec<SyncCommand>,
    ) -> Self {
        let mut check = Self { hold: true, checked: None };
        check.compare(hints, tip, chain, commands);
        check
    }

    /// Compares the stored chain with the last hint at or below its tip, unless that hint was the last one compared.
    pub(super) fn compare(
        &mut self,
        hints: &Hints,
        tip: u32,
        chain: &dyn StoredChain,
        commands: &mut Vec<SyncCommand>,
    ) {
        let Some(hint) = hints.at_or_below(tip).filter(|hint| Some(hint.height) != self.checked)
        else {
            return;
        };
        // A header that cannot be read is compared the next time.
        let Some(stored) = chain.hashes_at(&[hint.height]).first().copied() else { return };
        self.checked = Some(hint.height);
        if stored != hint.hash {
            self.hold = false;
            commands.push(SyncCommand::Report(SyncEvent::HintsContradicted { hint, stored }));
        }
    }
}
