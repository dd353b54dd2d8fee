//! Extends a branch. Each header is checked against the state after the headers before it.

use super::batch::LinkedBatch;
use super::branch::Branch;
use super::checked::CheckedHeaders;
use super::rules::{Rejection, Violation, check_context, check_link};
use crate::primitives::Header;

impl Branch {
    /// Checks the headers one after another and moves the branch's end to the last good one.
    ///
    /// `now` is the wall clock in Unix seconds. Returns the good headers, and the rejection of the first bad header if
    /// there is one.
    pub fn extend(&mut self, batch: LinkedBatch, now: u32) -> (CheckedHeaders, Option<Rejection>) {
        let (mut headers, mut hashes) = batch.into_parts();
        let (first_height, prev) = (self.height() + 1, self.hash());
        let parent_work = self.chainwork().clone();
        let mut rejection = None;
        let mut good = 0;
        for (header, hash) in headers.iter().zip(&hashes) {
            if let Err(violation) = self.check(header, now) {
                rejection = Some(Rejection { height: self.height() + 1, hash: *hash, violation });
                break;
            }
            self.push(header, *hash);
            good += 1;
        }
        headers.truncate(good);
        hashes.truncate(good);
        let checked = CheckedHeaders::new(first_height, prev, parent_work, headers, hashes);
        (checked, rejection)
    }

    /// Checks every rule but proof of work, which [`super::link_batch`] has checked.
    fn check(&self, header: &Header, now: u32) -> Result<(), Violation> {
        check_link(&self.hash(), header)?;
        check_context(self, header, now)
    }
}
