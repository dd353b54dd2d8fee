//! Groups headers by their versions: early versions are plain numbers, later ones are version bits (BIP9).

use std::fmt;

/// Version bits below this one signal deployments (BIP9). Miners may use bits 13 to 28 freely (BIP320).
const FIRST_FREE_BIT: u8 = 13;

/// Free bits as BIP320 lists them: 13 to 28.
const FREE_BITS: u32 = 0x1fff_e000;

/// A group of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionGroup {
    /// A plain number from 1 to 4.
    Number(u8),
    /// Version bits (BIP9) of which none is set.
    NoBits,
    /// A version bit (BIP9) from 0 to 12 is set.
    Bit(u8),
    /// At least one of the bits that miners may use freely (BIP320) is set.
    FreeBits,
    /// Any other number.
    Other,
}

impl VersionGroup {
    /// All groups, in the order in which they are shown.
    pub(crate) const ALL: [Self; GROUPS] = groups();

    /// Returns the name of the soft fork that the version or bit signalled, if there was one; for the free bits, their
    /// BIP.
    pub(crate) fn deployment(self) -> Option<&'static str> {
        match self {
            Self::Number(2) => Some("BIP34"),
            Self::Number(3) => Some("BIP66"),
            Self::Number(4) => Some("BIP65"),
            Self::Bit(0) => Some("csv"),
            Self::Bit(1) => Some("segwit"),
            Self::Bit(2) => Some("taproot"),
            Self::Bit(4) => Some("segsignal"),
            Self::FreeBits => Some("BIP320"),
            _ => None,
        }
    }

    /// Returns whether a version belongs to the group. A version may belong to several groups.
    pub(crate) fn has(self, version: i32) -> bool {
        let bits = version.cast_unsigned();
        let is_bip9 = bits >> 29 == 1;
        match self {
            Self::Number(number) => version == i32::from(number),
            Self::NoBits => bits == 0x2000_0000,
            Self::Bit(bit) => is_bip9 && bits >> bit & 1 == 1,
            Self::FreeBits => is_bip9 && bits & FREE_BITS != 0,
            Self::Other => !is_bip9 && !(1..=4).contains(&version),
        }
    }
}

impl fmt::Display for VersionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "version {number}")?,
            Self::NoBits => f.write_str("no bits")?,
            Self::Bit(bit) => write!(f, "bit {bit}")?,
            Self::FreeBits => f.write_str("bits 13–28")?,
            Self::Other => f.write_str("other")?,
        }
        self.deployment().map_or(Ok(()), |name| write!(f, ", {name}"))
    }
}

const GROUPS: usize = 4 + 1 + FIRST_FREE_BIT as usize + 2;

const fn groups() -> [VersionGroup; GROUPS] {
    let mut all = [VersionGroup::Other; GROUPS];
    let (mut at, mut number, mut bit) = (0, 1, 0);
    while number <= 4 {
        all[at] = VersionGroup::Number(number);
        (at, number) = (at + 1, number + 1);
    }
    all[at] = VersionGroup::NoBits;
    at += 1;
    while bit < FIRST_FREE_BIT {
        all[at] = VersionGroup::Bit(bit);
        (at, bit) = (at + 1, bit + 1);
    }
    all[GROUPS - 2] = VersionGroup::FreeBits;
    all
}

/// How many headers belong to each group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VersionCounts([u16; GROUPS]);

impl VersionCounts {
    /// Counts one more header.
    pub(crate) fn add(&mut self, version: i32) {
        for (count, group) in self.0.iter_mut().zip(VersionGroup::ALL) {
            *count = count.saturating_add(u16::from(group.has(version)));
        }
    }

    /// Returns how many headers belong to a group.
    pub(super) fn of(&self, group: VersionGroup) -> u16 {
        let counts = self.0.iter().zip(VersionGroup::ALL);
        counts.filter(|(_, of)| *of == group).map(|(count, _)| *count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{VersionGroup, VersionGroup::*};

    fn groups_of(version: i32) -> Vec<VersionGroup> {
        VersionGroup::ALL.into_iter().filter(|group| group.has(version)).collect()
    }

    #[test]
    fn versions_belong_to_the_groups_that_miners_mean_by_them() {
        assert_eq!(groups_of(1), [Number(1)]);
        assert_eq!(groups_of(4), [Number(4)]);
        assert_eq!(groups_of(0x2000_0000), [NoBits]);
        // The version at height 477,120 signals segwit and segsignal.
        assert_eq!(groups_of(0x2000_0012), [Bit(1), Bit(4)]);
        // The version at height 709,632 has the taproot bit, and free bits that the miner rolled.
        assert_eq!(groups_of(0x3fff_e004), [Bit(2), FreeBits]);
        assert_eq!(groups_of(0x7fff_ffff), [Other]);
        assert_eq!(groups_of(i32::MIN), [Other]);
        assert_eq!(groups_of(0), [Other]);
    }

    #[test]
    fn every_group_has_a_name_of_its_own() {
        let mut names: Vec<String> = VersionGroup::ALL.iter().map(ToString::to_string).collect();
        assert!(
            names.contains(&"bit 2, taproot".to_owned()) && names.contains(&"no bits".to_owned())
        );
        names.sort();
        names.dedup();
        assert_eq!(names.len(), VersionGroup::ALL.len());
    }
}
