//! Who is asked next.

use rand::{Rng, RngExt};
use std::collections::VecDeque;

/// Addresses that wait for their turn, by who told them.
///
/// # Security
/// Those who told take turns, and of what one told it is a random address: a peer that names a thousand made-up
/// addresses costs a crawl no more than one that names ten, as long as others have any left.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    lists: VecDeque<Vec<String>>,
}

impl Queue {
    /// Adds what somebody told.
    pub(super) fn push(&mut self, addresses: Vec<String>) {
        if !addresses.is_empty() {
            self.lists.push_back(addresses);
        }
    }

    /// Puts an address back to be the next.
    pub(super) fn give_back(&mut self, address: String) {
        self.lists.push_front(vec![address]);
    }

    /// The next address.
    pub(super) fn pop(&mut self, rng: &mut impl Rng) -> Option<String> {
        let mut list = self.lists.pop_front()?;
        let at = rng.random_range(0..list.len());
        let address = list.swap_remove(at);
        self.push(list);
        Some(address)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn list(teller: char, count: usize) -> Vec<String> {
        (0..count).map(|at| format!("{teller}{at}")).collect()
    }

    #[test]
    fn who_told_a_thousand_gets_no_more_turns_than_who_told_ten() {
        let mut queue = Queue::default();
        queue.push(list('a', 1000));
        queue.push(list('b', 10));
        queue.push(Vec::new());
        queue.push(list('c', 10));
        let mut rng = StdRng::seed_from_u64(1);
        let first: Vec<String> = (0..30).filter_map(|_| queue.pop(&mut rng)).collect();
        for teller in ['a', 'b', 'c'] {
            assert_eq!(first.iter().filter(|at| at.starts_with(teller)).count(), 10, "{first:?}");
        }
        queue.give_back("z".to_owned());
        assert_eq!(queue.pop(&mut rng).as_deref(), Some("z"));
        let rest = std::iter::from_fn(|| queue.pop(&mut rng)).count();
        assert_eq!(rest, 990);
        assert!(queue.is_empty());
    }
}
