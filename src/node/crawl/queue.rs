//! The addresses of peers that are still to be asked.

use rand::{Rng, RngExt};
use std::collections::VecDeque;

/// The addresses of peers that are still to be asked, in one list for each source that sent them.
///
/// # Security
/// The sources take turns, and each turn takes a random address from the source's list. So a peer that sends a thousand
/// made-up addresses gets no more turns than a peer that sends ten, until the shorter list is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressQueue {
    lists: VecDeque<Vec<String>>,
}

impl AddressQueue {
    /// Adds the addresses that one source sent.
    pub(super) fn push(&mut self, addresses: Vec<String>) {
        if !addresses.is_empty() {
            self.lists.push_back(addresses);
        }
    }

    /// Puts an address back, so that the next call of [`AddressQueue::pop`] returns it.
    pub(super) fn push_front(&mut self, address: String) {
        self.lists.push_front(vec![address]);
    }

    /// Removes and returns the next address.
    pub(super) fn pop(&mut self, rng: &mut impl Rng) -> Option<String> {
        let mut list = self.lists.pop_front()?;
        let at = rng.random_range(0..list.len());
        let address = list.swap_remove(at);
        self.push(list);
        Some(address)
    }

    /// Returns whether no address is left.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::AddressQueue;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn list(source: char, count: usize) -> Vec<String> {
        (0..count).map(|at| format!("{source}{at}")).collect()
    }

    #[test]
    fn a_source_of_a_thousand_addresses_gets_no_more_turns_than_one_of_ten() {
        let mut queue = AddressQueue::default();
        queue.push(list('a', 1000));
        queue.push(list('b', 10));
        queue.push(Vec::new());
        queue.push(list('c', 10));
        let mut rng = StdRng::seed_from_u64(1);
        let first: Vec<String> = (0..30).filter_map(|_| queue.pop(&mut rng)).collect();
        for source in ['a', 'b', 'c'] {
            assert_eq!(first.iter().filter(|at| at.starts_with(source)).count(), 10, "{first:?}");
        }
        queue.push_front("z".to_owned());
        assert_eq!(queue.pop(&mut rng).as_deref(), Some("z"));
        let rest = std::iter::from_fn(|| queue.pop(&mut rng)).count();
        assert_eq!(rest, 990);
        assert!(queue.is_empty());
    }
}
