//! Recognises connections to ourselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The `version` nonces of our connections that are still shaking hands, each with whether it came back to us. Clones
/// share one set.
///
/// A node learns its own address from others sooner or later, and dials it. The nonce that it then receives is one that
/// it sent. Source: Bitcoin Core `CConnman::CheckIncomingNonce`.
#[derive(Clone, Debug, Default)]
pub struct OwnNonces(Arc<Mutex<HashMap<u64, bool>>>);

impl OwnNonces {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a new nonce, which stays in the set as long as the result lives.
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
    pub(super) fn recognise(&self, nonce: u64) -> bool {
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

    /// Returns whether another connection of ours received this nonce. That one hangs up at once, so the dialling side
    /// learns only here that it reached ourselves.
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
    fn a_nonce_is_recognised_while_its_connection_lives() {
        let nonces = OwnNonces::new();
        let nonce = nonces.issue();
        let value = nonce.value();
        assert!(!nonce.was_received());
        assert!(!nonces.recognise(value.wrapping_add(1)));
        assert!(nonces.clone().recognise(value));
        assert!(nonce.was_received());
        drop(nonce);
        assert!(!nonces.recognise(value));
    }

    #[test]
    fn nonce_zero_is_never_ours() {
        let nonces = OwnNonces::new();
        let _issued: Vec<_> = (0..100).map(|_| nonces.issue()).collect();
        assert!(!nonces.recognise(0));
    }
}
