//! The rules for a header, each with a check of its own, and the violations that the checks return.
//!
//! Names are Bitcoin Core's reject reasons (`src/validation.cpp`).

use super::branch::Branch;
use super::params::{Params, SPACING};
use super::retarget::required_bits;
use crate::primitives::{BlockHash, Header, Target, TargetError};

/// How far ahead of the wall clock a header's time may be, in seconds (`MAX_FUTURE_BLOCK_TIME`).
pub const MAX_FUTURE_SECS: u32 = 7200;

/// A broken rule, with what it demands and what the header has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The bits are not the compact form of a target.
    BadTarget {
        /// The header's bits.
        bits: u32,
        /// What is wrong with the bits.
        error: TargetError,
    },
    /// The bits stand for a target above the network's limit.
    AboveLimit {
        /// Compact form of the limit.
        limit_bits: u32,
        /// The header's bits.
        bits: u32,
    },
    /// The hash is above the target.
    HighHash {
        /// The target of the header's bits.
        target: Target,
        /// The header's hash.
        hash: BlockHash,
    },
    /// The header does not name the header before it as its parent, or its parent is unknown.
    PrevBlkNotFound {
        /// Hash of the header before; for an unknown parent, hash of the active chain's tip.
        expected: BlockHash,
        /// Hash that the header names as its parent.
        got: BlockHash,
    },
    /// The bits are not the required ones.
    BadDiffbits {
        /// The bits that the ancestors and the header's time require.
        expected: u32,
        /// The header's bits.
        got: u32,
    },
    /// The time is not after the median of the last 11 times.
    TimeTooOld {
        /// Median time past of the parent.
        median: u32,
        /// The header's time.
        got: u32,
    },
    /// BIP94: the time of a period's first header is more than 600 s before the parent's time.
    Timewarp {
        /// The earliest time allowed, in Unix seconds.
        earliest: i64,
        /// The header's time.
        got: u32,
    },
    /// The time is more than two hours ahead of the wall clock.
    TimeTooNew {
        /// The latest time allowed, in Unix seconds.
        latest: i64,
        /// The header's time.
        got: u32,
    },
    /// The version is no longer allowed at this height.
    BadVersion {
        /// The lowest version allowed at the height.
        lowest: i32,
        /// The header's version.
        got: i32,
    },
}

impl Violation {
    /// Returns Bitcoin Core's name of the rule.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::BadTarget { .. } | Self::AboveLimit { .. } | Self::HighHash { .. } => "high-hash",
            Self::PrevBlkNotFound { .. } => "prev-blk-not-found",
            Self::BadDiffbits { .. } => "bad-diffbits",
            Self::TimeTooOld { .. } => "time-too-old",
            Self::Timewarp { .. } => "time-timewarp-attack",
            Self::TimeTooNew { .. } => "time-too-new",
            Self::BadVersion { .. } => "bad-version",
        }
    }

    /// Returns what the rule demands.
    pub fn expected(&self) -> String {
        match self {
            Self::BadTarget { .. } => "bits of a positive 256-bit target".to_owned(),
            Self::AboveLimit { limit_bits, .. } => format!("bits at most {limit_bits:08x}"),
            Self::HighHash { target, .. } => format!("hash at most {target}"),
            Self::PrevBlkNotFound { expected, .. } => format!("parent {expected}"),
            Self::BadDiffbits { expected, .. } => format!("bits {expected:08x}"),
            Self::TimeTooOld { median, .. } => format!("time after {median}"),
            Self::Timewarp { earliest, .. } => format!("time not before {earliest}"),
            Self::TimeTooNew { latest, .. } => format!("time not after {latest}"),
            Self::BadVersion { lowest, .. } => format!("version at least {lowest}"),
        }
    }

    /// Returns what the header has instead.
    pub fn got(&self) -> String {
        match self {
            Self::BadTarget { bits, error } => format!("{bits:08x} ({error})"),
            Self::AboveLimit { bits, .. } => format!("{bits:08x}"),
            Self::HighHash { hash, .. } => hash.to_string(),
            Self::PrevBlkNotFound { got, .. } => got.to_string(),
            Self::BadDiffbits { got, .. } => format!("{got:08x}"),
            Self::TimeTooOld { got, .. }
            | Self::Timewarp { got, .. }
            | Self::TimeTooNew { got, .. } => got.to_string(),
            Self::BadVersion { got, .. } => got.to_string(),
        }
    }

    /// Returns whether the rule stays broken as time passes. Waiting helps only a header too far ahead of the clock.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::TimeTooNew { .. })
    }
}

/// A header that was refused, and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("height {height}: {}: expected {}, got {} (header {hash})",
    violation.rule(), violation.expected(), violation.got())]
pub struct Rejection {
    /// The height that the header would have had; for an unknown parent, the height above the active chain's tip.
    pub height: u32,
    /// The header's hash.
    pub hash: BlockHash,
    /// The rule that the header breaks.
    pub violation: Violation,
}

/// Returns the target that the bits stand for, within the network's limit.
///
/// # Consensus
/// Bitcoin Core `DeriveTarget`.
pub(super) fn check_target(params: &Params, bits: u32) -> Result<Target, Violation> {
    let target = Target::from_bits(bits).map_err(|error| Violation::BadTarget { bits, error })?;
    if target > params.pow_limit {
        return Err(Violation::AboveLimit { limit_bits: params.pow_limit_bits, bits });
    }
    Ok(target)
}

/// Checks that the hash, as a little-endian integer, is at most the target ("high-hash").
///
/// # Consensus
/// Bitcoin Core `CheckProofOfWork`.
pub(super) fn check_work(target: Target, hash: &BlockHash) -> Result<(), Violation> {
    if target.is_met_by(hash) {
        return Ok(());
    }
    Err(Violation::HighHash { target, hash: *hash })
}

/// Checks that the header names `expected` as its parent ("prev-blk-not-found").
pub(super) fn check_link(expected: &BlockHash, header: &Header) -> Result<(), Violation> {
    if header.prev == *expected {
        return Ok(());
    }
    Err(Violation::PrevBlkNotFound { expected: *expected, got: header.prev })
}

/// Checks the rules that need ancestors or the clock, in Bitcoin Core's order. `now` is the wall clock in Unix seconds.
///
/// # Consensus
/// Bitcoin Core `ContextualCheckBlockHeader`.
pub(super) fn check_context(branch: &Branch, header: &Header, now: u32) -> Result<(), Violation> {
    check_bits(branch, header)?;
    check_median_time(branch, header)?;
    check_timewarp(branch, header)?;
    check_future(header, now)?;
    check_version(branch, header)
}

/// Checks that the bits are exactly the required ones ("bad-diffbits").
fn check_bits(branch: &Branch, header: &Header) -> Result<(), Violation> {
    let expected = required_bits(branch, header.time);
    if header.bits == expected {
        return Ok(());
    }
    Err(Violation::BadDiffbits { expected, got: header.bits })
}

/// Checks that the time is after the median time past of the parent, strictly ("time-too-old").
fn check_median_time(branch: &Branch, header: &Header) -> Result<(), Violation> {
    let median = branch.median_time_past();
    if header.time > median {
        return Ok(());
    }
    Err(Violation::TimeTooOld { median, got: header.time })
}

/// Checks BIP94: the time of a period's first header is at most 600 s before the parent's time
/// ("time-timewarp-attack").
fn check_timewarp(branch: &Branch, header: &Header) -> Result<(), Violation> {
    let params = branch.params();
    let earliest = i64::from(branch.time()) - i64::from(SPACING);
    if !params.bip94
        || !params.is_boundary(branch.height() + 1)
        || i64::from(header.time) >= earliest
    {
        return Ok(());
    }
    Err(Violation::Timewarp { earliest, got: header.time })
}

/// Checks that the time is at most two hours ahead of the wall clock ("time-too-new").
fn check_future(header: &Header, now: u32) -> Result<(), Violation> {
    let latest = i64::from(now) + i64::from(MAX_FUTURE_SECS);
    if i64::from(header.time) <= latest {
        return Ok(());
    }
    Err(Violation::TimeTooNew { latest, got: header.time })
}

/// Checks BIP34, BIP66 and BIP65. From their heights on, they refuse versions below 2, 3 and 4, respectively
/// ("bad-version").
///
/// The comparison is signed, so a version with bit 31 set is too low. BIP9 and BIP320 may use the other bits.
fn check_version(branch: &Branch, header: &Header) -> Result<(), Violation> {
    let params = branch.params();
    let height = branch.height() + 1;
    let lowest = [(4, params.bip65_height), (3, params.bip66_height), (2, params.bip34_height)]
        .into_iter()
        .find_map(|(version, from)| (height >= from).then_some(version));
    match lowest {
        Some(lowest) if header.version < lowest => {
            Err(Violation::BadVersion { lowest, got: header.version })
        }
        _ => Ok(()),
    }
}
