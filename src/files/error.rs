//! The errors of choosing and writing files.

use crate::query::ReadError;
use std::io;
use std::path::PathBuf;

/// Why a file and its format could not be chosen, or headers could not be written to a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The command line does not name one file and its format.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be written.
    #[error("cannot {doing} {}: {source}: {}", path.display(), advice(source.kind()))]
    Io {
        /// What failed, as a verb: `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("cannot write to standard output: {0}: check where it goes")]
    Output(#[from] io::Error),
    /// The stored chain could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Returns advice for a system error about a file.
pub(crate) fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "check the path",
        io::ErrorKind::PermissionDenied => "check its permissions, or name another file",
        io::ErrorKind::IsADirectory => "name a file",
        io::ErrorKind::StorageFull => "make room, or name a file elsewhere",
        _ => "try again, or name another file",
    }
}
