//! Keeps slots for fixed seeds, the addresses that ship with the program, at a first start.
//!
//! # Security
//! At a first start, all other addresses come from DNS. An attacker who answers for all DNS seeds would choose every
//! peer, and these peers all later addresses. That is why some of the first peers are taken from the fixed seeds.

use super::types::{Action, Search};
use crate::net::addrman::{AdvertisedAddress, NetGroup, PeerAddress};
use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::time::Duration;

/// How many of the first peers are taken from the fixed seeds, but at most half of the wanted peers.
const SLOTS: usize = 2;

/// How long the slots are kept once the fixed seeds are known: as long as a dial without a proxy may take. If all fixed
/// seeds are dead, it takes up to this much longer until all wanted peers are connected.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The slots that only fixed seeds can have.
#[derive(Clone, Debug, Default)]
pub(super) struct FixedSeedSlots {
    pub(super) slots: usize,
    /// Whether the fixed seeds are being looked up for the slots alone.
    searching: bool,
    /// Until when the slots are kept; `None` until the fixed seeds are known.
    pub(super) until: Option<Duration>,
    pub(super) addresses: BTreeSet<PeerAddress>,
    /// The addresses that have not been dialled yet, each with its source.
    pub(super) waiting: VecDeque<(AdvertisedAddress, NetGroup)>,
}

impl FixedSeedSlots {
    /// Keeps slots for a first start that wants this many peers; keeps none if `wanted` is 0.
    pub(super) fn first_start(wanted: usize) -> Self {
        Self { slots: SLOTS.min(wanted / 2), ..Self::default() }
    }

    /// Returns the action to look up the fixed seeds, if the slots need them and nothing else has looked them up.
    pub(super) fn search(&mut self) -> Option<Action> {
        let due = self.slots > 0 && self.until.is_none() && !self.searching;
        self.searching |= due;
        due.then_some(Action::Search(Search::FixedSeeds))
    }

    /// Takes the fixed seeds, in random order, and returns whether they were looked up for the slots alone.
    pub(super) fn found(&mut self, found: &[(AdvertisedAddress, NetGroup)], now: Duration) -> bool {
        if self.slots > 0 && self.until.is_none() {
            self.waiting = found.iter().copied().collect();
            self.addresses = found.iter().map(|(advertised, _)| advertised.address).collect();
            self.until = Some(now + KEPT_FOR);
        }
        mem::take(&mut self.searching)
    }
}
