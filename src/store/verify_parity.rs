//! Compares the parity records with the pages that they cover.

use super::Fault;
use super::error::StoreError;
use super::layout::{HEADERS_PER_PAGE, HEADERS_PER_RUN};
use super::open::SledStore;
use super::parity::{Parity, covered_bytes, first_page_of, lane_body};
use super::records::page_bytes;
use super::verify::stored_fault;

impl SledStore {
    /// Returns a fault if a parity record is not the exclusive or of its pages. The fault's height is that of the first
    /// header in these pages.
    ///
    /// The headers themselves may all be good. But if one of these pages is damaged later, its headers may be lost.
    ///
    /// # Errors
    /// Reading failed, or a page is missing or cannot be read.
    pub(crate) fn parity_fault(&self) -> Result<Option<Fault>, StoreError> {
        let covered = self.end().indexed_to;
        for run in 0..covered.div_ceil(HEADERS_PER_RUN) {
            let mut parity = Parity::default();
            let end = ((run + 1) * HEADERS_PER_RUN).min(covered).div_ceil(HEADERS_PER_PAGE);
            for number in run * (HEADERS_PER_RUN / HEADERS_PER_PAGE)..end {
                let page = page_bytes(&self.records, number)?;
                let len = page.len().min(covered_bytes(number, covered));
                parity.toggle_page(number, &page[..len], 0);
            }
            for (key, expected) in parity.take(None) {
                let fault = self.lane_fault(key, &expected)?;
                if fault.is_some() {
                    return Ok(fault);
                }
            }
        }
        Ok(None)
    }

    fn lane_fault(&self, key: [u8; 4], expected: &[u8]) -> Result<Option<Fault>, StoreError> {
        let height = first_page_of(key) * HEADERS_PER_PAGE;
        let fault = |got: &str| {
            Ok(Some(stored_fault(height, "parity", "the exclusive or of the lane's pages", got)))
        };
        match self.records.get(&key, height, "a parity record") {
            Err(StoreError::Damaged { what, .. }) => fault(&what),
            Err(error) => Err(error),
            Ok(None) => fault("none"),
            Ok(Some(record)) => match lane_body(&record, key) {
                Some(body) if is_equal(body, expected) => Ok(None),
                _ => fault("a record that differs"),
            },
        }
    }
}

/// Compares the bytes of lanes. Zeros at the end do not count: removed headers leave zeros behind.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let common = one.len().min(other.len());
    let rest = one[common..].iter().chain(&other[common..]);
    one[..common] == other[..common] && rest.into_iter().all(|byte| *byte == 0)
}
