//! The errors of a store.

use super::damage;
use super::holder::Holder;
use crate::primitives::{BlockHash, Network};
use std::io;
use std::path::PathBuf;

/// Why an operation of the store failed. The message says what to do if the user can do something about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock of the folder.
    #[error("{} is in use by {}: wait for it, end it, or choose another --data-dir",
        folder.display(), holder_text(holder.as_ref()))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other process, if it is known.
        holder: Option<Holder>,
    },
    /// A file or folder could not be used.
    #[error("cannot use {}: {source}: {}", path.display(), advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// sled failed in the middle of its work: this process cannot use the database any more. Stored data is intact.
    #[error("the database in {} stopped working ({reason}): make sure that there is enough memory, and run the command again",
        folder.display())]
    Stopped {
        /// The folder.
        folder: PathBuf,
        /// Why it stopped, in sled's words.
        reason: String,
    },
    /// The system cannot start a thread.
    #[error(
        "cannot start a thread for the database: {source}: allow more processes or more memory (`ulimit -a`)"
    )]
    Threads {
        /// The system's error.
        source: io::Error,
    },
    /// The lock file that was locked is gone: the folder was probably removed or replaced while it was in use.
    #[error("{} was removed or replaced while it was in use: nothing more is stored, run the command again",
        folder.display())]
    Removed {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder was opened for reading only.
    #[error("{} was opened for reading only", folder.display())]
    ReadOnly {
        /// The folder.
        folder: PathBuf,
    },
    /// The computer's clock is set to a time before 1970, with which sled panics.
    #[error(
        "this computer's clock is set to a time before 1970: set the clock and run the command again"
    )]
    Clock,
    /// There is no room left on the disk.
    #[error("cannot store headers: {source}: make room, and run the command again")]
    Full {
        /// The system's error.
        source: io::Error,
    },
    /// The database reported an error of its own.
    #[error(
        "the database failed: {0}: run the command again, and `lightclient verify` if it recurs"
    )]
    Database(#[source] sled::Error),
    /// The database is too damaged to be opened.
    #[error("the database in {} is damaged and does not open: run `lightclient verify --repair` to set \
        it aside and keep every header that can be read", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
    },
    /// A stored record is missing, cannot be read, has a wrong length or contradicts other records.
    #[error("stored data is damaged at height {height}: {what}: run `lightclient verify --repair`")]
    Damaged {
        /// Lowest height that the record covers.
        height: u32,
        /// What is wrong.
        what: String,
    },
    /// The database was written by a newer program.
    #[error(
        "the database has schema version {got}, this program knows up to {known}: use a newer \
        lightclient, or choose another --data-dir"
    )]
    TooNew {
        /// The newest version this program knows.
        known: u32,
        /// The database's version.
        got: u32,
    },
    /// The database belongs to another network.
    #[error(
        "the database holds another network's chain: {expected} starts with {genesis}, \
        the database with {got}: choose another --data-dir"
    )]
    OtherNetwork {
        /// The requested network.
        expected: Network,
        /// Its genesis hash.
        genesis: BlockHash,
        /// The stored chain's first hash.
        got: BlockHash,
    },
    /// The caller's headers do not follow the chain or the candidate, or there is no candidate to activate. Nothing was
    /// written.
    #[error("headers from height {got} on do not follow the stored tip at height {tip}")]
    Gap {
        /// Height of the header that had to be followed: the stored tip, the one to cut to, or the candidate's end.
        tip: u32,
        /// Height of the first given header; the next height if there is no candidate to activate.
        got: u32,
    },
}

/// Describes the process that holds a folder's lock, as far as it is known.
pub(crate) fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), Holder::to_string)
}

/// Returns what to do about a file or folder that cannot be used.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if damage::is_bad_block(error) => {
            "the disk is failing: choose another --data-dir, or copy what can be read with `lightclient verify --repair`"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "check its permissions, or choose another --data-dir"
        }
        io::ErrorKind::StorageFull => "make room, or choose another --data-dir",
        _ => "choose another --data-dir",
    }
}

impl StoreError {
    /// Returns whether damaged data is the cause, and not the system or the caller.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::Damaged { .. } => true,
            Self::Database(error) => damage::is_damage(error),
            _ => false,
        }
    }

    pub(super) fn full() -> Self {
        Self::Full { source: rustix::io::Errno::NOSPC.into() }
    }

    pub(super) fn damaged(height: u32, what: impl Into<String>) -> Self {
        Self::Damaged { height, what: what.into() }
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            // After its first error, sled returns copies of that error, whose text means nothing to a user.
            sled::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => Self::full(),
            error => Self::Database(error),
        }
    }
}
