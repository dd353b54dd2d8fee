//! `tx`: a transaction, with or without witnesses.
//!
//! A decoded transaction consists of its bytes and the offsets of its parts: hashing takes slices of these bytes, and
//! nothing is allocated for inputs, outputs, scripts or witnesses.

use super::codec::Reader;
use super::error::DecodeError;
use super::tx_parts::{
    Inputs, MIN_INPUT_LEN, MIN_OUTPUT_LEN, OutPoint, Outputs, decoded_before, read_input,
    read_output, skip_witness,
};
use crate::primitives::{Txid, Wtxid, sha256d, sha256d_parts};
use std::fmt;

/// A byte outside the witnesses weighs this many times as much as a byte in a witness (BIP141).
/// Source: Bitcoin Core `WITNESS_SCALE_FACTOR`.
pub const WITNESS_SCALE_FACTOR: usize = 4;

/// Length in bytes of the version, and of the lock time.
const WORD: usize = 4;

/// Length in bytes of BIP144's marker and flag, which follow the version.
const MARKER_AND_FLAG: usize = 2;

/// Fewest bytes of a transaction: one input, no outputs.
pub(super) const MIN_TX_LEN: usize = WORD + 1 + MIN_INPUT_LEN + 1 + WORD;

/// The offsets of a transaction's parts from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The first input, after the count.
    inputs_at: usize,
    input_count: usize,
    /// The first output, after the count.
    outputs_at: usize,
    output_count: usize,
    /// The first witness, or the lock time if there are no witnesses.
    witnesses_at: usize,
    len: usize,
}

impl Layout {
    /// Reads a transaction to its end, and returns the offsets of its parts.
    ///
    /// Source: Bitcoin Core `UnserializeTransaction`. Unlike there, a transaction without inputs and outputs is
    /// refused: it is never valid, and its bytes look like BIP144's marker with a flag of 0.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read_if(reader, |_| true)
    }

    /// Reads a transaction that may have no inputs.
    fn read_raw(reader: &mut Reader<'_>, form: TxForm) -> Result<Self, DecodeError> {
        // A flag of 0 is in fact the number of outputs: the transaction is empty.
        Self::read_if(reader, |next| form == TxForm::Extended && next != 0)
    }

    /// Reads a transaction. An input count of 0 is BIP144's marker if `is_flag` is true for the byte that follows.
    fn read_if(
        reader: &mut Reader<'_>,
        is_flag: impl FnOnce(u8) -> bool,
    ) -> Result<Self, DecodeError> {
        let start = reader.position();
        reader.take(WORD)?;
        let mut input_count = reader.count("inputs", usize::MAX, MIN_INPUT_LEN)?;
        let marked = input_count == 0 && is_flag(reader.clone().u8()?);
        if marked {
            read_flag(reader)?;
            input_count = reader.count("inputs", usize::MAX, MIN_INPUT_LEN)?;
        }
        let inputs_at = reader.position() - start;
        for _ in 0..input_count {
            read_input(reader)?;
        }
        let output_count = reader.count("outputs", usize::MAX, MIN_OUTPUT_LEN)?;
        let outputs_at = reader.position() - start;
        for _ in 0..output_count {
            read_output(reader)?;
        }
        let witnesses_at = reader.position() - start;
        if marked {
            read_witnesses(reader, input_count)?;
        }
        reader.take(WORD)?;
        let len = reader.position() - start;
        Ok(Self { inputs_at, input_count, outputs_at, output_count, witnesses_at, len })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn lock_time_at(&self) -> usize {
        self.len - WORD
    }

    fn has_witness(&self) -> bool {
        self.witnesses_at < self.lock_time_at()
    }

    fn stripped_len(&self) -> usize {
        let witnesses = self.lock_time_at() - self.witnesses_at;
        self.len - witnesses - if self.has_witness() { MARKER_AND_FLAG } else { 0 }
    }

    pub(super) fn weight(&self) -> usize {
        self.stripped_len() * (WITNESS_SCALE_FACTOR - 1) + self.len
    }
}

fn read_flag(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    match reader.u8()? {
        1 => Ok(()),
        got => Err(DecodeError::TransactionFlag { at, got }),
    }
}

fn read_witnesses(reader: &mut Reader<'_>, inputs: usize) -> Result<(), DecodeError> {
    let at = reader.position();
    let mut items = 0;
    for _ in 0..inputs {
        items += skip_witness(reader)?;
    }
    if items == 0 { Err(DecodeError::SuperfluousWitness { at }) } else { Ok(()) }
}

/// The two ways to read a transaction that has a 0 where the input count is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxForm {
    /// As on the wire (BIP144): the 0 is a marker, and a flag of 1 after it says that there are witnesses. A second 0
    /// instead of the flag is the output count of a transaction without inputs.
    Extended,
    /// As before BIP144: the 0 is the input count. Wallets pass such transactions on before they add inputs.
    Legacy,
}

/// A transaction that owns its bytes. [`Transaction::view`] gives access to its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Transaction {
    bytes: Vec<u8>,
    layout: Layout,
}

impl Transaction {
    /// Decodes a transaction.
    ///
    /// # Errors
    /// The bytes are no transaction, or more bytes follow.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let got = bytes.len();
        let transaction = Self::decode_front(bytes)?;
        let expected = transaction.layout.len;
        if got == expected { Ok(transaction) } else { Err(DecodeError::Trailing { expected, got }) }
    }

    /// Decodes a transaction that may have no inputs. No peer accepts a transaction without inputs.
    ///
    /// # Errors
    /// The bytes are no transaction of that form, or more bytes follow.
    pub fn decode_raw(bytes: Vec<u8>, form: TxForm) -> Result<Self, DecodeError> {
        let layout = Layout::read_raw(&mut Reader::new(&bytes), form)?;
        let (expected, got) = (layout.len, bytes.len());
        if got == expected {
            Ok(Self { bytes, layout })
        } else {
            Err(DecodeError::Trailing { expected, got })
        }
    }

    /// Decodes the transaction at the front of a payload, and ignores what follows.
    pub(super) fn decode_front(mut bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let layout = Layout::read(&mut Reader::new(&bytes))?;
        bytes.truncate(layout.len);
        Ok(Self { bytes, layout })
    }

    /// Returns its bytes, witnesses included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns a view of the transaction.
    pub fn view(&self) -> TxView<'_> {
        TxView { bytes: &self.bytes, layout: &self.layout }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// A view of a transaction in a buffer, which belongs to a [`Transaction`] or to the block that contains it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TxView<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) layout: &'a Layout,
}

impl<'a> TxView<'a> {
    /// Returns its bytes, witnesses included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns a copy that owns its bytes.
    pub fn to_transaction(&self) -> Transaction {
        Transaction { bytes: self.bytes.to_vec(), layout: *self.layout }
    }

    /// Returns its version. Source: Bitcoin Core `CTransaction::version`, unsigned since 28.0.
    pub fn version(&self) -> u32 {
        decoded_before(self.reader(0).u32())
    }

    /// Returns the lock time: a height, or a time in Unix seconds if it is 500,000,000 or more. Unless all sequence
    /// numbers are final, the transaction may be mined only above this height, or after this time. Source: Bitcoin Core
    /// `IsFinalTx`.
    pub fn lock_time(&self) -> u32 {
        decoded_before(self.reader(self.layout.lock_time_at()).u32())
    }

    /// Returns its inputs.
    pub fn inputs(&self) -> Inputs<'a> {
        let witnesses = self.has_witness().then(|| self.reader(self.layout.witnesses_at));
        let inputs = self.reader(self.layout.inputs_at);
        Inputs { inputs, witnesses, left: self.layout.input_count }
    }

    /// Returns its outputs.
    pub fn outputs(&self) -> Outputs<'a> {
        let outputs = self.reader(self.layout.outputs_at);
        Outputs { outputs, left: self.layout.output_count }
    }

    /// Returns whether it carries witnesses (BIP144).
    pub fn has_witness(&self) -> bool {
        self.layout.has_witness()
    }

    /// Returns whether it is a coinbase: its only input spends nothing. Source: Bitcoin Core
    /// `CTransaction::IsCoinBase`.
    pub fn is_coinbase(&self) -> bool {
        let mut inputs = self.inputs();
        inputs.len() == 1 && inputs.next().is_some_and(|input| input.previous == OutPoint::NULL)
    }

    /// Returns a copy without marker, flag and witnesses, for peers that do not ask for these (BIP144).
    pub fn without_witness(&self) -> Transaction {
        if !self.has_witness() {
            return self.to_transaction();
        }
        let (version, rest) = self.bytes.split_at(WORD);
        let body = &rest[MARKER_AND_FLAG..self.layout.witnesses_at - WORD];
        let bytes = [version, body, &self.bytes[self.layout.lock_time_at()..]].concat();
        let layout = Layout {
            inputs_at: self.layout.inputs_at - MARKER_AND_FLAG,
            outputs_at: self.layout.outputs_at - MARKER_AND_FLAG,
            witnesses_at: self.layout.witnesses_at - MARKER_AND_FLAG,
            len: bytes.len(),
            ..*self.layout
        };
        Transaction { bytes, layout }
    }

    /// Returns the double SHA-256 of everything but marker, flag and witnesses.
    pub fn txid(&self) -> Txid {
        if !self.has_witness() {
            return Txid(sha256d(self.bytes));
        }
        let (version, rest) = self.bytes.split_at(WORD);
        let body = &rest[MARKER_AND_FLAG..self.layout.witnesses_at - WORD];
        Txid(sha256d_parts(&[version, body, &self.bytes[self.layout.lock_time_at()..]]))
    }

    /// Returns the double SHA-256 of all bytes. (In a block's witness tree, zeros take the place of a coinbase's
    /// wtxid.)
    pub fn wtxid(&self) -> Wtxid {
        Wtxid(sha256d(self.bytes))
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.layout.len
    }

    /// Returns the size in bytes without marker, flag and witnesses.
    pub fn stripped_size(&self) -> usize {
        self.layout.stripped_len()
    }

    /// Returns the weight in weight units (BIP141).
    pub fn weight(&self) -> usize {
        self.layout.weight()
    }

    /// Returns the virtual size in virtual bytes: a quarter of the weight, rounded up (BIP141).
    pub fn vsize(&self) -> usize {
        self.weight().div_ceil(WITNESS_SCALE_FACTOR)
    }

    fn reader(&self, at: usize) -> Reader<'a> {
        Reader::new(&self.bytes[at..])
    }
}

impl fmt::Debug for TxView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transaction({})", self.txid())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{DecodeError, MIN_TX_LEN, Transaction};
    use crate::primitives::hex;
    use crate::wire::Block;

    /// BIP143's example of a native P2WPKH input, signed.
    pub(in crate::wire) const SEGWIT: &str = "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f\
        00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194b\
        a3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b\
        1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a78\
        3a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609\
        e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f5\
        1928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711\
        000000";

    pub(in crate::wire) fn decode(text: &str) -> Result<Transaction, DecodeError> {
        Transaction::decode(hex::decode(text).unwrap())
    }

    #[test]
    fn the_example_of_bip143_decodes_to_its_parts() {
        let transaction = decode(SEGWIT).unwrap();
        let view = transaction.view();
        assert_eq!((view.version(), view.lock_time()), (1, 17));
        let witnesses: Vec<usize> = view.inputs().map(|input| input.witness.len()).collect();
        assert_eq!(witnesses, [0, 2]);
    }

    #[test]
    fn counts_that_the_bytes_cannot_hold_are_refused() {
        let expected = 41 * 0xffff_ffff;
        for (front, at) in [("01000000", 9), ("010000000001", 11)] {
            let bytes = format!("{front}feffffffff{}", "00".repeat(100));
            assert_eq!(decode(&bytes), Err(DecodeError::Truncated { at, expected, got: 100 }));
        }
        let block = [[0; 80].to_vec(), vec![0xff; 9], vec![0; 100]].concat();
        let expected = usize::MAX;
        assert_eq!(
            Block::decode(block),
            Err(DecodeError::Truncated { at: 89, expected, got: 100 })
        );
        assert_eq!(MIN_TX_LEN, 51);
    }

    #[test]
    fn each_malformed_part_is_named_with_its_offset() {
        let input = format!("01{}00ffffffff", "00".repeat(36));
        let output = "01000000000000000000";
        let whole = |front: &str, back: &str| format!("02000000{front}{input}{output}{back}");
        for (text, error) in [
            (whole("0000", "00000000"), DecodeError::TransactionFlag { at: 5, got: 0 }),
            (whole("0002", "0000000000"), DecodeError::TransactionFlag { at: 5, got: 2 }),
            (whole("0001", "0000000000"), DecodeError::SuperfluousWitness { at: 58 }),
            (whole("", "0000000000"), DecodeError::Trailing { expected: 60, got: 61 }),
            (whole("", "000000"), DecodeError::Truncated { at: 56, expected: 4, got: 3 }),
            (whole("0001", "0105"), DecodeError::Truncated { at: 60, expected: 5, got: 0 }),
            (whole("fd0100", "00000000"), DecodeError::NonCanonical { at: 4, expected: 1, got: 3 }),
            ("02000000000100000000000000".to_owned(), DecodeError::SuperfluousWitness { at: 8 }),
        ] {
            assert_eq!(decode(&text), Err(error), "{text}");
        }
    }
}
