//! The hints that the download follows.

use super::DropReason;
use crate::primitives::PeerId;
use std::collections::BTreeMap;

/// Whose hints the download follows, and which peers' chains leave them.
#[derive(Debug, Default)]
pub(super) struct FollowedHints {
    /// Whether the hints are followed.
    pub(super) on: bool,
    /// Whether the hints are those of a branch that has shown its work in a presync, and not the shipped ones.
    pub(super) proven: bool,
    /// The peer that showed that branch.
    pub(super) prover: Option<PeerId>,
    /// The peers whose chain does not contain a hint, and which hint that is.
    pub(super) left_by: BTreeMap<PeerId, DropReason>,
}
