//! sled's snapshot: the place of each node at one point of the log.

use super::message::{Lsn, Read};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lsn: Lsn,
    /// The offset of the message in the file, in bytes.
    pub(super) offset: u64,
}

/// Where a node is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum NodePlace {
    /// No node was ever written with this id. sled leaves no such gap, so the log is damaged.
    #[default]
    Missing,
    Free,
    /// The place of the whole node, and those of later changes, oldest first.
    At(Place, Vec<Place>),
}

/// The content of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The position up to which (exclusively) the snapshot covers the log; `None` if it covers nothing.
    pub(super) stable: Option<Lsn>,
    /// The nodes, by id.
    pub(super) nodes: Vec<NodePlace>,
}

impl Snapshot {
    /// Decodes a snapshot file; returns `None` if it is cut short or damaged.
    pub(super) fn decode(file: &[u8]) -> Option<Self> {
        let (body, crc) = file.split_last_chunk::<4>()?;
        let (body, _length) = body.split_last_chunk::<8>()?;
        if body.is_empty() || crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut bytes = body;
        let rest = &mut bytes;
        let stable = match rest.i64()? {
            0 => None,
            negative @ ..0 => Some(negative),
            shifted => Some(shifted - 1),
        };
        let _active_segment = rest.varint()?;
        let mut nodes = Vec::new();
        while !rest.is_empty() {
            nodes.push(node_place(rest)?);
        }
        Some(Self { stable, nodes })
    }
}

fn node_place(rest: &mut &[u8]) -> Option<NodePlace> {
    let changes = match rest.u8()? {
        0 => {
            let (_lsn, _at) = (rest.i64()?, offset(rest)?);
            return Some(NodePlace::Free);
        }
        count => count - 1,
    };
    let base = place(rest)?;
    let changes = (0..changes).map(|_| place(rest)).collect::<Option<Vec<_>>>()?;
    Some(NodePlace::At(base, changes))
}

fn place(rest: &mut &[u8]) -> Option<Place> {
    let place = Place { lsn: rest.i64()?, offset: offset(rest)? };
    let _size = rest.varint()?;
    Some(place)
}

fn offset(rest: &mut &[u8]) -> Option<u64> {
    let is_blob = rest.u8()?;
    let offset = rest.varint()?;
    if is_blob == 1 {
        let _file = rest.i64()?;
    }
    (is_blob <= 1).then_some(offset)
}
