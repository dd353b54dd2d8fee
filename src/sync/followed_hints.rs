//! The hints that the download follows.

use super::DropReason;
use crate::primitives::PeerId;
use std::collections::BTreeMap;

/// Whose hints the download follows, and which peers' chains leave them.
#[derive(Debug, Default)]
pub(super) struct FollowedHints {
    /// Whether the hints are followed.
    pub(super) on: bool,
    /// Whether the hints are those of a branch that has shown its work in a presync, and the shipped hints above them.
    /// Otherwise they are the shipped hints alone.
    pub(super) proven: bool,
    /// The peer that showed that branch; `None` if there is none, or once the hints were given up.
    pub(super) prover: Option<PeerId>,
    /// For each peer whose chain does not contain a hint, the reason to disconnect it, which names the hint.
    pub(super) left_by: BTreeMap<PeerId, DropReason>,
}
