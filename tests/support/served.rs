//! A chain that peers serve. Its headers are in wire form, are found by hash, and may change while peers run.

use lightclient::primitives::{BlockHash, HEADER_LEN, Header, Network, sha256d};
use lightclient::wire::{FOREIGN_VERSION_BIT, GetHeaders, MAX_HEADERS, put_compact_size};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Length of an entry: a header, and the count of transactions after it, which is always 0.
const ENTRY_LEN: usize = HEADER_LEN + 1;

/// Length of a header of the chain that split off in August 2026, and of its entry.
const FOREIGN_LEN: usize = 164;
const FOREIGN_ENTRY_LEN: usize = FOREIGN_LEN + 1;

/// A `headers` message in two parts: head and count, then a part of [`ServedChain::entries`]. So 162 kB of headers are
/// never copied.
pub struct HeadersMessage {
    /// The 24 bytes of the message's head and the number of headers.
    pub front: Vec<u8>,
    /// The part of [`ServedChain::entries`] that follows, in bytes.
    pub entries: Range<usize>,
}

/// The headers from genesis on, in wire form.
#[derive(Debug)]
pub struct ServedChain {
    network: Network,
    entries: Vec<u8>,
    hashes: Vec<BlockHash>,
    heights: HashMap<BlockHash, usize>,
    /// The first height with a 164-byte header of the other chain.
    foreign_from: Option<usize>,
    /// Checksums of messages by their first height and count, since hashing 162 kB takes as long as sending them.
    checksums: Mutex<HashMap<(usize, usize), [u8; 4]>>,
}

impl ServedChain {
    /// Makes a chain of headers, the first of which is genesis. The headers are not checked.
    pub fn new(network: Network, headers: &[Header]) -> Self {
        let mut chain = Self {
            network,
            entries: Vec::with_capacity(headers.len() * ENTRY_LEN),
            hashes: Vec::with_capacity(headers.len()),
            heights: HashMap::with_capacity(headers.len()),
            foreign_from: None,
            checksums: Mutex::default(),
        };
        chain.push(headers);
        chain
    }

    /// Returns this chain with everything from `height` on replaced by `count` 164-byte headers of the other chain.
    pub fn with_foreign(&self, height: u32, count: u32) -> Self {
        let height = to_usize(height);
        let headers: Vec<Header> = (0..height).map(|height| self.header(height)).collect();
        let mut chain = Self::new(self.network, &headers);
        chain.foreign_from = Some(height);
        for _ in 0..count {
            let mut bytes = [0xee; FOREIGN_LEN];
            let marked = VERSION_OF_FOREIGN.to_le_bytes();
            bytes[..4].copy_from_slice(&marked);
            bytes[4..36].copy_from_slice(&chain.tip().0);
            bytes[36..40].copy_from_slice(&to_u32(chain.hashes.len()).to_le_bytes());
            chain.push_raw(&bytes);
        }
        chain
    }

    fn extended(&self, more: &[Header]) -> Self {
        let mut chain = Self {
            network: self.network,
            entries: self.entries.clone(),
            hashes: self.hashes.clone(),
            heights: self.heights.clone(),
            foreign_from: self.foreign_from,
            // The checksum of the chain's last message changes, because the message becomes longer.
            checksums: Mutex::default(),
        };
        chain.push(more);
        chain
    }

    fn push(&mut self, headers: &[Header]) {
        for header in headers {
            self.push_raw(&header.encode());
        }
    }

    fn push_raw(&mut self, header: &[u8]) {
        // The other chain has another hash function. Here any unique hash is enough.
        let hash = BlockHash(sha256d(header));
        self.entries.extend_from_slice(header);
        self.entries.push(0);
        self.heights.insert(hash, self.hashes.len());
        self.hashes.push(hash);
    }

    /// Returns the network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Returns the height of the last header.
    pub fn height(&self) -> u32 {
        to_u32(self.hashes.len() - 1)
    }

    /// Returns the hash of the last header.
    pub fn tip(&self) -> BlockHash {
        *self.hashes.last().expect("a chain has a genesis")
    }

    /// Returns the hash of the header at a height.
    pub fn hash(&self, height: u32) -> BlockHash {
        self.hashes[to_usize(height)]
    }

    /// Returns the first 80 bytes at a height as a header.
    pub fn header(&self, height: usize) -> Header {
        let (header, _) = self.entries[self.offset(height)..]
            .split_first_chunk::<HEADER_LEN>()
            .expect("an entry is longer than a header");
        Header::decode(header)
    }

    /// Returns all headers in wire form, each with the zero after it.
    pub fn entries(&self) -> &[u8] {
        &self.entries
    }

    fn offset(&self, height: usize) -> usize {
        let long = height.saturating_sub(self.foreign_from.unwrap_or(height));
        (height - long) * ENTRY_LEN + long * FOREIGN_ENTRY_LEN
    }

    /// Returns the heights of the headers that Bitcoin Core would send for a request if its chain ended at `limit`.
    ///
    /// The chains fork at the first known hash of the locator, or at genesis if none is known. An empty locator
    /// requests only the header of the stop hash.
    pub fn answer(&self, request: &GetHeaders, limit: u32) -> Range<usize> {
        let end = to_usize(limit.min(self.height())) + 1;
        let known =
            |hash: &BlockHash| self.heights.get(hash).copied().filter(|height| *height < end);
        let stop = known(&request.stop);
        if request.locator.is_empty() {
            return stop.map_or(0..0, |height| height..height + 1);
        }
        let start = request.locator.iter().find_map(known).unwrap_or(0) + 1;
        let full = end.min(start + MAX_HEADERS);
        match stop {
            Some(stop) if stop >= start => start..full.min(stop + 1),
            _ => start..full.max(start),
        }
    }

    /// Returns the message with the headers at these heights, for a network with this magic.
    pub fn message(&self, heights: Range<usize>, magic: [u8; 4]) -> HeadersMessage {
        let entries = self.offset(heights.start)..self.offset(heights.end);
        let mut count = Vec::with_capacity(3);
        put_compact_size(&mut count, u64::from(to_u32(heights.len())));
        let length = to_u32(count.len() + entries.len());
        let mut front = Vec::with_capacity(27);
        front.extend_from_slice(&magic);
        front.extend_from_slice(b"headers\0\0\0\0\0");
        front.extend_from_slice(&length.to_le_bytes());
        front.extend_from_slice(&self.checksum(&heights, &count, &self.entries[entries.clone()]));
        front.extend_from_slice(&count);
        HeadersMessage { front, entries }
    }

    fn checksum(&self, heights: &Range<usize>, count: &[u8], entries: &[u8]) -> [u8; 4] {
        let key = (heights.start, heights.len());
        let cached = || self.checksums.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cached().get(&key) {
            return *known;
        }
        let [a, b, c, d, ..] = sha256d(&[count, entries].concat());
        cached().insert(key, [a, b, c, d]);
        [a, b, c, d]
    }
}

const VERSION_OF_FOREIGN: u32 = FOREIGN_VERSION_BIT | 0x2000_0000;

/// A chain that several peers serve, and that can change meanwhile. All clones share one chain.
#[derive(Clone, Debug)]
pub struct SharedChain(Arc<RwLock<Arc<ServedChain>>>);

impl SharedChain {
    /// Makes a chain of headers, which start with genesis.
    pub fn new(network: Network, headers: &[Header]) -> Self {
        Self::from(ServedChain::new(network, headers))
    }

    /// Returns the current chain.
    pub fn now(&self) -> Arc<ServedChain> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the chain. If both have the same beginning, this is a reorganisation.
    pub fn replace(&self, headers: &[Header]) {
        let next = Arc::new(ServedChain::new(self.now().network, headers));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Adds headers on top.
    pub fn extend(&self, more: &[Header]) {
        let next = Arc::new(self.now().extended(more));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

impl From<ServedChain> for SharedChain {
    fn from(chain: ServedChain) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(chain))))
    }
}

pub(super) fn to_usize(height: u32) -> usize {
    usize::try_from(height).expect("usize has at least 32 bits")
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).expect("no chain has 2^32 headers")
}
