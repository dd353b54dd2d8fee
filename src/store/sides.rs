//! Which records of the side branches a change has to write.
//!
//! # Security
//! A peer can make a branch grow a header at a time. So a branch's records bear a name that stays when it grows,
//! and a change writes what is new alone, however many branches there are and however long they are.

use super::StoredSide;
use super::layout::{SIDE_PART, side_key};
use crate::chain::SideBranch;
use crate::primitives::{BlockHash, Header};

/// A branch as its records have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// What its keys begin with: the hash of its end when it was first written.
    pub(super) name: BlockHash,
    fork_height: u32,
    len: usize,
    end: BlockHash,
}

impl Record {
    /// What was read back under a name.
    pub(super) fn of_stored(name: BlockHash, side: &StoredSide) -> Self {
        let end = side.headers.last().map(Header::hash).unwrap_or_default();
        Self { name, fork_height: side.fork_height, len: side.headers.len(), end }
    }

    /// Whether the branch begins with all of this: a hash commits to everything before it.
    fn begins(&self, side: &SideBranch) -> bool {
        let last = self.len.checked_sub(1).and_then(|at| side.hashes().get(at));
        self.fork_height == side.fork_height() && last == Some(&self.end)
    }
}

/// Keys and their new values, `None` for those that go.
pub(super) type Writes = Vec<([u8; 35], Option<Vec<u8>>)>;

/// What makes the stored branches into these; `records` then says how they are stored.
pub(super) fn writes(records: &mut Vec<Record>, sides: &[SideBranch]) -> Writes {
    let mut old = std::mem::take(records);
    let mut puts = Writes::new();
    for side in sides {
        let record = match old.iter().position(|record| record.begins(side)) {
            Some(at) => old.swap_remove(at),
            // No branch begins with all of another one, so no other branch can have been given this name.
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
    // A branch may be written anew under the name of one that goes: what goes comes first.
    let gone = old
        .iter()
        .flat_map(|record| (0..parts(record.len)).map(|part| (part_key(&record.name, part), None)));
    gone.chain(puts).collect()
}

fn parts(len: usize) -> usize {
    len.div_ceil(SIDE_PART)
}

fn part_key(name: &BlockHash, part: usize) -> [u8; 35] {
    side_key(name, u16::try_from(part).expect("a branch has at most 512 parts"))
}
