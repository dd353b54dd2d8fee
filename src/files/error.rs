//! Why a file cannot be written.

use crate::query::ReadError;
use std::io;
use std::path::PathBuf;

/// Why headers could not be written to a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// What the user named is no format, or has none.
    #[error("{0}")]
    Usage(String),
    /// The system does not let a file be used.
    #[error("cannot {doing} {}: {source}: {}", path.display(), advice(source.kind()))]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Standard output does not take the results.
    #[error("cannot write to standard output: {0}: check where it goes")]
    Output(#[from] io::Error),
    /// The stored chain could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What to do about a file that the system does not let us use.
pub(crate) fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "check the path",
        io::ErrorKind::PermissionDenied => "check its permissions, or name another file",
        io::ErrorKind::IsADirectory => "name a file",
        io::ErrorKind::StorageFull => "make room, or name a file elsewhere",
        _ => "try again, or name another file",
    }
}
