//! Nodes of sled's tree, decoded from messages.

use super::message::Read;

/// A node: the entries with keys from `lo` to `hi` (exclusive), or the children that hold these entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeNode {
    /// The node to the right.
    pub(super) next: Option<u64>,
    /// The child that is being merged into its left neighbour.
    merging_child: Option<u64>,
    /// Every key of the node begins with this many bytes of `lo`, and is stored without them.
    prefix_len: usize,
    pub(super) lo: Vec<u8>,
    /// The first key that belongs to the node to the right; empty in the last node.
    pub(super) hi: Vec<u8>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    Leaf(Vec<(Vec<u8>, Vec<u8>)>),
    Index(Vec<(Vec<u8>, u64)>),
}

/// The next step in the search for a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SearchStep<'a> {
    /// The search ends here, with the key's value if it has one.
    Here(Option<&'a [u8]>),
    /// The search goes on in this node.
    Next(u64),
}

impl TreeNode {
    /// Decodes a node; returns `None` if the bytes are not a node.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let parts = Parts::decode(bytes)?;
        let keys = parts.keys.iter().map(|key| key.to_vec());
        let data = match parts.values {
            NodeValues::Leaf(values) => {
                Data::Leaf(keys.zip(values.iter().map(|value| value.to_vec())).collect())
            }
            NodeValues::Index(pids) => Data::Index(keys.zip(pids).collect()),
        };
        Some(Self {
            next: parts.next,
            merging_child: parts.merging_child,
            prefix_len: parts.prefix_len,
            lo: parts.lo.to_vec(),
            hi: parts.hi.to_vec(),
            data,
        })
    }

    pub(super) fn is_index(&self) -> bool {
        matches!(self.data, Data::Index(_))
    }

    /// Applies a change to the node; returns `None` if the bytes are not a change that fits the node.
    pub(super) fn apply(&mut self, mut link: &[u8]) -> Option<()> {
        let rest = &mut link;
        match (rest.u8()?, &mut self.data) {
            (0, Data::Leaf(entries)) => {
                let (key, value) = (rest.bytes()?.to_vec(), rest.bytes()?.to_vec());
                match entries.binary_search_by(|(known, _)| known.cmp(&key)) {
                    Ok(at) => entries[at].1 = value,
                    Err(at) => entries.insert(at, (key, value)),
                }
            }
            (1, Data::Leaf(entries)) => {
                let key = rest.bytes()?;
                if let Ok(at) = entries.binary_search_by(|(known, _)| known.as_slice().cmp(key)) {
                    entries.remove(at);
                }
            }
            (2, Data::Index(_)) => self.merging_child = Some(rest.varint()?),
            (3, Data::Index(children)) => {
                let merged = self.merging_child.take()?;
                children.retain(|(_, child)| *child != merged);
            }
            // Marks a child that is being merged, which stays readable until it is freed.
            (4, _) => {}
            _ => return None,
        }
        Some(())
    }

    /// Returns the next step in the search for a key; `None` if no intact tree would lead the search to this node.
    pub(super) fn step(&self, key: &[u8]) -> Option<SearchStep<'_>> {
        if key < self.lo.as_slice() {
            return None;
        }
        if !self.hi.is_empty() && key >= self.hi.as_slice() {
            return self.next.map(SearchStep::Next);
        }
        let suffix = key.get(self.prefix_len..)?;
        match &self.data {
            Data::Leaf(entries) => {
                let at = entries.binary_search_by(|(known, _)| known.as_slice().cmp(suffix));
                Some(SearchStep::Here(at.ok().map(|at| entries[at].1.as_slice())))
            }
            Data::Index(children) => {
                let after = children.partition_point(|(known, _)| known.as_slice() <= suffix);
                let (_, pid) = children.get(after.checked_sub(1)?)?;
                Some(SearchStep::Next(*pid))
            }
        }
    }

    /// Returns a leaf's full keys and their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        let entries = match &self.data {
            Data::Leaf(entries) => entries.as_slice(),
            Data::Index(_) => &[],
        };
        let prefix = &self.lo[..self.prefix_len];
        entries.iter().map(move |(key, value)| ([prefix, key].concat(), value.as_slice()))
    }
}

/// A node's parts, borrowed from its bytes.
struct Parts<'a> {
    next: Option<u64>,
    merging_child: Option<u64>,
    prefix_len: usize,
    lo: &'a [u8],
    hi: &'a [u8],
    keys: Vec<&'a [u8]>,
    values: NodeValues<'a>,
}

enum NodeValues<'a> {
    Leaf(Vec<&'a [u8]>),
    Index(Vec<u64>),
}

impl<'a> Parts<'a> {
    fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let rest = &mut bytes;
        let next = optional(rest.varint()?);
        let (merging_child, _merging) = (optional(rest.varint()?), rest.u8()?);
        let prefix_len = usize::from(rest.u8()?);
        let (lo, hi) = (rest.bytes()?, rest.bytes()?);
        let kind = rest.u8()?;
        let count = usize::try_from(rest.varint()?).ok().filter(|count| *count <= rest.len())?;
        let keys = (0..count).map(|_| rest.bytes()).collect::<Option<Vec<_>>>()?;
        let values = match kind {
            0 => NodeValues::Leaf((0..count).map(|_| rest.bytes()).collect::<Option<_>>()?),
            1 => NodeValues::Index((0..count).map(|_| rest.varint()).collect::<Option<_>>()?),
            _ => return None,
        };
        let parts = Self { next, merging_child, prefix_len, lo, hi, keys, values };
        (prefix_len <= lo.len()).then_some(parts)
    }
}

/// Returns the full keys of a leaf and their values, borrowed from its bytes; `None` if the bytes are not a leaf.
pub(super) fn leaf_entries(bytes: &[u8]) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let parts = Parts::decode(bytes)?;
    let NodeValues::Leaf(values) = parts.values else { return None };
    let prefix = &parts.lo[..parts.prefix_len];
    let keys = parts.keys.iter().map(|key| [prefix, key].concat());
    Some(keys.zip(values).collect())
}

/// Decodes an optional node id: 0 stands for none.
fn optional(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// Returns the key and value that a change sets, if it sets one. The key lacks its node's prefix.
pub(super) fn link_entry(mut link: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = &mut link;
    (rest.u8()? == 0).then_some(())?;
    Some((rest.bytes()?, rest.bytes()?))
}
