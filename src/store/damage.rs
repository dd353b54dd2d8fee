//! Which of sled's and the system's errors mean that stored data is damaged.

use std::io;

/// Whether sled found its own files to be wrong, rather than the system or its caller.
pub(super) fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Corruption { .. } => true,
        sled::Error::ReportableBug(what) => !is_no_damage(what),
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

/// Whether sled failed for want of memory or threads, which says nothing of its files.
pub(super) fn is_no_damage(reason: &str) -> bool {
    // The last is what a missing piece of memory is called in sled's page table.
    let signs = ["allocate", "IO thread", "thread pool", "converting zero"];
    signs.iter().any(|sign| reason.contains(sign))
}
