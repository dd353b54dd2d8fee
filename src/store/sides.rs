//! Computes which records of the side branches a change has to write.
//!
//! # Security
//! A peer can make a branch grow by one header at a time. So a branch's records have a name that stays when the branch
//! grows, and a change writes only the parts with new headers, however many and however long the branches are.

use super::StoredSide;
use super::layout::{SIDE_PART, side_key};
use crate::chain::SideBranch;
use crate::primitives::{BlockHash, Header};

/// A side branch as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The name in the branch's keys: the hash of its last header when the branch was first written.
    pub(super) name: BlockHash,
    fork_height: u32,
    len: usize,
    end: BlockHash,
}

impl Record {
    /// Describes a branch that was read back under a name.
    pub(super) fn of_stored(name: BlockHash, side: &StoredSide) -> Self {
        let end = side.headers.last().map(Header::hash).unwrap_or_default();
        Self { name, fork_height: side.fork_height, len: side.headers.len(), end }
    }

    /// Returns whether `side` begins with all headers of this stored branch. One hash decides, since a hash commits to
    /// all headers before it.
    fn begins(&self, side: &SideBranch) -> bool {
        let last = self.len.checked_sub(1).and_then(|at| side.hashes().get(at));
        self.fork_height == side.fork_height() && last == Some(&self.end)
    }
}

/// Keys with their new values, or `None` for removed ones.
pub(super) type Writes = Vec<([u8; 35], Option<Vec<u8>>)>;

/// Returns the writes that replace the stored branches with `sides`, and updates `records` to match.
pub(super) fn writes(records: &mut Vec<Record>, sides: &[SideBranch]) -> Writes {
    let mut old = std::mem::take(records);
    let mut puts = Writes::new();
    for side in sides {
        let record = match old.iter().position(|record| record.begins(side)) {
            Some(at) => old.swap_remove(at),
            // A branch has the header that it is named after, and none has the tip of another one. So no other branch
            // has this name.
            None => Record {
                name: side.tip().hash(),
                fork_height: side.fork_height(),
                len: 0,
                end: side.fork_hash(),
            },
        };
        let len = side.headers().len();
        let first = if len == record.len { parts(len) } else { record.len / SIDE_PART };
        for (part, headers) in side.headers().chunks(SIDE_PART).enumerate().skip(first) {
            let mut bytes = side.fork_height().to_le_bytes().to_vec();
            headers.iter().for_each(|header| bytes.extend_from_slice(&header.encode()));
            puts.push((part_key(&record.name, part), Some(bytes)));
        }
        records.push(Record { len, end: side.tip().hash(), ..record });
    }
    // A new branch may get the name of a removed one, so removals come first.
    let removed = old
        .iter()
        .flat_map(|record| (0..parts(record.len)).map(|part| (part_key(&record.name, part), None)));
    removed.chain(puts).collect()
}

fn parts(len: usize) -> usize {
    len.div_ceil(SIDE_PART)
}

fn part_key(name: &BlockHash, part: usize) -> [u8; 35] {
    side_key(name, u16::try_from(part).expect("a branch has at most 512 parts"))
}
