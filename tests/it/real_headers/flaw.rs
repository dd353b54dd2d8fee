//! The ways to break a header, and headers that are broken in none.

use super::judge::Judge;
use crate::support::chain::{REGTEST_BITS, VERSION, mine};
use crate::support::wrong::unmined;
use lightclient::chain::{Branch, MAX_FUTURE_SECS, SPACING};
use lightclient::primitives::{BlockHash, Header, MerkleRoot, Target};
use rand::RngExt;
use rand::rngs::StdRng;

/// The one rule that a header breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// The hash is above the target.
    Work,
    /// The bits are not the compact form of a target: negative, zero or too large.
    NoTarget,
    /// The target is above the network's limit.
    AboveLimit,
    /// The bits are not the required ones, though the hash meets them.
    OtherBits,
    /// The time is the median of the last eleven or before it.
    OldTime,
    /// BIP94: the time at a boundary is more than 600 seconds before that of the parent.
    Timewarp,
    /// The time is more than two hours ahead of the clock.
    FutureTime,
    /// The version is a retired one.
    Version,
    /// Nobody has the parent.
    UnknownParent,
}

impl Flaw {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::Work,
        Self::NoTarget,
        Self::AboveLimit,
        Self::OtherBits,
        Self::OldTime,
        Self::Timewarp,
        Self::FutureTime,
        Self::Version,
        Self::UnknownParent,
    ];

    /// Returns Bitcoin Core's reject reason for a header with this flaw.
    pub(super) fn reason(self, header: &Header) -> String {
        match self {
            Self::Work | Self::NoTarget | Self::AboveLimit => "high-hash".to_owned(),
            Self::OtherBits => "bad-diffbits".to_owned(),
            Self::OldTime => "time-too-old".to_owned(),
            Self::Timewarp => "time-timewarp-attack".to_owned(),
            Self::FutureTime => "time-too-new".to_owned(),
            Self::Version => format!("bad-version(0x{:08x})", header.version),
            Self::UnknownParent => "prev-blk-not-found".to_owned(),
        }
    }

    /// Breaks a valid header that follows `parent`, or returns `None` if no header there can have this flaw.
    pub(super) fn apply(
        self,
        header: Header,
        parent: &Branch,
        judge: &Judge,
        random: &mut StdRng,
    ) -> Option<Header> {
        let median = parent.median_time_past();
        let limit = Target::from_bits(REGTEST_BITS).expect("regtest's bits");
        Some(match self {
            Self::Work => unmined(header, limit),
            Self::NoTarget => {
                Header { bits: pick(&[0, 0x20ff_ffff, 0xff7f_ffff], random), ..header }
            }
            Self::AboveLimit => {
                Header { bits: pick(&[0x2100_ffff, 0x2100_8000], random), ..header }
            }
            Self::OtherBits => {
                mine(Header { bits: pick(&[0x207f_fffe, 0x1f7f_ffff], random), ..header })
            }
            Self::OldTime => {
                let time = median.saturating_sub(pick(&[0, 0, 1, 5_000], random));
                mine(Header { time, ..header })
            }
            Self::Timewarp => {
                let boundary = parent.params().bip94 && is_before_boundary(parent);
                let time = parent.time().saturating_sub(SPACING + 1);
                (boundary && time > median).then(|| mine(Header { time, ..header }))?
            }
            Self::FutureTime => {
                let ahead = MAX_FUTURE_SECS + 1 + pick(&[0, 0, 1, 100_000], random);
                mine(Header { time: judge.now().checked_add(ahead)?, ..header })
            }
            Self::Version => {
                let lowest = lowest_version(parent);
                let version = (lowest > 0).then(|| random.random_range(0..lowest))?;
                mine(Header { version, ..header })
            }
            Self::UnknownParent => mine(Header { prev: BlockHash(random.random()), ..header }),
        })
    }
}

/// Returns a header that follows `parent` and breaks no rule. There is none if the median time has reached the clock.
pub(super) fn valid_on(parent: &Branch, judge: &Judge, random: &mut StdRng) -> Option<Header> {
    let earliest = parent.median_time_past().checked_add(1)?;
    let latest = judge.now().saturating_add(MAX_FUTURE_SECS);
    // BIP94 limits the times of few headers, and those of the regtest that everybody uses not at all.
    let bip94 = parent.params().bip94 && is_before_boundary(parent);
    let earliest =
        if bip94 { earliest.max(parent.time().saturating_sub(SPACING)) } else { earliest };
    let time = match random.random_range(0..50) {
        0..8 => earliest,
        8..14 => parent.time(),
        14..20 => parent.time().saturating_sub(random.random_range(0..3_000)),
        20 => latest,
        // So that BIP94 limits the next one.
        _ if (parent.height() + 2).is_multiple_of(parent.params().interval) => {
            earliest.saturating_add(5_000)
        }
        _ => earliest.saturating_add(random.random_range(0..2_500)),
    };
    let lowest = lowest_version(parent);
    let versions = [lowest, lowest + 1, VERSION, VERSION, i32::MAX];
    (earliest <= latest).then(|| {
        mine(Header {
            version: pick(&versions, random),
            prev: parent.hash(),
            merkle_root: MerkleRoot(random.random()),
            time: time.clamp(earliest, latest),
            bits: REGTEST_BITS,
            nonce: 0,
        })
    })
}

/// Returns whether a retarget happens at the next height.
fn is_before_boundary(parent: &Branch) -> bool {
    parent.params().is_boundary(parent.height() + 1)
}

/// Returns the lowest version that a header after `parent` may have.
///
/// Versions whose bit 31 is set are left out: bitcoin-knots takes them for headers of another length.
fn lowest_version(parent: &Branch) -> i32 {
    let (params, height) = (parent.params(), parent.height() + 1);
    let retired = [(params.bip34_height, 2), (params.bip66_height, 3), (params.bip65_height, 4)];
    let in_force = retired.into_iter().filter(|(from, _)| height >= *from);
    in_force.map(|(_, lowest)| lowest).max().unwrap_or(0)
}

fn pick<T: Copy>(choices: &[T], random: &mut StdRng) -> T {
    choices[random.random_range(0..choices.len())]
}
