//! `block`: a header and its transactions.

use super::codec::Reader;
use super::error::DecodeError;
use super::tx::{Layout, MIN_TX_LEN, TxView, WITNESS_SCALE_FACTOR};
use crate::primitives::{HEADER_LEN, Header};
use std::fmt;

/// A whole block, decoded but not checked against anything.
///
/// A `Block` consists of the bytes as they came, the decoded header, and the offsets of each transaction's parts.
/// However many transactions there are, a `Block` takes two allocations: the bytes and the list of offsets.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    bytes: Vec<u8>,
    header: Header,
    /// The offset of the first transaction in `bytes`.
    transactions_at: usize,
    layouts: Vec<Layout>,
}

impl Block {
    /// Decodes a block.
    ///
    /// # Errors
    /// The bytes are no block, or more bytes follow.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let got = bytes.len();
        let block = Self::decode_front(bytes)?;
        let expected = block.bytes.len();
        if got == expected { Ok(block) } else { Err(DecodeError::Trailing { expected, got }) }
    }

    /// Decodes the block at the front of a payload, and ignores what follows.
    pub(super) fn decode_front(mut bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(&bytes);
        let header = Header::decode(&reader.array::<HEADER_LEN>()?);
        let count = reader.count("transactions", usize::MAX, MIN_TX_LEN)?;
        let transactions_at = reader.position();
        let mut layouts = Vec::with_capacity(count);
        for _ in 0..count {
            layouts.push(Layout::read(reader)?);
        }
        let end = reader.position();
        bytes.truncate(end);
        Ok(Self { bytes, header, transactions_at, layouts })
    }

    /// Returns its bytes as they are on the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns how many transactions the block has.
    pub fn len(&self) -> usize {
        self.layouts.len()
    }

    /// Returns whether the block has no transactions. A valid block has at least one.
    pub fn is_empty(&self) -> bool {
        self.layouts.is_empty()
    }

    /// Returns its transactions, in order.
    pub fn transactions(&self) -> Transactions<'_> {
        Transactions { bytes: &self.bytes[self.transactions_at..], layouts: self.layouts.iter() }
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the size in bytes without the transactions' markers, flags and witnesses.
    pub fn stripped_size(&self) -> usize {
        self.transactions_at + self.transactions().map(|tx| tx.stripped_size()).sum::<usize>()
    }

    /// Returns the weight in weight units (BIP141), header and count included.
    ///
    /// Source: Bitcoin Core `GetBlockWeight`.
    pub fn weight(&self) -> usize {
        let transactions: usize = self.layouts.iter().map(Layout::weight).sum();
        self.transactions_at * WITNESS_SCALE_FACTOR + transactions
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {} transactions)", self.header.hash(), self.len())
    }
}

/// The transactions of a block, in order.
#[derive(Clone, Debug)]
pub struct Transactions<'a> {
    /// The bytes of the transactions that are still to be returned.
    bytes: &'a [u8],
    layouts: std::slice::Iter<'a, Layout>,
}

impl<'a> Iterator for Transactions<'a> {
    type Item = TxView<'a>;

    fn next(&mut self) -> Option<TxView<'a>> {
        let layout = self.layouts.next()?;
        let (bytes, rest) = self.bytes.split_at(layout.len());
        self.bytes = rest;
        Some(TxView { bytes, layout })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.layouts.size_hint()
    }
}

impl ExactSizeIterator for Transactions<'_> {}
