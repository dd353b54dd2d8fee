//! sled reports some damage by an error and some by a panic: here both become one typed error.

use super::error::StoreError;
use sled::{Db, IVec};
use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use tracing::debug;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does the work, and turns a panic in it into its message instead of printing it.
///
/// The program's panic hook stays as it is but for being skipped while this thread is in here: to swap it
/// for a moment would silence other threads too, for good where two of them swap at once.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    done.map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it cannot be read").to_owned()
}

/// Whether sled found its own files to be wrong, rather than the system or its caller.
pub(super) fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => true,
        sled::Error::Io(error) => is_damaged_file(error),
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) => false,
    }
}

/// Whether a file ends too early, or an offset in it cannot be.
pub(super) fn is_damaged_file(error: &io::Error) -> bool {
    let kinds =
        [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput];
    kinds.contains(&error.kind())
}

/// Does something with the database; damage comes back as such, of `height` and of `record`.
pub(super) fn guarded<T>(
    height: u32,
    record: &str,
    work: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    let unreadable = |reason: &str| {
        // sled's own words, of offsets in its files, are for those who look into those.
        debug!("{record} from height {height} on: {reason}");
        StoreError::damaged(height, format!("{record} cannot be read"))
    };
    match quietly(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if is_damage(&error) => Err(unreadable(&error.to_string())),
        Ok(Err(error)) => Err(error.into()),
        Err(panic) => Err(unreadable(&panic)),
    }
}

/// A record, if it is there; `height` and `record` are for the error.
pub(super) fn get(
    db: &Db,
    key: &[u8],
    height: u32,
    record: &str,
) -> Result<Option<IVec>, StoreError> {
    guarded(height, record, || db.get(key))
}

#[cfg(test)]
mod tests {
    use super::{guarded, is_damage, quietly};
    use crate::store::StoreError;
    use std::io;
    use std::panic::panic_any;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 5), Ok(5));
        assert_eq!(quietly(|| panic!("fixed")), Err::<(), _>("fixed".to_owned()));
        assert_eq!(quietly(|| panic!("at {}", 7)), Err::<(), _>("at 7".to_owned()));
        assert_eq!(quietly(|| panic_any(9)), Err::<(), _>("it cannot be read".to_owned()));
    }

    #[test]
    fn a_full_disk_is_not_damage_and_a_file_that_ends_too_early_is() {
        let error = |kind: io::ErrorKind| sled::Error::Io(kind.into());
        assert!(!is_damage(&error(io::ErrorKind::StorageFull)));
        assert!(is_damage(&error(io::ErrorKind::UnexpectedEof)));
        let full = guarded(3, "a page", || Err::<(), _>(error(io::ErrorKind::StorageFull)));
        assert!(matches!(full, Err(StoreError::Database(_))));
        let cut = guarded(3, "a page", || Err::<(), _>(error(io::ErrorKind::UnexpectedEof)));
        assert!(matches!(cut, Err(StoreError::Damaged { height: 3, .. })));
    }
}
