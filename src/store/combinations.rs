//! Repairs a page that has lost some records, with records of the derived page, which is computed from the other pages
//! of the lane. A derived record is wrong if another page of the lane has lost the record at the same place. Where the
//! two pages differ, nothing shows which of them is right, so their combinations are tried.

use super::layout::{PAGE_HEAD_LEN, RECORD_LEN};

/// How many combinations are tried at most, not counting the unchanged page.
const MAX_COMBINATIONS: u32 = 4096;

/// Replaces records of `page` with those of `derived` until `confirmed` returns a value, and returns this value;
/// `None` if no combination that was tried is confirmed.
pub(super) fn find_combination<T>(
    page: &[u8],
    derived: &[u8],
    confirmed: &impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let differ = |at: &usize| page.get(*at..*at + RECORD_LEN) != derived.get(*at..*at + RECORD_LEN);
    let len = page.len().min(derived.len());
    let places: Vec<usize> = (PAGE_HEAD_LEN..len.saturating_sub(RECORD_LEN - 1))
        .step_by(RECORD_LEN)
        .filter(differ)
        .collect();
    let mut left = MAX_COMBINATIONS;
    confirmed(page).or_else(|| try_replacing(page, derived, &places, confirmed, &mut left))
}

/// Tries each non-empty choice of places once.
fn try_replacing<T>(
    page: &[u8],
    derived: &[u8],
    places: &[usize],
    confirmed: &impl Fn(&[u8]) -> Option<T>,
    left: &mut u32,
) -> Option<T> {
    places.iter().zip(1..).find_map(|(place, next)| {
        *left = left.checked_sub(1)?;
        let mut other = page.to_vec();
        other[*place..*place + RECORD_LEN].copy_from_slice(&derived[*place..*place + RECORD_LEN]);
        confirmed(&other)
            .or_else(|| try_replacing(&other, derived, &places[next..], confirmed, left))
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_COMBINATIONS, PAGE_HEAD_LEN, RECORD_LEN, find_combination};
    use std::cell::RefCell;
    use std::collections::HashSet;

    fn page(records: &[u8]) -> Vec<u8> {
        let records = records.iter().flat_map(|record| [*record; RECORD_LEN]);
        [0; PAGE_HEAD_LEN].into_iter().chain(records).collect()
    }

    #[test]
    fn each_combination_is_tried_once() {
        let tried = RefCell::new(Vec::new());
        let try_one = |bytes: &[u8]| -> Option<()> {
            tried.borrow_mut().push(bytes.to_vec());
            None
        };
        assert!(find_combination(&page(&[1; 8]), &page(&[2; 8]), &try_one).is_none());
        let tried = tried.into_inner();
        assert_eq!(tried.len(), 1 << 8);
        assert_eq!(tried.iter().collect::<HashSet<_>>().len(), 1 << 8);
    }

    #[test]
    fn the_confirmed_combination_is_found_and_the_search_is_bounded() {
        let wanted = page(&[1, 2, 1, 1, 2, 2]);
        let is_wanted = |bytes: &[u8]| (bytes == wanted).then_some(());
        assert!(find_combination(&page(&[1; 6]), &page(&[2; 6]), &is_wanted).is_some());
        let count = RefCell::new(0);
        let try_one = |_: &[u8]| -> Option<()> {
            *count.borrow_mut() += 1;
            None
        };
        assert!(find_combination(&page(&[1; 64]), &page(&[2; 64]), &try_one).is_none());
        assert_eq!(count.into_inner(), MAX_COMBINATIONS + 1);
    }
}
