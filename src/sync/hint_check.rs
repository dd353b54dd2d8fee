//! Whether the stored chain agrees with the hints.

use super::input::StoredChain;
use super::{Command, SyncEvent};
use crate::chain::Hints;

/// Whether the stored chain agrees with the hints.
#[derive(Debug)]
pub(super) struct HintCheck {
    /// Whether it does, as far as it was compared.
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
        commands: &mut Vec<Command>,
    ) -> Self {
        let mut check = Self { hold: true, checked: None };
        check.compare(hints, tip, chain, commands);
        check
    }

    pub(super) fn compare(
        &mut self,
        hints: &Hints,
        tip: u32,
        chain: &dyn StoredChain,
        commands: &mut Vec<Command>,
    ) {
        let Some(hint) = hints.at_or_below(tip).filter(|hint| Some(hint.height) != self.checked)
        else {
            return;
        };
        // One that cannot be read is compared the next time.
        let Some(stored) = chain.hashes_at(&[hint.height]).first().copied() else { return };
        self.checked = Some(hint.height);
        if stored != hint.hash {
            self.hold = false;
            commands.push(Command::Report(SyncEvent::HintsContradicted { hint, stored }));
        }
    }
}
