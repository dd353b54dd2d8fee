//! Inputs, outputs and witnesses of a decoded transaction, which are read from its bytes on demand.

use super::codec::Reader;
use super::error::DecodeError;
use crate::primitives::Txid;
use std::fmt;

/// Fewest bytes of an input: outpoint 36, empty script 1, sequence 4.
pub(super) const MIN_INPUT_LEN: usize = 41;

/// Fewest bytes of an output: value 8, empty script 1.
pub(super) const MIN_OUTPUT_LEN: usize = 9;

/// An output of an earlier transaction. Source: Bitcoin Core `COutPoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutPoint {
    /// The transaction.
    pub txid: Txid,
    /// Position of the output in the transaction, from 0.
    pub vout: u32,
}

impl OutPoint {
    /// The outpoint that a coinbase's input names. Source: Bitcoin Core `COutPoint::IsNull`.
    pub const NULL: Self = Self { txid: Txid::ZERO, vout: u32::MAX };
}

impl fmt::Display for OutPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.txid, self.vout)
    }
}

/// An input of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxIn<'a> {
    /// The output that it spends.
    pub previous: OutPoint,
    /// Its script.
    pub script_sig: &'a [u8],
    /// Its sequence number.
    pub sequence: u32,
    /// Its witness; empty if there is none.
    pub witness: Witness<'a>,
}

/// An output of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxOut<'a> {
    /// Amount in satoshi. It is not checked: it may be negative, or greater than all coins together.
    pub value: i64,
    /// The script that says who may spend it.
    pub script_pubkey: &'a [u8],
}

/// The stack of byte strings that is an input's witness (BIP141).
#[derive(Clone, Debug)]
pub struct Witness<'a> {
    items: Reader<'a>,
    left: usize,
}

impl PartialEq for Witness<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

impl Eq for Witness<'_> {}

impl Witness<'_> {
    const EMPTY: Self = Self { items: Reader::empty(), left: 0 };

    /// Returns whether no items are left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Witness<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(decoded_before(self.items.var_bytes(ITEM, usize::MAX)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Witness<'_> {}

/// The inputs of a transaction, in order.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    pub(super) inputs: Reader<'a>,
    pub(super) witnesses: Option<Reader<'a>>,
    pub(super) left: usize,
}

impl<'a> Iterator for Inputs<'a> {
    type Item = TxIn<'a>;

    fn next(&mut self) -> Option<TxIn<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut input = decoded_before(read_input(&mut self.inputs));
        if let Some(witnesses) = &mut self.witnesses {
            let left = decoded_before(witnesses.count(STACK, usize::MAX, 1));
            input.witness = Witness { items: witnesses.clone(), left };
            decoded_before(skip_items(witnesses, left));
        }
        Some(input)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Inputs<'_> {}

/// The outputs of a transaction, in order.
#[derive(Clone, Debug)]
pub struct Outputs<'a> {
    pub(super) outputs: Reader<'a>,
    pub(super) left: usize,
}

impl<'a> Iterator for Outputs<'a> {
    type Item = TxOut<'a>;

    fn next(&mut self) -> Option<TxOut<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(decoded_before(read_output(&mut self.outputs)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Outputs<'_> {}

const STACK: &str = "witness items";
const ITEM: &str = "witness item bytes";

/// Reads an input without its witness.
pub(super) fn read_input<'a>(reader: &mut Reader<'a>) -> Result<TxIn<'a>, DecodeError> {
    Ok(TxIn {
        previous: OutPoint { txid: Txid(reader.array()?), vout: reader.u32()? },
        script_sig: reader.var_bytes("input script bytes", usize::MAX)?,
        sequence: reader.u32()?,
        witness: Witness::EMPTY,
    })
}

pub(super) fn read_output<'a>(reader: &mut Reader<'a>) -> Result<TxOut<'a>, DecodeError> {
    Ok(TxOut {
        value: reader.i64()?,
        script_pubkey: reader.var_bytes("output script bytes", usize::MAX)?,
    })
}

/// Skips one input's witness, and returns how many items it has.
pub(super) fn skip_witness(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let count = reader.count(STACK, usize::MAX, 1)?;
    skip_items(reader, count)?;
    Ok(count)
}

fn skip_items(reader: &mut Reader<'_>, count: usize) -> Result<(), DecodeError> {
    for _ in 0..count {
        reader.var_bytes(ITEM, usize::MAX)?;
    }
    Ok(())
}

/// Unwraps the result of reading a part that the decoder has already read without an error.
pub(super) fn decoded_before<T>(result: Result<T, DecodeError>) -> T {
    result.expect("a transaction is made by decoding it, and its bytes do not change")
}
