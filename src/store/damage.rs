//! Decides which errors of sled and of the system mean that stored data is damaged.

use rustix::io::Errno;
use std::io;

/// Returns whether sled failed because its files are damaged, and not because of the system or the caller.
pub(super) fn is_damage(error: &sled::Error) -> bool {
    match error {
        sled::Error::Corruption { .. } => true,
        sled::Error::ReportableBug(what) => !is_resource_shortage(what),
        sled::Error::Io(error) => is_damaged_file(error),
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) => false,
    }
}

/// Returns whether a file ends too early, its contents are invalid, or an offset in it is impossible.
pub(super) fn is_damaged_file(error: &io::Error) -> bool {
    let kinds =
        [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput];
    kinds.contains(&error.kind())
}

/// Returns whether the disk cannot read a part of a file.
pub(super) fn is_bad_block(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::IO)
}

/// Returns whether sled failed for lack of memory or threads, which does not mean that its files are damaged.
pub(super) fn is_resource_shortage(reason: &str) -> bool {
    // With the last sign, sled's page table reports that it got no memory.
    let signs = ["allocate", "IO thread", "thread pool", "converting zero"];
    signs.iter().any(|sign| reason.contains(sign))
}
