//! Reads numbers from a fuzzer's input.

/// The rest of a fuzzer's input. Reads past its end return zeros.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    /// Returns a number below `count`. The caller gives a `count` from 1 to 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.u8()) % count
    }
}
