//! Recognises connections to ourselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The `version` nonces of our connections whose handshake is not complete. Each has a flag: whether one of our own
/// connections has received it. Clones share one set.
///
/// Sooner or later, a node learns its own address from others and dials it. It then receives a nonce that it sent.
/// Source: Bitcoin Core `CConnman::CheckIncomingNonce`.
#[derive(Clone, Debug, Default)]
pub struct OwnNonces(Arc<Mutex<HashMap<u64, bool>>>);

impl OwnNonces {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a new nonce, which stays in the set until the result is dropped.
    pub(super) fn issue(&self) -> OwnNonce {
        let mut nonces = self.lock();
        let mut value = rand::random();
        // A `version` without a nonce counts as one with nonce 0.
        while value == 0 || nonces.contains_key(&value) {
            value = rand::random();
        }
        nonces.insert(value, false);
        OwnNonce { value, all: self.clone() }
    }

    /// Returns whether a nonce that a peer sent is one of ours, and if so marks it as received.
    pub(super) fn check_incoming(&self, nonce: u64) -> bool {
        self.lock().get_mut(&nonce).is_some_and(|received| {
            *received = true;
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, bool>> {
        // No panic can leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's nonce.
#[derive(Debug)]
pub(super) struct OwnNonce {
    value: u64,
    all: OwnNonces,
}

impl OwnNonce {
    pub(super) fn value(&self) -> u64 {
        self.value
    }

    /// Returns whether another connection of ours received this nonce. That connection closes at once, so this is how
    /// the dialling side learns that it dialled itself.
    pub(super) fn was_received(&self) -> bool {
        self.all.lock().get(&self.value).copied().unwrap_or(false)
    }
}

impl Drop for OwnNonce {
    fn drop(&mut self) {
        self.all.lock().remove(&self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::OwnNonces;

    #[test]
    fn a_nonce_is_recognised_until_it_is_dropped() {
        let nonces = OwnNonces::new();
        let nonce = nonces.issue();
        let value = nonce.value();
        assert!(!nonce.was_received());
        assert!(!nonces.check_incoming(value.wrapping_add(1)));
        assert!(nonces.clone().check_incoming(value));
        assert!(nonce.was_received());
        drop(nonce);
        assert!(!nonces.check_incoming(value));
    }

    #[test]
    fn nonce_zero_is_never_ours() {
        let nonces = OwnNonces::new();
        let _issued: Vec<_> = (0..100).map(|_| nonces.issue()).collect();
        assert!(!nonces.check_incoming(0));
    }
}
