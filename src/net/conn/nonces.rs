//! Recognising a connection to ourselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The `version` nonces of our connections that are still shaking hands. Clones share one set.
///
/// Source: Bitcoin Core `CConnman::CheckIncomingNonce`. A node learns its own address from others sooner or later and
/// dials it; the nonce it then receives is one that it sent.
#[derive(Clone, Debug, Default)]
pub struct OwnNonces(Arc<Mutex<HashMap<u64, Met>>>);

/// Whether a nonce came back to us.
type Met = bool;

impl OwnNonces {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new nonce, in the set for as long as the result lives.
    pub(super) fn issue(&self) -> OwnNonce {
        let mut nonces = self.lock();
        let mut value = rand::random();
        // 0 is what a peer without a nonce is taken to have sent.
        while value == 0 || nonces.contains_key(&value) {
            value = rand::random();
        }
        nonces.insert(value, false);
        OwnNonce { value, all: self.clone() }
    }

    /// Whether a nonce that a peer sent is one of ours; the connection it was issued for is told.
    pub(super) fn recognise(&self, nonce: u64) -> bool {
        self.lock().get_mut(&nonce).is_some_and(|met| {
            *met = true;
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Met>> {
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

    /// Whether another connection of ours received this nonce. That one hangs up at once, so this is how the
    /// dialling side learns whom it reached.
    pub(super) fn was_met(&self) -> bool {
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
        assert!(!nonce.was_met());
        assert!(!nonces.recognise(value.wrapping_add(1)));
        assert!(nonces.clone().recognise(value));
        assert!(nonce.was_met());
        drop(nonce);
        assert!(!nonces.recognise(value));
    }

    #[test]
    fn the_nonce_of_a_peer_without_one_is_never_ours() {
        let nonces = OwnNonces::new();
        let _issued: Vec<_> = (0..100).map(|_| nonces.issue()).collect();
        assert!(!nonces.recognise(0));
    }
}
